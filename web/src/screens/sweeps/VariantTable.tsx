import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useMemo, type MouseEvent, type ReactNode } from "react";
import { getJson, queryOf } from "../../api/client";
import { Dash, Status, Tag } from "../../components/basics";
import { DataTable, type Column } from "../../components/DataTable";
import { Empty } from "../../components/states";
import { Figure, figureName } from "./figures";
import { textOf, type Sweep, type Variant } from "./state";

interface Props {
  sweep: Sweep;
  figures: readonly string[];
  sort: string;
  where: string | undefined;
  selected: ReadonlySet<string>;
  /** Changes when variants have. */
  version: string;
  onSort(sort: string): void;
  onOpen(variant: Variant, isShift: boolean): void;
  onMark(variant: Variant): void;
  onTotal(total: number): void;
}

/** Variants with what varies, status and figures; sorted, filtered and paged by the service. */
export function VariantTable({ sweep, figures, sort, where, selected, version, onSort, onOpen, onMark, onTotal }: Props): ReactNode {
  const client = useQueryClient();
  const queryKey = useMemo(() => ["variants", sweep.id, sort, where ?? ""], [sweep.id, sort, where]);
  // Rows that are there stay until the new ones have come: nothing jumps.
  useEffect(() => void client.invalidateQueries({ queryKey: ["variants", sweep.id] }), [client, sweep.id, version]);
  const columns = useMemo(() => variantColumns(sweep, figures, selected, onMark), [sweep, figures, selected, onMark]);
  return (
    <DataTable<Variant>
      label="Variants"
      columns={columns}
      queryKey={queryKey}
      load={async (offset, limit, signal) => {
        const page = await getJson<Sweep>(`/api/v1/sweeps/${encodeURIComponent(sweep.id)}${queryOf({ sort, where, limit, offset })}`, signal);
        return { rows: page.rows, total: page.total };
      }}
      rowId={(row) => row.run_id ?? String(row.number)}
      sort={sort}
      onSort={onSort}
      onOpen={(row, event) => onOpen(row, !!event && isShiftClick(event))}
      onMark={onMark}
      marked={selected}
      onTotal={onTotal}
      scope="Variants"
      empty={<Empty title={where ? "No variant meets these conditions" : "No variant has begun yet"} />}
    />
  );
}

function isShiftClick(event: MouseEvent): boolean {
  return event.shiftKey;
}

function variantColumns(sweep: Sweep, figures: readonly string[], selected: ReadonlySet<string>, onMark: (variant: Variant) => void): Column<Variant>[] {
  const isRuns = sweep.kind === "runs";
  return [
    ...(isRuns
      ? [
          {
            id: "mark", label: "", title: "Selected", width: 34,
            cell: (row: Variant) => (row.run_id ? <input type="checkbox" className="accent-accent align-middle" checked={selected.has(row.run_id)} onChange={() => onMark(row)} aria-label={`Select variant ${row.number}`} /> : null),
          },
        ]
      : []),
    {
      id: "number", label: "#", title: "Number of the variant", width: 62, numeric: true, sort: "number",
      cell: (row) => (row.run_id ? <Link to="/runs/$runId" params={{ runId: row.run_id }} className="text-accent hover:underline" title={row.run_id}>{row.number}</Link> : row.number),
    },
    ...sweep.axes.map((axis) => ({ id: `axis ${axis.path}`, label: axis.name, title: axis.path, width: Math.max(80, Math.min(180, 26 + 8 * axis.name.length)), numeric: axis.values.every((value) => typeof value === "number"), sort: axis.name, cell: (row: Variant) => <span title={textOf(row.varied[axis.path])}>{textOf(row.varied[axis.path])}</span> })),
    {
      id: "status", label: "Status", width: isRuns ? 190 : 106, sort: "status",
      cell: (row) => (
        <span className="flex items-center gap-1.5" title={row.error ?? row.status}>
          <Status status={row.status} />
          {row.error && <span className="min-w-0 truncate text-quiet">{row.error}</span>}
          {row.flags.length > 0 && <Tag tone="warn" title={row.flags.join("\n")}>⚠ {row.flags.length}</Tag>}
        </span>
      ),
    },
    ...figures.map((name) => ({
      id: name, label: figureName(name), width: Math.max(92, 24 + 7 * figureName(name).length), numeric: true, sort: name,
      cell: (row: Variant) => (row.status === "succeeded" ? <Figure name={name} value={row.figures[name]} /> : <Dash why={row.status === "failed" ? `null: the variant failed${row.error ? `: ${row.error}` : ""}` : `null: the variant is ${row.status}`} />),
    })),
  ];
}
