import { useMemo, useRef, useState, type KeyboardEvent, type PointerEvent, type ReactNode } from "react";
import { placesOf, shadeOf, strokeOf, ticks, type ColorScale } from "../../charts/scales";
import { edgeText, figureName } from "./figures";
import { rangeOf, labelOf, withRange, type Columns, type Shown } from "./state";
import { useWidth } from "../../components/useWidth";

interface Props {
  columns: Columns;
  shown: Shown;
  figures: readonly string[];
  scale: ColorScale | null;
  selected: ReadonlySet<string>;
  chosen: ReadonlySet<number> | null;
  where: string | undefined;
  onWhere(where: string | undefined): void;
  onPoint(at: number): void;
  onOpen(at: number, isShift: boolean): void;
}

const TOP = 34;
const HEIGHT = 400;
const BOTTOM = 18;
const SIDE = 58;
/** Failed and unknown figures lie on a line of their own. */
const NOWHERE = HEIGHT - 6;

interface Scale {
  name: string;
  label: string;
  isFigure: boolean;
  low: number;
  high: number;
  /** Where each variant lies, in px from the top. */
  y: Float64Array;
  marks: { y: number; text: string }[];
  /** The value at a height; null where values are no numbers. */
  valueAt: ((y: number) => number) | null;
}

/** Every variant as a line over all axes and some figures: one path per color. */
export function Parallel(props: Props): ReactNode {
  const { columns, shown, scale, chosen, selected, where } = props;
  const [box, width] = useWidth<HTMLDivElement>();
  const [current, setCurrent] = useState(-1);
  const drag = useRef<{ axis: number; from: number } | null>(null);
  const [dragged, setDragged] = useState<{ axis: number; from: number; to: number } | null>(null);
  const scales = useMemo(() => [...columns.axes.map((_, at) => ofAxis(columns, at)), ...props.figures.map((name) => ofFigure(columns, name))], [columns, props.figures]);
  const x = (axis: number) => SIDE + (axis * (width - 2 * SIDE)) / Math.max(1, scales.length - 1);
  const values = columns.values[shown.figure] ?? [];
  const order = useMemo(() => columns.number.map((_, at) => at).sort((a, b) => (values[b] ?? Number.NEGATIVE_INFINITY) - (values[a] ?? Number.NEGATIVE_INFINITY)), [columns.number, values]);
  const lineOf = (at: number) => scales.map((one, axis) => `${axis ? "L" : "M"}${x(axis).toFixed(0)} ${one.y[at]!.toFixed(1)}`).join("");
  const paths = useMemo(() => {
    const paths = new Map<string, { stroke: string; isPale: boolean; d: string[] }>();
    columns.number.forEach((number, at) => {
      const value = values[at] ?? null;
      const isPale = chosen !== null && !chosen.has(number);
      const stroke = isPale ? "var(--line)" : value === null || !scale ? "var(--bad)" : strokeOf(shadeOf(scale, value));
      const path = paths.get(stroke) ?? { stroke, isPale, d: [] };
      path.d.push(lineOf(at));
      paths.set(stroke, path);
    });
    return [...paths.values()].sort((a, b) => Number(b.isPale) - Number(a.isPale));
    // eslint-disable-next-line
  }, [columns, scales, scale, chosen, width]);
  const pick = (at: number) => {
    setCurrent(at);
    props.onPoint(at);
  };
  const place = (event: PointerEvent) => {
    const bounds = event.currentTarget.getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top] as const;
  };
  const nearest = (px: number, py: number) => {
    const gap = (width - 2 * SIDE) / Math.max(1, scales.length - 1);
    const axis = Math.max(0, Math.min(scales.length - 2, Math.floor((px - SIDE) / gap)));
    const share = Math.max(0, Math.min(1, (px - x(axis)) / gap));
    let [best, least] = [-1, 24];
    columns.number.forEach((number, at) => {
      if (chosen !== null && !chosen.has(number)) return;
      const [from, to] = [scales[axis]!.y[at]!, (scales[axis + 1] ?? scales[axis])!.y[at]!];
      const distance = Math.abs(from + (to - from) * share - py);
      if (distance < least) [best, least] = [at, distance];
    });
    return best;
  };
  const axisAt = (px: number) => scales.findIndex((_, axis) => Math.abs(x(axis) - px) < 12);
  const brush = (axis: number, from: number, to: number) => {
    const { valueAt, name } = scales[axis]!;
    if (!valueAt) return;
    const range = Math.abs(to - from) < 4 ? null : ([valueAt(Math.max(from, to)), valueAt(Math.min(from, to))].map((value) => Number(value.toPrecision(4))) as [number, number]);
    props.onWhere(withRange(where, name, range));
  };
  const onKey = (event: KeyboardEvent) => {
    const here = order.indexOf(current);
    if (event.key === "ArrowDown" || event.key === "ArrowRight") pick(order[Math.min(order.length - 1, here + 1)]!);
    else if (event.key === "ArrowUp" || event.key === "ArrowLeft") pick(order[Math.max(0, here - 1)]!);
    else if ((event.key === "Enter" || event.key === "x") && current >= 0) props.onOpen(current, event.shiftKey || event.key === "x");
    else return;
    event.preventDefault();
  };
  return (
    <div
      ref={box}
      tabIndex={0}
      role="application"
      aria-roledescription="parallel coordinates"
      aria-label={`${columns.number.length} variants over ${scales.map((one) => one.label).join(", ")}. Arrow keys step from the highest ${figureName(shown.figure)} down, Enter opens a run, x selects it. Conditions above restrict them; the table has the same variants.`}
      className="overflow-x-auto rounded"
      data-testid="parallel"
      onKeyDown={onKey}
      onFocus={(event) => event.target.matches(":focus-visible") && current < 0 && order.length > 0 && pick(order[0]!)}
    >
      <svg
        width={width}
        height={HEIGHT}
        className="block touch-none select-none"
        onPointerDown={(event) => {
          const [px, py] = place(event);
          const axis = axisAt(px);
          if (axis < 0) return;
          drag.current = { axis, from: py };
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={(event) => {
          const [px, py] = place(event);
          if (drag.current) setDragged({ ...drag.current, to: py });
          else {
            const at = nearest(px, py);
            if (at >= 0 && at !== current) pick(at);
          }
        }}
        onPointerUp={(event) => {
          const [px, py] = place(event);
          const started = drag.current;
          drag.current = null;
          setDragged(null);
          if (started) brush(started.axis, started.from, py);
          else {
            const at = nearest(px, py);
            if (at >= 0) props.onOpen(at, event.shiftKey);
          }
        }}
      >
        {paths.map(({ stroke, isPale, d }) => (
          <path key={stroke} d={d.join("")} style={{ fill: "none", stroke, strokeWidth: columns.number.length > 300 ? 1 : 1.5, opacity: isPale ? 0.35 : columns.number.length > 300 ? 0.7 : 0.9, pointerEvents: "none" }} />
        ))}
        {columns.number.map((number, at) => (selected.has(columns.run_id[at] ?? "-") ? <path key={number} d={lineOf(at)} style={{ fill: "none", stroke: "var(--accent)", strokeWidth: 3 }} /> : null))}
        {current >= 0 && current < columns.number.length && <path d={lineOf(current)} style={{ fill: "none", stroke: "var(--ink)", strokeWidth: 2.5, pointerEvents: "none" }} />}
        {scales.map((one, axis) => {
          const range = dragged?.axis === axis ? null : rangeOf(where, one.name);
          const span = dragged?.axis === axis ? [dragged.from, dragged.to] : range && one.valueAt ? range.map((value) => heightOf(one, value)) : null;
          return (
            <g key={one.name}>
              <text x={x(axis)} y={14} textAnchor="middle" fontSize="12" fontWeight="600" style={{ fill: "var(--ink)" }}>
                {one.label}
              </text>
              <line x1={x(axis)} x2={x(axis)} y1={TOP} y2={HEIGHT - BOTTOM} style={{ stroke: "var(--quiet)" }} />
              {span && <rect x={x(axis) - 6} width={12} y={Math.min(...span)} height={Math.max(2, Math.abs(span[1]! - span[0]!))} style={{ fill: "var(--accent-soft)", stroke: "var(--accent)", opacity: 0.75 }} />}
              {one.marks.map((mark) => (
                <text key={mark.y} x={x(axis) + (axis === scales.length - 1 ? 6 : -6)} y={mark.y + 4} textAnchor={axis === scales.length - 1 ? "start" : "end"} fontSize="11" style={{ fill: "var(--ink)", stroke: "var(--panel)", strokeWidth: 3, paintOrder: "stroke" }}>
                  {mark.text}
                </text>
              ))}
              <rect x={x(axis) - 12} y={TOP} width={24} height={HEIGHT - TOP - BOTTOM} style={{ fill: "transparent", cursor: one.valueAt ? "ns-resize" : "default" }} />
            </g>
          );
        })}
      </svg>
      <p className="label">Drag along an axis to restrict it, click the axis to free it. Failed and unknown figures end at the bottom edge.</p>
    </div>
  );
}

const span = HEIGHT - BOTTOM - TOP;

function heightOf(scale: Scale, value: number): number {
  const share = (Math.max(scale.low, Math.min(scale.high, value)) - scale.low) / (scale.high - scale.low || 1);
  return TOP + (1 - share) * span;
}

function ofAxis(columns: Columns, at: number): Scale {
  const axis = columns.axes[at]!;
  const places = placesOf(axis.values);
  const heights = places.map((share) => TOP + (1 - share) * span);
  const numbers = axis.values.every((value) => typeof value === "number") ? (axis.values as number[]) : null;
  const step = Math.max(1, Math.ceil(axis.values.length / 12));
  const [low, high] = numbers ? [numbers[0]!, numbers.at(-1)!] : [0, 1];
  // Only where places follow the size of the numbers a height is a number.
  const isLinear = numbers !== null && axis.values.length > 1 && places.every((share, one) => Math.abs(share - (numbers[one]! - low) / (high - low)) < 1e-9);
  return {
    name: axis.name,
    label: axis.name,
    isFigure: false,
    low,
    high,
    y: Float64Array.from(columns.at[at]!, (value) => (value === null || value === undefined ? NOWHERE : heights[value]!)),
    marks: axis.values.flatMap((value, index) => (index % step ? [] : [{ y: heights[index]!, text: labelOf(value).slice(0, 14) }])),
    valueAt: isLinear ? (y) => low + (1 - (y - TOP) / span) * (high - low) : null,
  };
}

function ofFigure(columns: Columns, name: string): Scale {
  const values = columns.values[name] ?? [];
  const known = values.filter((value): value is number => value !== null);
  const low = known.reduce((a, b) => Math.min(a, b), known[0] ?? 0);
  const high = known.reduce((a, b) => Math.max(a, b), known[0] ?? 1);
  const height = (value: number) => TOP + (1 - (value - low) / (high - low || 1)) * span;
  return {
    name,
    label: figureName(name),
    isFigure: true,
    low,
    high,
    y: Float64Array.from(values, (value) => (value === null || value === undefined ? NOWHERE : height(value))),
    marks: (high > low ? ticks(low, high, 5) : [low]).map((value) => ({ y: height(value), text: edgeText(name, value) })),
    valueAt: high > low ? (y) => low + (1 - (y - TOP) / span) * (high - low) : null,
  };
}
