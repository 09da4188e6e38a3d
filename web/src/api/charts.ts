import { getJson, queryOf } from "./client";
import { isoNs } from "../lib/ns";
import type { Span } from "../charts/window";

interface Buckets {
  t0_ns: string;
  step_ns: string;
  i: number[];
}

export interface SideFills {
  i: number[];
  n: number[];
  qty: number[];
  vwap: number[];
}

/** Candles of the market of a run, with its fills and refusals, by bucket. */
export interface Bars extends Buckets {
  o: number[];
  h: number[];
  l: number[];
  c: number[];
  v: number[];
  n: number[];
  buys: SideFills;
  sells: SideFills;
  refused: { i: number[]; n: number[] };
  bands: { kind: string; from_ns: string; to_ns: string }[];
  source: string;
}

/** Equity, drawdown and position of a run, by bucket. */
export interface Curve extends Buckets {
  equity: { first: number[]; min: number[]; max: number[]; last: number[] };
  drawdown: { min: number[] };
  position: { last: number[] };
}

const query = (span: Span & { points: number }, more: Record<string, string | undefined> = {}) =>
  queryOf({ start: isoNs(span.from), end: isoNs(span.to), points: span.points, ...more });

export function loadBars(runId: string, span: Span & { points: number }, instrument?: string, signal?: AbortSignal): Promise<Bars> {
  return getJson<Bars>(`/api/v1/runs/${runId}/bars${query(span, { instrument })}`, signal);
}

export function loadCurve(runId: string, span: Span & { points: number }, signal?: AbortSignal): Promise<Curve> {
  return getJson<Curve>(`/api/v1/runs/${runId}/curve${query(span)}`, signal);
}
