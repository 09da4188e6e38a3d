import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, type ReactNode } from "react";
import { loadGroups, type RunGroup } from "../../api/groups";
import { shortInstrument, type RunFilter } from "../../api/runs";
import { useUrl, useZone } from "../../app/search";
import { Dash, Num, Percent, Tag } from "../../components/basics";
import { DataTable, type Column } from "../../components/DataTable";
import { Empty } from "../../components/states";
import { count, shortConfig } from "../../lib/format";
import { formatNs, parseNs } from "../../lib/ns";

/** What runs can be grouped by: the address's word, its name, the filter that a group becomes. */
export const GROUPS = {
  config: { column: "config_name", label: "Config", short: shortConfig },
  instrument: { column: "instrument", label: "Instrument", short: shortInstrument },
  partition: { column: "partition", label: "Day", short: (value: string) => value },
  status: { column: "status", label: "Status", short: (value: string) => value },
  sweep: { column: "sweep_id", label: "Sweep", short: (value: string) => value },
} as const;

export type GroupName = keyof typeof GROUPS;

export function groupOf(text: string | undefined): GroupName | null {
  return text && text in GROUPS ? (text as GroupName) : null;
}

/** Which groups there are: a choice that the address keeps. */
export function GroupChoice(): ReactNode {
  const [search, setUrl] = useUrl();
  return (
    <select aria-label="Group by" className="field" value={groupOf(search.group) ?? ""} onChange={(event) => setUrl({ group: event.target.value || undefined, gsort: undefined }, { push: true })}>
      <option value="">Not grouped</option>
      {Object.entries(GROUPS).map(([name, { label }]) => (
        <option key={name} value={name}>
          By {label.toLowerCase()}
        </option>
      ))}
    </select>
  );
}

type Figure = Exclude<keyof RunGroup, "value">;

const none = "no run of this group has it";

function figure(id: Figure, label: string, width: number, cell: (value: never) => ReactNode, title?: string): Column<RunGroup> {
  return { id, label, width, numeric: true, sort: id, ...(title ? { title } : {}), cell: (row) => (row[id] === null ? <Dash why={none} /> : cell(row[id] as never)) };
}

/** Runs by what they have in common; a group opens as the runs that it has. */
export function GroupsTable({ by, filter, onTotal }: { by: GroupName; filter: RunFilter; onTotal(total: number): void }): ReactNode {
  const [search, setUrl] = useUrl();
  const zone = useZone();
  const client = useQueryClient();
  const { column, label, short } = GROUPS[by];
  const sort = search.gsort ?? "-runs";
  const load = useCallback(
    async (offset: number, limit: number, signal: AbortSignal) => {
      const { groups } = await client.fetchQuery({ queryKey: ["groups", column, filter], queryFn: () => loadGroups(filter, column, signal), staleTime: 10_000 });
      return { rows: sorted(groups, sort).slice(offset, offset + limit), total: groups.length };
    },
    [client, column, filter, sort],
  );
  const columns = useMemo<Column<RunGroup>[]>(
    () => [
      { id: "value", label, width: 270, sort: "value", cell: (row) => (row.value === null ? <Dash why={`no ${label.toLowerCase()}`} /> : <span title={row.value}>{short(row.value)}</span>) },
      figure("runs", "Runs", 84, (value: number) => count(value)),
      figure("best_return", "Best return", 110, (value: number) => <Percent value={value} />),
      figure("mean_return", "Mean return", 110, (value: number) => <Percent value={value} />),
      figure("worst_return", "Worst return", 110, (value: number) => <Percent value={value} />),
      figure("best_sharpe", "Best Sharpe", 104, (value: number) => <Num value={value} digits={2} />),
      figure("worst_drawdown", "Worst drawdown", 128, (value: number) => <Percent value={value} />),
      figure("failed", "Failed", 76, (value: number) => (value ? <span className="text-bad">{count(value)}</span> : <span className="text-quiet">0</span>)),
      figure("flagged", "Flagged", 84, (value: number) => (value ? <Tag tone="warn">⚠ {count(value)}</Tag> : <span className="text-quiet">0</span>), "Runs with warnings"),
      { id: "executed_at", label: "Latest", width: 176, sort: "executed_at", cell: (row) => formatNs(parseNs(row.executed_at) ?? 0n, zone, 0) },
    ],
    [label, short, zone],
  );
  return (
    <DataTable
      label={`Runs by ${label.toLowerCase()}`}
      columns={columns}
      queryKey={["groups-table", by, filter, sort]}
      load={load}
      rowId={(row) => row.value ?? ""}
      sort={sort}
      onSort={(next) => setUrl({ gsort: next === "-runs" ? undefined : next })}
      onOpen={(row) => row.value !== null && setUrl({ group: undefined, gsort: undefined, [by]: row.value }, { push: true })}
      onTotal={onTotal}
      scope="Groups"
      empty={<Empty title="No run fits these filters" />}
    />
  );
}

/** Groups in an order; what is not known comes last. */
function sorted(groups: readonly RunGroup[], sort: string): RunGroup[] {
  const name = sort.replace(/^-/, "") as keyof RunGroup;
  const way = sort.startsWith("-") ? -1 : 1;
  return [...groups].sort((a, b) => {
    const [left, right] = [a[name], b[name]];
    if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1;
    return left === right ? 0 : (left < right ? -1 : 1) * way;
  });
}
