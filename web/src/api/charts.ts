import { getJson, queryOf } from "./client";
import { isoNs } from "../lib/ns";
import type { components } from "./schema";
import type { Span } from "../charts/window";

/** Candles of the market of a run, with its fills and refusals, by bucket. */
export type Bars = components["schemas"]["Bars"];

/** Equity, drawdown and position of a run, by bucket. */
export type Curve = components["schemas"]["AccountCurve"];

const query = (span: Span & { points: number }, more: Record<string, string | undefined> = {}) =>
  queryOf({ start: isoNs(span.from), end: isoNs(span.to), points: span.points, ...more });

export function loadBars(runId: string, span: Span & { points: number }, instrument?: string, signal?: AbortSignal): Promise<Bars> {
  return getJson<Bars>(`/api/v1/runs/${runId}/bars${query(span, { instrument })}`, signal);
}

export function loadCurve(runId: string, span: Span & { points: number }, instrument?: string, signal?: AbortSignal): Promise<Curve> {
  return getJson<Curve>(`/api/v1/runs/${runId}/curve${query(span, { instrument })}`, signal);
}
