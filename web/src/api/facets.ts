import { getJson, queryOf } from "./client";
import type { RunFilter } from "./runs";
import type { components } from "./schema";

export type Facets = components["schemas"]["RunFacets"];

/** Counts of runs by the values of what can be filtered. */
export async function loadFacets(filter: RunFilter, signal?: AbortSignal): Promise<Facets> {
  return getJson<Facets>(`/api/v1/runs/facets${queryOf(filter)}`, signal);
}
