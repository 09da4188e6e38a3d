/** Which part of a run a chart asks for, so that small moves find it loaded and the service's cache is hit. */

/** A range of time in ns. */
export interface Span {
  from: bigint;
  to: bigint;
}

const POINTS_SEEN = 600n;

/**
 * Return the range to load for what is seen, and how many points.
 *
 * It is aligned to a power of two at least as long as what is seen, with half of that on either side.
 */
export function loadedSpan(seen: Span, whole: Span): Span & { points: number } {
  const width = seen.to > seen.from ? seen.to - seen.from : 1n;
  if (width >= whole.to - whole.from) return { ...whole, points: Number(POINTS_SEEN * 2n) };
  let chunk = 1_000_000n;
  while (chunk < width) chunk *= 2n;
  const from = floor(seen.from, chunk) - chunk / 2n;
  const to = -floor(-seen.to, chunk) + chunk / 2n;
  const clipped = { from: from < whole.from ? whole.from : from, to: to > whole.to ? whole.to : to };
  if (clipped.to <= clipped.from) return { ...whole, points: Number(POINTS_SEEN * 2n) };
  // Of the full range, not of what is left at the edges: the steps stay the same.
  const points = ((clipped.to - clipped.from) * POINTS_SEEN) / chunk;
  return { ...clipped, points: Math.max(50, Math.min(2_000, Number(points))) };
}

function floor(value: bigint, size: bigint): bigint {
  const rest = value % size;
  return value - (rest < 0n ? rest + size : rest);
}
