import { getJson, queryOf } from "./client";
import type { RunFilter } from "./runs";
import type { components } from "./schema";

export type RunGroup = components["schemas"]["RunGroup"];
export type RunGroups = components["schemas"]["RunGroups"];

/** Runs of a filter by what they have in common. */
export function loadGroups(filter: RunFilter, by: string, signal?: AbortSignal): Promise<RunGroups> {
  return getJson<RunGroups>(`/api/v1/runs/groups${queryOf({ ...filter, by })}`, signal);
}
