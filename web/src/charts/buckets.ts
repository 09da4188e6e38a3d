import type { Bars, Curve } from "../api/charts";

/** What is known of a bucket of time. */
export interface Bucket {
  from: bigint;
  to: bigint;
  candle: { o: number; h: number; l: number; c: number; v: number; n: number } | null;
  buys: { n: number; qty: number; vwap: number } | null;
  sells: { n: number; qty: number; vwap: number } | null;
  refused: number;
  equity: { first: number; min: number; max: number; last: number } | null;
  drawdown: number | null;
  position: number | null;
}

/** Buckets side by side, from a time on. */
export interface Grid {
  t0: bigint;
  step: bigint;
  buckets: Bucket[];
}

const MOST = 20_000;

/** Put bars and curve on one grid, up to a time: no extreme of the curve is lost where its steps are finer. */
export function gridOf(bars: Bars | null, curve: Curve | null, until = 0n): Grid {
  const base = bars?.i.length || !curve ? bars : curve;
  if (!base) return { t0: 0n, step: 1n, buckets: [] };
  const t0 = BigInt(base.t0_ns);
  const step = BigInt(base.step_ns);
  const curveAt = (index: number) => Number((BigInt(curve!.t0_ns) + BigInt(curve!.step_ns) * BigInt(index + 1) - 1n - t0) / step);
  const last = Math.max(base.i.at(-1) ?? -1, curve?.i.length ? curveAt(curve.i.at(-1)!) : -1, until > t0 ? Number((until - 1n - t0) / step) : -1);
  const buckets: Bucket[] = Array.from({ length: Math.max(0, Math.min(last + 1, MOST)) }, (_, index) => ({
    from: t0 + step * BigInt(index),
    to: t0 + step * BigInt(index + 1),
    candle: null,
    buys: null,
    sells: null,
    refused: 0,
    equity: null,
    drawdown: null,
    position: null,
  }));
  if (bars) addBars(buckets, bars);
  curve?.i.forEach((index, at) => {
    const bucket = buckets[curveAt(index)];
    if (!bucket) return;
    const { first, min, max, last: end } = curve.equity;
    const old = bucket.equity;
    bucket.equity = {
      first: old ? old.first : first[at]!,
      min: Math.min(old?.min ?? Number.POSITIVE_INFINITY, min[at]!),
      max: Math.max(old?.max ?? Number.NEGATIVE_INFINITY, max[at]!),
      last: end[at]!,
    };
    const fall = curve.drawdown.min[at] ?? null;
    bucket.drawdown = fall === null ? bucket.drawdown : Math.min(bucket.drawdown ?? 0, fall);
    bucket.position = curve.position.last[at] ?? null;
  });
  return { t0, step, buckets };
}

function addBars(buckets: Bucket[], bars: Bars): void {
  bars.i.forEach((index, at) => {
    const bucket = buckets[index];
    if (bucket) bucket.candle = { o: bars.o[at]!, h: bars.h[at]!, l: bars.l[at]!, c: bars.c[at]!, v: bars.v[at]!, n: bars.n[at]! };
  });
  for (const side of ["buys", "sells"] as const) {
    const { i, n, qty, vwap } = bars[side];
    i.forEach((index, at) => {
      const bucket = buckets[index];
      if (bucket) bucket[side] = { n: n[at]!, qty: qty[at]!, vwap: vwap[at]! };
    });
  }
  bars.refused.i.forEach((index, at) => {
    const bucket = buckets[index];
    if (bucket) bucket.refused = bars.refused.n[at]!;
  });
}
