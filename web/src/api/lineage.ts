import { getJson } from "./client";
import type { components } from "./schema";

export type Lineage = components["schemas"]["Lineage"];
export type LineageNode = components["schemas"]["LineageNode"];

export function loadLineage(runId: string, signal?: AbortSignal): Promise<Lineage> {
  return getJson<Lineage>(`/api/v1/runs/${runId}/lineage`, signal);
}
