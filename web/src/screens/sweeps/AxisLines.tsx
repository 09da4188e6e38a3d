import { useMemo, useState, type KeyboardEvent, type ReactNode } from "react";
import { lineColor, lineStyle } from "../../charts/colors";
import { every, placesOf, ticks } from "../../charts/scales";
import { edgeText, figureName } from "./figures";
import { labelOf, type Columns, type Shown } from "./state";
import { useWidth } from "../../components/useWidth";

interface Props {
  columns: Columns;
  shown: Shown;
  cells: readonly (readonly number[])[];
  values: readonly (number | null)[];
  best: number;
  selected: ReadonlySet<string>;
  chosen: ReadonlySet<number> | null;
  onPoint(at: number, row: number, column: number): void;
  onOpen(at: number, isShift: boolean): void;
}

const MARGIN = { left: 74, right: 16, top: 12, bottom: 44 };
const HEIGHT = 360;
const MOST_LINES = 12;
const DASHES = { solid: undefined, dashed: "6 4", dotted: "2 3" };

interface Point {
  at: number;
  row: number;
  column: number;
  x: number;
  y: number;
  isKnown: boolean;
}

/** A figure over one axis; of a second axis, a line per value. */
export function AxisLines(props: Props): ReactNode {
  const { columns, shown, cells, values, selected, chosen } = props;
  const [box, width] = useWidth<HTMLDivElement>();
  const [current, setCurrent] = useState<Point | null>(null);
  const axis = columns.axes[shown.x]!;
  const lines = cells.slice(0, MOST_LINES);
  const drawn = useMemo(() => {
    const known = lines.flat().flatMap((at) => (at >= 0 && values[at] !== null && values[at] !== undefined ? [values[at]!] : []));
    let [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
    if (low === high) [low, high] = [low - (Math.abs(low) * 0.01 || 1), high + (Math.abs(high) * 0.01 || 1)];
    const pad = (high - low) * 0.06;
    [low, high] = [low - pad, high + pad];
    const places = placesOf(axis.values);
    const x = (column: number) => MARGIN.left + places[column]! * (width - MARGIN.left - MARGIN.right);
    const y = (value: number) => MARGIN.top + ((high - value) / (high - low)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
    const points: Point[] = lines.flatMap((line, row) =>
      line.flatMap((at, column) => {
        if (at < 0) return [];
        const value = values[at] ?? null;
        return [{ at, row, column, x: x(column), y: value === null ? HEIGHT - MARGIN.bottom - 6 : y(value), isKnown: value !== null }];
      }),
    );
    return { x, y, low, high, points, ticks: ticks(low, high) };
    // eslint-disable-next-line
  }, [cells, values, width, axis.values]);
  const pick = (point: Point | undefined) => {
    if (!point) return;
    setCurrent(point);
    props.onPoint(point.at, point.row, point.column);
  };
  const nearest = (event: { clientX: number; clientY: number; currentTarget: Element }) => {
    const bounds = event.currentTarget.getBoundingClientRect();
    const [px, py] = [event.clientX - bounds.left, event.clientY - bounds.top];
    let best: Point | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const point of drawn.points) {
      const distance = (point.x - px) ** 2 * 4 + (point.y - py) ** 2;
      if (distance < least) [best, least] = [point, distance];
    }
    return best;
  };
  const onKey = (event: KeyboardEvent) => {
    const here = current ?? drawn.points[0];
    if (!here) return;
    const find = (row: number, column: number) => drawn.points.find((point) => point.row === row && point.column === column);
    const steps: Record<string, [number, number]> = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 0], ArrowDown: [-1, 0] };
    const step = steps[event.key];
    if (step) pick(current ? find(here.row + step[0], here.column + step[1]) : here);
    else if ((event.key === "Enter" || event.key === "x") && current) props.onOpen(current.at, event.shiftKey || event.key === "x");
    else return;
    event.preventDefault();
  };
  const second = shown.y === null ? null : columns.axes[shown.y]!;
  return (
    <div
      ref={box}
      tabIndex={0}
      role="application"
      aria-roledescription="line chart"
      aria-label={`${figureName(shown.figure)} over ${axis.name}${second ? `, a line for each ${second.name}` : ""}: ${drawn.points.length} variants. Arrow keys move, Enter opens a run, x selects it. The table has the same variants.`}
      className="rounded"
      data-testid="axis-lines"
      onKeyDown={onKey}
      onFocus={(event) => event.target.matches(":focus-visible") && !current && pick(drawn.points[0])}
    >
      <svg width={width} height={HEIGHT} className="block cursor-pointer" onPointerMove={(event) => pick(nearest(event))} onClick={(event) => {
        const point = nearest(event);
        if (point) props.onOpen(point.at, event.shiftKey);
      }}>
        {drawn.ticks.map((value) => (
          <g key={value}>
            <line x1={MARGIN.left} x2={width - MARGIN.right} y1={drawn.y(value)} y2={drawn.y(value)} style={{ stroke: value === 0 ? "var(--quiet)" : "var(--line)" }} />
            <text x={MARGIN.left - 8} y={drawn.y(value) + 4} textAnchor="end" fontSize="11" style={{ fill: "var(--quiet)" }}>
              {edgeText(shown.figure, value)}
            </text>
          </g>
        ))}
        {axis.values.map((value, column) =>
          column % every(axis.values.length, width - MARGIN.left - MARGIN.right, 14 + 7 * Math.max(...axis.values.map((one) => labelOf(one).length))) ? null : (
            <text key={column} x={drawn.x(column)} y={HEIGHT - MARGIN.bottom + 18} textAnchor="middle" fontSize="11" style={{ fill: "var(--quiet)" }}>
              {labelOf(value)}
            </text>
          ),
        )}
        <text x={(MARGIN.left + width - MARGIN.right) / 2} y={HEIGHT - 6} textAnchor="middle" fontSize="12" fontWeight="600" style={{ fill: "var(--ink)" }}>
          {axis.name} →
        </text>
        {lines.map((_, row) => (
          <path key={row} d={pathOf(drawn.points.filter((point) => point.row === row))} style={{ fill: "none", stroke: lineColor(row), strokeWidth: current?.row === row && lines.length > 1 ? 2.5 : 1.5, strokeDasharray: DASHES[lineStyle(row)] }} />
        ))}
        {drawn.points.length <= 400 &&
          drawn.points.map((point) => {
            const isFailed = /failed|canceled/.test(columns.variant_status[point.at]!);
            const isChosen = selected.has(columns.run_id[point.at] ?? "-");
            const isPale = chosen !== null && !chosen.has(columns.number[point.at]!);
            if (!point.isKnown) {
              return (
                <text key={point.at} x={point.x} y={point.y + 4} textAnchor="middle" fontSize="12" fontWeight="600" style={{ fill: isFailed ? "var(--bad)" : "var(--quiet)" }}>
                  {isFailed ? "✕" : columns.variant_status[point.at] === "succeeded" ? "—" : "·"}
                </text>
              );
            }
            return <circle key={point.at} cx={point.x} cy={point.y} r={isChosen || point.at === props.best ? 5 : 3.5} style={{ fill: isChosen ? "var(--accent)" : point.at === props.best ? "var(--panel)" : lineColor(point.row), stroke: lineColor(point.row), strokeWidth: 2, opacity: isPale ? 0.25 : 1 }} />;
          })}
        {current && <circle cx={current.x} cy={current.y} r={8} style={{ fill: "none", stroke: "var(--ink)", strokeWidth: 2 }} />}
      </svg>
      {second && (
        <p className="flex flex-wrap gap-x-4 text-[12px]">
          {lines.map((_, row) => (
            <span key={row} className="whitespace-nowrap">
              <span className="mr-1 inline-block w-4 border-t-2 align-middle" style={{ borderColor: lineColor(row), borderStyle: lineStyle(row) }} />
              {second.name} {labelOf(second.values[row])}
            </span>
          ))}
          {cells.length > MOST_LINES && <span className="text-quiet">the first {MOST_LINES} of {cells.length} values; the heat map has all</span>}
        </p>
      )}
    </div>
  );
}

/** Points that are known one after the other are joined; what is null parts the line. */
function pathOf(points: readonly Point[]): string {
  let isDown = false;
  return points
    .map((point) => {
      if (!point.isKnown) {
        isDown = false;
        return "";
      }
      const step = `${isDown ? "L" : "M"}${point.x.toFixed(1)} ${point.y.toFixed(1)}`;
      isDown = true;
      return step;
    })
    .join("");
}
