import { getJson } from "./client";

/** Something that a result was made of. */
export interface LineageNode {
  kind: string;
  name: string;
  sha256: string | null;
  rows_in: number | null;
  rows_written: number | null;
  rejected: number | null;
  now: string | null;
}

export interface Lineage {
  nodes: LineageNode[];
  account: { start: string | null; difference: string | null } | null;
}

export function loadLineage(runId: string, signal?: AbortSignal): Promise<Lineage> {
  return getJson<Lineage>(`/api/v1/runs/${runId}/lineage`, signal);
}
