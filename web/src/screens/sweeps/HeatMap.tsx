import { memo, useMemo, useState, type KeyboardEvent, type PointerEvent, type ReactNode } from "react";
import { every, fillOf, inkOn, shadeOf, type ColorScale } from "../../charts/scales";
import { figureName, figureText } from "./figures";
import { Hatch } from "./Legend";
import { labelOf, type Columns, type Shown } from "./state";
import { useWidth } from "../../components/useWidth";

interface Props {
  columns: Columns;
  shown: Shown;
  cells: readonly (readonly number[])[];
  values: readonly (number | null)[];
  scale: ColorScale | null;
  best: number;
  selected: ReadonlySet<string>;
  /** Variants that the conditions leave out are pale; null: none. */
  chosen: ReadonlySet<number> | null;
  onPoint(at: number, row: number, column: number): void;
  onOpen(at: number, isShift: boolean): void;
}

const BOTTOM = 40;
const TOP = 6;
const TALLEST = 560;
/** From here on values are printed into the cells. */
const PRINTED = { width: 46, height: 19, most: 600 };

/** A figure over two axes: one path per color, so that ten thousand cells are a dozen elements. */
export function HeatMap(props: Props): ReactNode {
  const { columns, shown, cells, selected } = props;
  const [box, width] = useWidth<HTMLDivElement>();
  const [at, setAt] = useState<{ row: number; column: number } | null>(null);
  const xAxis = columns.axes[shown.x]!;
  const yAxis = columns.axes[shown.y!]!;
  const left = Math.min(140, 26 + 7 * Math.max(...yAxis.values.map((value) => labelOf(value).length)));
  const [nx, ny] = [xAxis.values.length, yAxis.values.length];
  const cell = { width: Math.min(160, Math.max(3, (width - left - 8) / nx)), height: Math.min(40, Math.max(4, (TALLEST - TOP - BOTTOM) / ny)) };
  const size = { width: left + cell.width * nx + 4, height: TOP + cell.height * ny + BOTTOM };
  // Small values stand at the bottom, as on any chart.
  const top = (row: number) => TOP + (ny - 1 - row) * cell.height;

  const go = (row: number, column: number) => {
    const next = { row: Math.max(0, Math.min(ny - 1, row)), column: Math.max(0, Math.min(nx - 1, column)) };
    setAt(next);
    props.onPoint(cells[next.row]![next.column]!, next.row, next.column);
  };
  const pointed = (event: PointerEvent<SVGSVGElement>) => {
    const bounds = event.currentTarget.getBoundingClientRect();
    const column = Math.floor((event.clientX - bounds.left - left) / cell.width);
    const row = ny - 1 - Math.floor((event.clientY - bounds.top - TOP) / cell.height);
    if (column < 0 || column >= nx || row < 0 || row >= ny) return null;
    return { row, column };
  };
  const onKey = (event: KeyboardEvent) => {
    const here = at ?? { row: 0, column: 0 };
    const moves: Record<string, [number, number]> = {
      ArrowRight: [here.row, here.column + 1], ArrowLeft: [here.row, here.column - 1], ArrowUp: [here.row + 1, here.column], ArrowDown: [here.row - 1, here.column],
      Home: [here.row, 0], End: [here.row, nx - 1], PageUp: [ny - 1, here.column], PageDown: [0, here.column],
    };
    const move = moves[event.key];
    if (move) go(...(at ? move : ([here.row, here.column] as [number, number])));
    else if ((event.key === "Enter" || event.key === "x") && at) props.onOpen(cells[at.row]![at.column]!, event.shiftKey || event.key === "x");
    else return;
    event.preventDefault();
  };
  const marks = useMemo(() => {
    const frames: { row: number; column: number; kind: "selected" | "best" }[] = [];
    cells.forEach((line, row) =>
      line.forEach((index, column) => {
        if (index >= 0 && index === props.best) frames.push({ row, column, kind: "best" });
        if (index >= 0 && selected.has(columns.run_id[index] ?? "-")) frames.push({ row, column, kind: "selected" });
      }),
    );
    return frames;
  }, [cells, selected, props.best, columns.run_id]);
  const known = cells.flat().filter((index) => index >= 0).length;
  return (
    <div
      ref={box}
      tabIndex={0}
      role="application"
      aria-roledescription="heat map"
      aria-label={`${figureName(shown.figure)} of ${known} variants: ${xAxis.name} from left to right, ${yAxis.name} from bottom to top. Arrow keys move, Enter opens a run, x selects it. The table has the same variants.`}
      className="overflow-x-auto rounded"
      data-testid="heat-map"
      onKeyDown={onKey}
      onFocus={(event) => event.target.matches(":focus-visible") && !at && go(0, 0)}
    >
      <svg
        width={size.width}
        height={size.height}
        className="block cursor-pointer"
        onPointerMove={(event) => {
          const cellAt = pointed(event);
          if (cellAt && (cellAt.row !== at?.row || cellAt.column !== at.column)) go(cellAt.row, cellAt.column);
        }}
        onClick={(event) => {
          const cellAt = pointed(event as unknown as PointerEvent<SVGSVGElement>);
          if (cellAt) props.onOpen(cells[cellAt.row]![cellAt.column]!, event.shiftKey);
        }}
      >
        <defs>
          <Hatch id="map-hatch" />
        </defs>
        <Cells {...props} left={left} width={cell.width} height={cell.height} ny={ny} />
        <Labels axis={xAxis.values} every={every(nx, cell.width * nx, 14 + 7 * Math.max(...xAxis.values.map((value) => labelOf(value).length)))} place={(index) => [left + (index + 0.5) * cell.width, TOP + ny * cell.height + 14]} anchor="middle" />
        <Labels axis={yAxis.values} every={every(ny, cell.height * ny, 15)} place={(index) => [left - 6, top(index) + cell.height / 2 + 4]} anchor="end" />
        <text x={left + (cell.width * nx) / 2} y={size.height - 6} textAnchor="middle" fontSize="12" fontWeight="600" style={{ fill: "var(--ink)" }}>
          {xAxis.name} →
        </text>
        <text transform={`translate(12 ${TOP + (cell.height * ny) / 2}) rotate(-90)`} textAnchor="middle" fontSize="12" fontWeight="600" style={{ fill: "var(--ink)" }}>
          {yAxis.name} →
        </text>
        {marks.map(({ row, column, kind }) => (
          <rect key={`${kind}${row}-${column}`} x={left + column * cell.width + 0.5} y={top(row) + 0.5} width={Math.max(2, cell.width - 2)} height={Math.max(2, cell.height - 2)} style={{ fill: "none", stroke: kind === "best" ? "var(--ink)" : "var(--accent)", strokeWidth: kind === "best" ? 1.5 : 3, ...(kind === "best" ? { strokeDasharray: "3 2" } : {}) }} />
        ))}
        {at && at.row < ny && at.column < nx && <rect data-testid="map-cursor" x={left + at.column * cell.width - 0.5} y={top(at.row) - 0.5} width={cell.width} height={cell.height} style={{ fill: "none", stroke: "var(--ink)", strokeWidth: 2 }} />}
      </svg>
    </div>
  );
}

interface CellsProps extends Props {
  left: number;
  width: number;
  height: number;
  ny: number;
}

const Cells = memo(function Cells({ columns, shown, cells, values, scale, chosen, left, width, height, ny }: CellsProps): ReactNode {
  const paths = new Map<string, { fill: string; isPale: boolean; d: string[] }>();
  const texts: ReactNode[] = [];
  const gap = Math.min(width, height) > 8 ? 1 : 0;
  const count = cells.length * (cells[0]?.length ?? 0);
  const isPrinted = width >= PRINTED.width && height >= PRINTED.height && count <= PRINTED.most;
  cells.forEach((line, row) =>
    line.forEach((at, column) => {
      if (at < 0) return;
      const [x, y] = [left + column * width, TOP + (ny - 1 - row) * height];
      const value = values[at] ?? null;
      const status = columns.variant_status[at]!;
      const shade = value === null || !scale ? null : shadeOf(scale, value);
      const kind = shade ? fillOf(shade) : status === "failed" || status === "canceled" ? "url(#map-hatch)" : status === "succeeded" ? "unknown" : "pending";
      const isPale = chosen !== null && !chosen.has(columns.number[at]!);
      const key = `${kind} ${isPale}`;
      const path = paths.get(key) ?? { fill: kind, isPale, d: [] };
      path.d.push(`M${x.toFixed(1)} ${y.toFixed(1)}h${(width - gap).toFixed(1)}v${(height - gap).toFixed(1)}h${(gap - width).toFixed(1)}z`);
      paths.set(key, path);
      if (isPrinted || (kind === "unknown" && count <= PRINTED.most)) {
        texts.push(
          <text key={at} x={x + width / 2} y={y + height / 2 + 4} textAnchor="middle" fontSize="11" style={{ fill: shade && !isPale ? inkOn(shade) : "var(--ink)", pointerEvents: "none" }}>
            {shade ? figureText(shown.figure, value, true) : kind === "unknown" ? "—" : ""}
          </text>,
        );
      }
    }),
  );
  return (
    <>
      {[...paths.entries()].map(([key, { fill, isPale, d }]) => (
        <path
          key={key}
          d={d.join("")}
          style={
            fill === "pending" ? { fill: "none", stroke: "var(--line)", strokeDasharray: "2 2" } : fill === "unknown" ? { fill: "var(--panel)", stroke: "var(--line)" } : { fill, opacity: isPale ? 0.25 : 1 }
          }
        />
      ))}
      {texts}
    </>
  );
});

function Labels({ axis, every: step, place, anchor }: { axis: readonly unknown[]; every: number; place(index: number): [number, number]; anchor: "middle" | "end" }): ReactNode {
  return axis.map((value, index) => {
    if (index % step) return null;
    const [x, y] = place(index);
    const text = labelOf(value);
    return (
      <text key={index} x={x} y={y} textAnchor={anchor} fontSize="11" style={{ fill: "var(--quiet)" }}>
        {text.length > 16 ? `${text.slice(0, 15)}…` : text}
        {text.length > 16 && <title>{text}</title>}
      </text>
    );
  });
}
