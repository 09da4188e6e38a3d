/** Scales of maps and lines: steps of color with round edges, round ticks, places on an axis. */

export type Hue = "gain" | "loss" | "seq";

/** A step of color: its hue, and how far it is from the panel, 1 to 7. */
export interface Shade {
  hue: Hue;
  level: number;
}

export interface ColorScale {
  /** Edges of the steps, ascending: one more than there are steps. */
  edges: readonly number[];
  shades: readonly Shade[];
  /** Whether values lie beyond the first or the last edge: they have the color of that step. */
  beyond: { low: boolean; high: boolean };
}

const LEVELS = 7;
const SIDE_LEVELS = [1, 2, 4, 5, 7];
/** From so many values on, a few far ones do not take the colors from all others. */
const MANY = 20;
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/** Return the least round number that is not below a positive one. */
export function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = ROUND.find((one) => one * power >= value * (1 - 1e-12)) ?? 10;
  return factor * power;
}

/** Return a multiple of a step without the dust of floats. */
function multiple(count: number, step: number): number {
  return Number((count * step).toPrecision(12));
}

/**
 * Return steps of color for values, null where there are none.
 *
 * Amounts that are gains or losses have two hues that part at zero; if all have one sign, or it
 * says neither, one hue, so that small differences are seen.
 */
export function colorScale(values: Iterable<number>, isSigned: boolean): ColorScale | null {
  const sorted = Float64Array.from([...values].filter(Number.isFinite)).sort();
  if (!sorted.length) return null;
  const [least, most] = [sorted[0]!, sorted.at(-1)!];
  const [low, high] = usualRange(sorted);
  const isParted = isSigned && low < 0 && high > 0;
  const hue: Hue = !isSigned || (low === 0 && high === 0) ? "seq" : high > 0 ? "gain" : "loss";
  const scale = isParted ? aroundZero(Math.max(-low, high)) : alongOne(low, high, hue);
  return { ...scale, beyond: { low: least < scale.edges[0]!, high: most > scale.edges.at(-1)! } };
}

/** Return the range of most values: far ones are left out where there are many. */
function usualRange(sorted: Float64Array): [number, number] {
  const [least, most] = [sorted[0]!, sorted.at(-1)!];
  if (sorted.length < MANY) return [least, most];
  const [low, high] = [sorted[Math.floor(0.02 * (sorted.length - 1))]!, sorted[Math.ceil(0.98 * (sorted.length - 1))]!];
  const room = 0.5 * (high - low);
  return [least < low - room ? low : least, most > high + room ? high : most];
}

type Steps = Omit<ColorScale, "beyond">;

function aroundZero(most: number): Steps {
  const step = roundUp(most / SIDE_LEVELS.length);
  const sides = SIDE_LEVELS.length;
  const edges = Array.from({ length: 2 * sides + 1 }, (_, at) => multiple(at - sides, step));
  const shades: Shade[] = [...[...SIDE_LEVELS].reverse().map((level) => ({ hue: "loss" as const, level })), ...SIDE_LEVELS.map((level) => ({ hue: "gain" as const, level }))];
  return { edges, shades };
}

function alongOne(low: number, high: number, hue: Hue): Steps {
  if (low === high) return { edges: [low, high], shades: [{ hue, level: 4 }] };
  let step = roundUp((high - low) / LEVELS);
  let first = Math.floor(low / step + 1e-9);
  let last = Math.ceil(high / step - 1e-9);
  while (last - first > LEVELS) {
    step = roundUp(step * 1.01);
    first = Math.floor(low / step + 1e-9);
    last = Math.ceil(high / step - 1e-9);
  }
  const count = last - first;
  const edges = Array.from({ length: count + 1 }, (_, at) => multiple(first + at, step));
  const level = (at: number) => Math.round(1 + ((LEVELS - 1) * at) / Math.max(1, count - 1));
  // A loss is the stronger the lower it is.
  const shades = Array.from({ length: count }, (_, at) => ({ hue, level: hue === "loss" ? level(count - 1 - at) : level(at) }));
  return { edges, shades };
}

/** Return the number of the step that a value lies in; an edge belongs to the step away from zero. */
export function stepOf(scale: ColorScale, value: number): number {
  const { edges, shades } = scale;
  let at = 0;
  while (at < shades.length - 1 && (value > edges[at + 1]! || (value === edges[at + 1]! && value >= 0))) at += 1;
  return at;
}

/** Return the color of a value; zero between gains and losses has none. */
export function shadeOf(scale: ColorScale, value: number): Shade {
  const isParted = scale.edges[0]! < 0 && scale.edges.at(-1)! > 0;
  return value === 0 && isParted ? { hue: "seq", level: 0 } : scale.shades[stepOf(scale, value)]!;
}

export function fillOf({ hue, level }: Shade): string {
  return level ? `var(--heat-${hue}-${level})` : "var(--raised)";
}

/** Return the color of a thin line: pale steps would not be seen. */
export function strokeOf({ hue, level }: Shade): string {
  return level ? `var(--heat-${hue}-${Math.round(3 + ((LEVELS - 3) * (level - 1)) / (LEVELS - 1))})` : "var(--quiet)";
}

/** Return the color of a text on a step. */
export function inkOn({ level }: Shade): string {
  return level ? `var(--on-heat-${level})` : "var(--ink)";
}

/** Return round numbers from a range, about so many. */
export function ticks(low: number, high: number, about = 5): number[] {
  if (!(high > low)) return [low];
  const step = roundUp((high - low) / about);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, at) => multiple(first + at, step));
}

/**
 * Return where the values of an axis stand, 0 to 1: numbers by their size, others evenly.
 *
 * Numbers that are more than 50 times as far apart in one place as in another stand evenly, too:
 * else most would lie on each other.
 */
export function placesOf(values: readonly unknown[]): number[] {
  if (values.length < 2) return values.map(() => 0.5);
  const even = values.map((_, at) => at / (values.length - 1));
  if (!values.every((value): value is number => typeof value === "number")) return even;
  const gaps = values.slice(1).map((value, at) => value - values[at]!);
  if (Math.min(...gaps) <= 0 || Math.max(...gaps) > 50 * Math.min(...gaps)) return even;
  const [first, last] = [values[0]!, values.at(-1)!];
  return values.map((value) => (value - first) / (last - first));
}

/** Return every how manieth label fits. */
export function every(count: number, space: number, size: number): number {
  return Math.max(1, Math.ceil((count * size) / Math.max(1, space)));
}
