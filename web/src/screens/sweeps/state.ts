/** What of a sweep is shown, from the address: figure, drawing, axes, fixed values. */

import type { components } from "../../api/schema";
import type { Search } from "../../lib/url";

export type Sweep = components["schemas"]["Sweep"];
export type Variant = components["schemas"]["SweepVariant"];
export type Columns = components["schemas"]["SweepColumns"];
export type Axis = components["schemas"]["Axis"];
export type View = "map" | "lines" | "parallel" | "none";

export const VIEWS: readonly (readonly [View, string])[] = [
  ["map", "Heat map"],
  ["lines", "Lines"],
  ["parallel", "Parallel"],
];

export interface Shown {
  figure: string;
  view: View;
  /** Numbers of axes; y only where there are two. */
  x: number;
  y: number | null;
  /** Of each further axis the number of the value that is held. */
  fixed: ReadonlyMap<number, number>;
  /** Whether a cell has the worst of itself and its neighbors. */
  isWorst: boolean;
}

const FIRST = ["pnl", "total_return"];

/** Return what is shown; what the address does not say, or says wrongly, is chosen by the axes. */
export function shownOf(search: Search, axes: readonly Axis[], figures: readonly string[]): Shown {
  // Axes of one value vary nothing.
  const varying = axes.flatMap((axis, at) => (axis.values.length > 1 ? [at] : []));
  const usable = varying.length ? varying : axes.map((_, at) => at);
  const figure = figures.includes(search.figure ?? "") ? search.figure! : (FIRST.find((name) => figures.includes(name)) ?? figures[0] ?? "");
  const named = (name: string | undefined) => axes.findIndex((axis) => axis.name === name);
  const asked = { x: named(search.x), y: named(search.y) };
  const x = asked.x >= 0 ? asked.x : (usable.find((at) => at !== asked.y) ?? 0);
  const others = usable.filter((at) => at !== x);
  const y = axes.length < 2 ? null : asked.y >= 0 && asked.y !== x ? asked.y : (others[0] ?? null);
  const standard: View = axes.length === 0 ? "none" : varying.length > 2 ? "parallel" : varying.length === 2 ? "map" : "lines";
  const allowed = axes.length === 0 ? ["none"] : y === null ? ["lines", "parallel"] : ["map", "lines", "parallel"];
  const view = (allowed.includes(search.view ?? "") ? search.view : standard) as View;
  const wanted = new Map((search.fix ?? "").split(",").map((part) => part.split(":") as [string, string]));
  const fixed = new Map<number, number>();
  axes.forEach((axis, at) => {
    if (at === x || at === y) return;
    const held = axis.values.findIndex((value) => textOf(value) === wanted.get(axis.name));
    fixed.set(at, Math.max(0, held));
  });
  return { figure, view, x, y, fixed, isWorst: search.shade === "worst" };
}

/** Return the address's text for held values. */
export function fixText(axes: readonly Axis[], fixed: ReadonlyMap<number, number>): string | undefined {
  const parts = [...fixed].filter(([, value]) => value > 0).map(([axis, value]) => `${axes[axis]!.name}:${textOf(axes[axis]!.values[value])}`);
  return parts.join(",") || undefined;
}

export function textOf(value: unknown): string {
  return value === undefined || value === null ? "—" : typeof value === "string" ? value : JSON.stringify(value);
}

/** A value as people read it: large numbers in groups of three. */
export function labelOf(value: unknown): string {
  return typeof value === "number" && Math.abs(value) >= 10_000 ? value.toLocaleString("en-US", { maximumFractionDigits: 20 }) : textOf(value);
}

/** Figures whose sign says gain or loss. */
export function isSigned(figure: string): boolean {
  return /pnl|return|cagr|sharpe|sortino|calmar|expectancy|realized|funding|drawdown/.test(figure);
}

/** Figures of which less is better. */
export function isLessBetter(figure: string): boolean {
  return /commissions|flag_count|volatility/.test(figure);
}

/** Shares are fractions. */
export function isShare(figure: string): boolean {
  return /return|drawdown$|win_rate|volatility|cagr/.test(figure);
}

/** Return which variant stands in each cell: rows of y by columns of x, -1 where there is none. */
export function cellsOf(columns: Columns, shown: Shown): number[][] {
  const width = columns.axes[shown.x]?.values.length ?? 0;
  const height = shown.y === null ? 1 : (columns.axes[shown.y]?.values.length ?? 0);
  const cells = Array.from({ length: height }, () => new Array<number>(width).fill(-1));
  for (let at = 0; at < columns.number.length; at += 1) {
    if (![...shown.fixed].every(([axis, value]) => columns.at[axis]![at] === value)) continue;
    const column = columns.at[shown.x]?.[at];
    const row = shown.y === null ? 0 : columns.at[shown.y]?.[at];
    if (column !== null && column !== undefined && row !== null && row !== undefined) cells[row]![column] = at;
  }
  return cells;
}

export interface Around {
  known: number;
  low: number;
  high: number;
}

/** Return how a figure lies in the cells around one; null where none is known. */
export function around(cells: readonly (readonly number[])[], values: readonly (number | null)[], row: number, column: number): Around | null {
  const neighbors: number[] = [];
  for (let y = row - 1; y <= row + 1; y += 1) {
    for (let x = column - 1; x <= column + 1; x += 1) {
      const at = y === row && x === column ? -1 : (cells[y]?.[x] ?? -1);
      const value = at < 0 ? null : values[at];
      if (value !== null && value !== undefined) neighbors.push(value);
    }
  }
  return neighbors.length ? { known: neighbors.length, low: Math.min(...neighbors), high: Math.max(...neighbors) } : null;
}

/** Return the values of a map: as they are, or of each the worst of itself and its neighbors. */
export function shadedValues(columns: Columns, cells: readonly (readonly number[])[], shown: Shown): (number | null)[] {
  const values = columns.values[shown.figure] ?? [];
  if (!shown.isWorst) return values;
  const worst = [...values];
  cells.forEach((line, row) =>
    line.forEach((at, column) => {
      const own = at < 0 ? null : values[at];
      const near = own === null || own === undefined ? null : around(cells, values, row, column);
      if (near && own !== null && own !== undefined) worst[at] = isLessBetter(shown.figure) ? Math.max(own, near.high) : Math.min(own, near.low);
    }),
  );
  return worst;
}

/** Return the variant with the best figure, -1 where none is known. */
export function bestOf(values: readonly (number | null)[], figure: string): number {
  const sign = isLessBetter(figure) ? -1 : 1;
  let best = -1;
  values.forEach((value, at) => {
    if (value !== null && (best < 0 || sign * value > sign * values[best]!)) best = at;
  });
  return best;
}

/** Return conditions without those of a name, and with a range of it; null removes only. */
export function withRange(where: string | undefined, name: string, range: [number, number] | null): string | undefined {
  const rest = (where ?? "").split(",").filter((part) => part.trim() && !new RegExp(`^\\s*${name.replace(/[.[\]]/g, "\\$&")}\\s*(<=|>=|!=|[:=<>~])`).test(part));
  const added = range ? [`${name}>=${range[0]}`, `${name}<=${range[1]}`] : [];
  return [...rest, ...added].join(",") || undefined;
}

/** Return the range that conditions set for a name; open ends are infinite. */
export function rangeOf(where: string | undefined, name: string): [number, number] | null {
  let [low, high] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const part of (where ?? "").split(",")) {
    const match = /^\s*(.+?)\s*(<=|>=|<|>)\s*(-?[\d.eE+-]+)\s*$/.exec(part);
    if (!match || match[1] !== name) continue;
    if (match[2]!.startsWith(">")) low = Math.max(low, Number(match[3]));
    else high = Math.min(high, Number(match[3]));
  }
  return low === Number.NEGATIVE_INFINITY && high === Number.POSITIVE_INFINITY ? null : [low, high];
}
