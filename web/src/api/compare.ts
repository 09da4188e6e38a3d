import { getJson, queryOf } from "./client";
import type { components } from "./schema";

export type Comparison = components["schemas"]["Comparison"] & {
  first_difference?: FirstDifference | null;
  simulated?: Record<string, unknown[]>;
};

/** Where two runs are not equal for the first time. */
export interface FirstDifference {
  table: string;
  row: number;
  ts_ns: string | null;
  a: Record<string, unknown> | null;
  b: Record<string, unknown> | null;
}

export function loadComparison(ids: readonly string[], align: string, signal?: AbortSignal): Promise<Comparison> {
  return getJson<Comparison>(`/api/v1/compare${queryOf({ ids: ids.join(","), align, points: 800 })}`, signal);
}
