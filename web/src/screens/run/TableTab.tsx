import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import { resultQuery, loadRows, type Row, type Summary, type TableName } from "../../api/result";
import type { WholeRun } from "../../api/runs";
import { useUrl, useZone } from "../../app/search";
import { buttonClass, Button, cx, Tag } from "../../components/basics";
import { DataTable } from "../../components/DataTable";
import { Empty, Failure } from "../../components/states";
import { count, UNKNOWN } from "../../lib/format";
import { formatNs, parseNs } from "../../lib/ns";
import { tableColumns, timeColumn } from "./tableColumns";

const PRESETS: Record<TableName, [string, string][]> = {
  trades: [["", "All"], ["net_pnl>0", "Won"], ["net_pnl<0", "Lost"], ["side:long", "Long"], ["side:short", "Short"], ["status:open", "Open"]],
  fills: [["", "All"], ["side:buy", "Buys"], ["side:sell", "Sells"], ["liquidity:maker", "Maker"], ["liquidity:taker", "Taker"]],
  orders: [["", "All"], ["status:filled", "Filled"], ["status:canceled", "Canceled"], ["status:expired", "Expired"], ["status:denied", "Denied"], ["status:rejected", "Rejected"], ["status:open", "Open"]],
};

/** Trades, fills or orders: sorted and filtered by the service; a row leads to its moment on the chart. */
export function TableTab({ run, table }: { run: WholeRun; table: TableName }): ReactNode {
  const [search, setUrl] = useUrl();
  const zone = useZone();
  const [total, setTotal] = useState<number | null>(null);
  const [reveal, setReveal] = useState<{ index: number } | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const { sort, where, row } = search;
  const idOf = useCallback((one: Row) => idOfRow(table, one), [table]);
  const load = useCallback(
    async (offset: number, limit: number, signal: AbortSignal) => loadRows(run.run_id, table, { sort, where, offset, limit }, signal),
    [run.run_id, table, sort, where],
  );
  const result = useQuery(resultQuery(run));
  const { config, instrument_keys: keys } = result.data?.metadata ?? {};
  const isBars = config?.kind === "bars";
  const isSeveral = Array.isArray(keys) && keys.length > 1;
  const columns = useMemo(() => tableColumns(table, zone, run.currency, isBars, isSeveral), [table, zone, run.currency, isBars, isSeveral]);
  const goTo = async (around: string) => {
    setProblem(null);
    try {
      const ns = parseNs(around);
      const page = await loadRows(run.run_id, table, { sort, where, around: ns === null ? around : ns.toString(), limit: 1 });
      if (page.row === null) return;
      setReveal({ index: page.row });
      const last = page.rows.at(-1);
      if (last) setUrl({ row: idOf(last), at: parseNs(String(last[timeColumn(table)] ?? ""))?.toString() });
    } catch (error) {
      setProblem(error);
    }
  };
  // A link to a row moves there once; the row's own clicks need no move.
  const [linked] = useState(row);
  useEffect(() => {
    if (linked) void goTo(linked.split("@")[1] ?? linked);
    // eslint-disable-next-line
  }, []);
  const chosen = (one: Row) => {
    const time = parseNs(String(one[timeColumn(table)] ?? ""));
    setUrl({ row: idOf(one), at: time === null ? undefined : time.toString() });
  };
  const csv = `/api/v1/runs/${run.run_id}/${table}?${new URLSearchParams({ format: "csv", ...(sort ? { sort } : {}), ...(where ? { where } : {}) })}`;
  return (
    <div className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-2">
        <div className="flex flex-wrap items-center gap-1" role="group" aria-label="Rows">
          {PRESETS[table].map(([value, label]) => {
            const isOn = (where ?? "") === value;
            return (
              <button key={label} type="button" aria-pressed={isOn} className={cx("h-7 rounded-[5px] border px-2", isOn ? "border-accent bg-accent-soft text-accent" : "border-line bg-panel hover:bg-raised")} onClick={() => setUrl({ where: value || undefined })}>
                {label}
              </button>
            );
          })}
        </div>
        <WhereField table={table} value={where ?? ""} onChange={(next) => setUrl({ where: next || undefined })} />
        <GoTo go={goTo} />
        <span className="text-quiet" role="status">
          {total === null ? "…" : `${count(total)} ${table}`}
        </span>
        <span className="ml-auto flex gap-2">
          <Button disabled={!search.at} onClick={() => setUrl({ tab: undefined, moment: search.at })} title="The ticks and the book around the chosen row">
            Microscope
          </Button>
          <Button disabled={!search.at} onClick={() => setUrl({ tab: undefined, ...around(search.at!) }, { push: true })} title="The chart around the chosen row">
            Show on chart
          </Button>
          <a className={buttonClass()} href={csv} download={`${run.run_id}-${table}.csv`} title="All rows that fit the filter, in this order, with all of their digits">
            CSV
          </a>
        </span>
      </div>
      {problem ? <Failure error={problem} compact /> : null}
      {table === "orders" && result.data && <Refusals summary={result.data.summary} />}
      <div className="flex h-[calc(100dvh-12rem)] min-h-80 flex-col overflow-hidden rounded border border-line">
        <DataTable
          label={`${table} of ${run.run_id}`}
          columns={columns}
          queryKey={["rows", run.run_id, run.digest, table, sort ?? "", where ?? ""]}
          load={load}
          rowId={idOf}
          {...(sort ? { sort } : {})}
          onSort={(next) => setUrl({ sort: next })}
          current={row ?? null}
          onCurrent={chosen}
          onOpen={(one) => {
            const time = parseNs(String(one[timeColumn(table)] ?? ""));
            if (time !== null) setUrl({ tab: undefined, row: idOf(one), moment: time.toString() }, { push: true });
          }}
          onTotal={setTotal}
          reveal={reveal}
          scope="Rows"
          empty={<Empty title={where ? `No ${table} fit this filter` : `The run has no ${table}`} />}
        />
      </div>
      {row && search.at && <p className="label">Chosen: {row.split("@")[0]} at {formatNs(BigInt(search.at), zone)} {zone}. Enter opens it under the microscope.</p>}
    </div>
  );
}

/** Positions of a netting account share an id: with its begin it is one row's own. */
function idOfRow(table: TableName, row: Row): string {
  if (table === "orders") return String(row.id);
  const time = parseNs(String(row[timeColumn(table)] ?? ""));
  return `${row[table === "fills" ? "order_id" : "position_id"] ?? UNKNOWN}@${time ?? ""}`;
}

export function around(at: string): { t0: string; t1: string } {
  const half = 300_000_000_000n;
  return { t0: (BigInt(at) - half).toString(), t1: (BigInt(at) + half).toString() };
}

const EXAMPLES: Record<TableName, string> = { trades: "side:long,net_pnl<0", fills: "side:buy,price>1", orders: "side:buy,amount>1" };

function WhereField({ table, value, onChange }: { table: TableName; value: string; onChange(next: string): void }): ReactNode {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onChange(text.trim());
      }}
    >
      <input data-filter className="field mono w-52" placeholder={EXAMPLES[table]} title="Conditions, separated by commas; Enter applies them ( / )" aria-label={`Filter: conditions as ${EXAMPLES[table]}, separated by commas; Enter applies them`} value={text} onChange={(event) => setText(event.target.value)} onBlur={() => text.trim() !== value && onChange(text.trim())} />
    </form>
  );
}

function GoTo({ go }: { go(text: string): void }): ReactNode {
  const [text, setText] = useState("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim()) go(text.trim());
      }}
    >
      <input className="field w-44" placeholder="Go to time or id" aria-label="Go to a time (UTC) or an id" value={text} onChange={(event) => setText(event.target.value)} />
    </form>
  );
}

/** Orders that were refused, by reason. */
function Refusals({ summary }: { summary: Summary }): ReactNode {
  const refused = ["denied", "rejected"].reduce((sum, status) => sum + Number(summary.orders_by_status[status] ?? 0), 0);
  if (!refused) return null;
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Tag tone="warn">{count(refused)} refused</Tag>
      {Object.entries(summary.refusals ?? {}).map(([reason, number]) => (
        <span key={reason} className="text-quiet">
          {count(number)} × {reason}
        </span>
      ))}
    </div>
  );
}
