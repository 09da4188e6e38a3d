import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { getJson } from "../../api/client";
import type { WholeRun } from "../../api/runs";
import type { components } from "../../api/schema";
import { useUrl } from "../../app/search";
import { cx, Dash, Money, Num } from "../../components/basics";
import { Empty, Loaded, Skeleton } from "../../components/states";
import { count, decimal, signed } from "../../lib/format";
import { RollingSharpe } from "./RollingSharpe";

type Breakdown = components["schemas"]["Breakdown"];

const BY = ["hour", "weekday", "day", "month", "side", "instrument", "liquidity", "purpose"];

/** What the result is made up of, and how its round trips are distributed. */
export function BreakdownTab({ run }: { run: WholeRun }): ReactNode {
  const [search, setUrl] = useUrl();
  const by = search.by ?? "hour";
  const query = useQuery({
    queryKey: ["breakdown", run.run_id, run.digest, by],
    queryFn: ({ signal }) => getJson<Breakdown>(`/api/v1/runs/${run.run_id}/breakdown?by=${by}`, signal),
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <div className="flex flex-col gap-3 px-1">
      <div className="flex flex-wrap items-center gap-1" role="group" aria-label="By">
        {BY.map((one) => (
          <button key={one} type="button" aria-pressed={by === one} className={cx("h-7 rounded-[5px] border px-2", by === one ? "border-accent bg-accent-soft text-accent" : "border-line bg-panel hover:bg-raised")} onClick={() => setUrl({ by: one === "hour" ? undefined : one })}>
            {one}
          </button>
        ))}
        {["hour", "weekday", "day", "month"].includes(by) && <span className="label ml-2">UTC</span>}
      </div>
      <Loaded query={query} place={<Skeleton className="h-72" />}>
        {(data) => (
          <div className="grid gap-6 xl:grid-cols-2">
            {data.rows.length ? <Rows rows={data.rows} /> : <Empty title="There are no rows" />}
            <div className="flex min-w-0 flex-col gap-6">
              {data.histogram && data.histogram.n.length > 0 && <Histogram {...data.histogram} currency={run.currency ?? ""} />}
              <RollingSharpe run={run} />
            </div>
          </div>
        )}
      </Loaded>
    </div>
  );
}

function Rows({ rows }: { rows: Breakdown["rows"] }): ReactNode {
  const most = Math.max(...rows.map((row) => Math.abs(Number(row.net_pnl ?? 0))), 1e-12);
  return (
    <table className="plain-table self-start">
      <thead>
        <tr>
          <th scope="col" className="w-28">Key</th>
          <th scope="col" className="num w-20">Trades</th>
          <th scope="col" className="num w-20">Fills</th>
          <th scope="col" className="num w-32">Net PnL</th>
          <th scope="col">
            <span className="sr-only">Loss and gain</span>
          </th>
          <th scope="col" className="num w-28">Commissions</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => {
          const share = Number(row.net_pnl ?? 0) / most;
          return (
            <tr key={row.key}>
              <th scope="row" className="!text-ink font-normal">{row.key}</th>
              <td className="num">{row.trades === null ? <Dash why="fills are grouped here, not round trips" /> : count(row.trades)}</td>
              <td className="num">{count(row.fills)}</td>
              <td className="num"><Money value={row.net_pnl} why="fills of one kind have no result of their own" /></td>
              <td aria-hidden="true">
                <span className="grid h-4 grid-cols-2">
                  <span className="flex justify-end">{share < 0 && <span className="h-3 self-center bg-loss" style={{ width: `${-share * 100}%` }} />}</span>
                  <span className="border-l border-quiet">{share > 0 && <span className="mt-0.5 block h-3 bg-gain" style={{ width: `${share * 100}%` }} />}</span>
                </span>
              </td>
              <td className="num"><Num value={row.commissions} digits={2} why="not known for this grouping" /></td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function Histogram({ edges, n, currency }: { edges: number[]; n: number[]; currency: string }): ReactNode {
  const most = Math.max(...n, 1);
  const total = n.reduce((sum, one) => sum + one, 0);
  return (
    <figure>
      <figcaption className="mb-2 font-medium">Net PnL of {count(total)} round trips, in {currency}</figcaption>
      <div className="flex h-48 items-end gap-px border-b border-line" role="img" aria-label={n.map((one, at) => (one ? `${one} from ${decimal(edges[at], 2)} to ${decimal(edges[at + 1], 2)}` : "")).filter(Boolean).join("; ")}>
        {n.map((one, at) => (
          <span
            key={edges[at]}
            title={`${signed(edges[at])} to ${signed(edges[at + 1])}: ${count(one)}`}
            className={cx("min-w-0 flex-1", (edges[at]! + edges[at + 1]!) / 2 < 0 ? "bg-loss" : "bg-gain")}
            style={{ height: `${(one / most) * 100}%`, minHeight: one ? 2 : 0 }}
          />
        ))}
      </div>
      <div className="mt-1 flex justify-between text-[12px] text-quiet">
        <span>{signed(edges[0])}</span>
        <span>{signed(edges.at(-1))}</span>
      </div>
    </figure>
  );
}
