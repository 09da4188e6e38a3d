import { getJson, queryOf } from "./client";
import type { RunFilter } from "./runs";

/** Counts of runs by the values of a column. */
export type Facets = Record<string, Record<string, number>>;

export async function loadFacets(filter: RunFilter, signal?: AbortSignal): Promise<Facets> {
  return getJson<Facets>(`/api/v1/runs/facets${queryOf(filter)}`, signal);
}
