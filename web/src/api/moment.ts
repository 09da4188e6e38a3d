import { getJson } from "./client";
import type { components } from "./schema";

export type Moment = components["schemas"]["Moment"];

export function loadMoment(runId: string, at: bigint, span: bigint, instrument?: string, signal?: AbortSignal): Promise<Moment> {
  const more = instrument ? `&instrument=${encodeURIComponent(instrument)}` : "";
  return getJson<Moment>(`/api/v1/runs/${runId}/moment?at_ns=${at}&span_ns=${span}${more}`, signal);
}
