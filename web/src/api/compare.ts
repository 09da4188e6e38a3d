import { getJson, queryOf } from "./client";
import type { components } from "./schema";

export type Comparison = components["schemas"]["Comparison"];
export type FirstDifference = components["schemas"]["FirstDifference"];

export function loadComparison(ids: readonly string[], align: string, base: string, signal?: AbortSignal): Promise<Comparison> {
  return getJson<Comparison>(`/api/v1/compare${queryOf({ ids: ids.join(","), align, base, points: 800 })}`, signal);
}
