import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { periodOf, shortInstrument, type Run } from "../../api/runs";
import { Copy, Dash, Money, Num, Percent, Status, Tag } from "../../components/basics";
import type { Column } from "../../components/DataTable";
import { formatNs, parseNs } from "../../lib/ns";
import { count, seconds, shortConfig } from "../../lib/format";

export interface RunColumn extends Column<Run> {
  group: "Run" | "Result" | "Risk" | "Trades" | "Cost" | "Identity";
  /** What two runs are compared by for "only what differs". */
  value(run: Run): unknown;
}

type Figure = Exclude<keyof Run, "links">;

const noResult = (run: Run) => (run.status === "succeeded" ? "not known for this run" : `the run is ${run.status}`);

function figure(id: Figure, label: string, group: RunColumn["group"], width: number, cell: (value: never, run: Run) => ReactNode, title?: string): RunColumn {
  return {
    id,
    label,
    group,
    width,
    numeric: true,
    sort: id,
    ...(title ? { title } : {}),
    value: (run) => run[id],
    cell: (run) => (run[id] === null ? <Dash why={noResult(run)} /> : cell(run[id] as never, run)),
  };
}

const money = (value: number) => <Money value={value} isShort />;
const amount = (value: number) => <Num value={value} digits={2} />;
const share = (value: number) => <Percent value={value} />;
const plainShare = (value: number) => <Percent value={value} tinted={false} />;
const ratio = (value: number) => <Num value={value} digits={2} />;
const whole = (value: number) => count(value);

const SHORT_ID = 204;
/** Width in px that shows all of most texts, where there is space. */
const WHOLE: Partial<Record<string, number>> = { run_id: 300, config_name: 250 };

/** Columns that are there unless the address says otherwise, as far as they fit; what matters most comes first. */
const STANDARD = ["run_id", "status", "pnl", "total_return", "max_drawdown", "flag_count", "star", "sharpe_ratio", "window_start", "fills", "orders", "config_name", "executed_at", "verified", "digest"];

/** Return the standard columns that fit a width in px, and give what is left to long names. */
export function standardColumns(all: readonly RunColumn[], width: number): RunColumn[] {
  const names = new Set<string>();
  let left = width;
  for (const name of STANDARD) {
    left -= all.find((column) => column.id === name)!.width;
    if (left < 0) break;
    names.add(name);
  }
  const columns = all.filter((column) => names.has(column.id));
  let spare = width - columns.reduce((sum, column) => sum + column.width, 0);
  return columns.map((column) => {
    const more = Math.max(0, Math.min((WHOLE[column.id] ?? column.width) - column.width, spare));
    spare -= more;
    return more ? { ...column, width: column.width + more } : column;
  });
}

/** All columns of the list, in their order. */
export function runColumns(zone: string): RunColumn[] {
  return [
    { id: "star", label: "★", title: "Starred", group: "Run", width: 28, value: (run) => run.star, cell: (run) => (run.star ? <span className="text-warn" title="starred">★</span> : null) },
    {
      id: "run_id", label: "Run", group: "Run", width: SHORT_ID, sort: "run_id", value: (run) => run.run_id,
      cell: (run) => (
        <Link to="/runs/$runId" params={{ runId: run.run_id }} search={keepZone as never} className="mono flex leading-5 text-accent hover:underline" title={run.run_id} aria-label={run.run_id}>
          {/* Cut in its middle: its end tells it from others of the day. */}
          <span className="truncate">{run.run_id.slice(0, -7)}</span>
          <span>{run.run_id.slice(-7)}</span>
        </Link>
      ),
    },
    { id: "window_start", label: "Day or window", group: "Run", width: 150, sort: "window_start", value: (run) => periodOf(run), cell: (run) => <span title={`${run.window_start ?? ""} to ${run.window_end ?? ""} (UTC)`}>{periodOf(run, true)}</span> },
    { id: "status", label: "Status", group: "Run", width: 122, sort: "status", value: (run) => run.status, cell: (run) => <span title={run.error ?? run.phase ?? run.status}><Status status={run.status} progress={run.progress} /></span> },
    figure("pnl", "Net PnL", "Result", 110, money, "Net of commissions and funding"),
    figure("total_return", "Return", "Result", 84, share),
    figure("max_drawdown", "Drawdown", "Risk", 88, share, "Largest fall from a peak of the equity"),
    figure("sharpe_ratio", "Sharpe", "Risk", 74, ratio),
    figure("orders", "Orders", "Trades", 80, whole),
    figure("fills", "Fills", "Trades", 80, whole),
    figure("total_trades", "Trades", "Trades", 72, whole, "Round trips"),
    figure("win_rate", "Won", "Trades", 76, plainShare, "Share of the round trips that won"),
    {
      ...figure("flag_count", "Flags", "Result", 62, (value: number) => (value ? <Tag tone="warn" title="Warnings about the result; open the run to read them">⚠ {value}</Tag> : <span className="text-quiet">0</span>), "Warnings about the result"),
    },
    { id: "config_name", label: "Config", group: "Run", width: 138, sort: "config_name", value: (run) => run.config_name, cell: (run) => <span dir="rtl" className="block truncate text-left" title={run.config_name}><bdi>{shortConfig(run.config_name)}</bdi></span> },
    figure("commissions", "Commissions", "Cost", 106, amount),
    figure("funding", "Funding", "Cost", 90, amount),
    figure("realized", "Realized", "Result", 110, money),
    figure("unrealized", "Unrealized", "Result", 110, money),
    figure("final_value", "Final equity", "Result", 120, amount),
    figure("initial_capital", "Start", "Result", 110, amount),
    figure("drawdown_amount", "Drawdown (amount)", "Risk", 130, money),
    figure("drawdown_duration_secs", "Under water", "Risk", 104, (value: number) => seconds(value), "Longest time until the equity was as high again"),
    figure("sortino_ratio", "Sortino", "Risk", 76, ratio),
    figure("calmar_ratio", "Calmar", "Risk", 76, ratio),
    figure("volatility", "Volatility", "Risk", 86, plainShare, "Annualized"),
    figure("profit_factor", "Profit factor", "Trades", 98, ratio),
    figure("expectancy", "Expectancy", "Trades", 98, money),
    { id: "instrument", label: "Instrument", group: "Run", width: 190, sort: "instrument", value: (run) => run.instrument, cell: (run) => <span title={run.instrument}>{shortInstrument(run.instrument)}</span> },
    { id: "detail", label: "Mode", group: "Run", width: 74, sort: "detail", value: (run) => run.detail, cell: (run) => run.detail },
    { id: "executed_at", label: "Executed", title: "Time of the latest change of its status", group: "Run", width: 146, sort: "executed_at", value: (run) => run.executed_at, cell: (run) => <span title={run.executed_at}>{formatNs(parseNs(run.executed_at) ?? 0n, zone, 0)}</span> },
    {
      id: "digest", label: "Digest", group: "Identity", width: 96, value: (run) => run.digest,
      cell: (run) => (run.digest ? <Copy text={run.digest} label="the digest" className="mono">{run.digest.slice(0, 8)}</Copy> : <Dash why={noResult(run)} />),
    },
    {
      id: "verified", label: "Verified", group: "Identity", width: 82, value: (run) => run.verified,
      cell: (run) => (run.verified == null ? <Dash why="not verified yet" /> : run.verified ? <span className="text-good">✓ equal</span> : <span className="text-bad">≠ differs</span>),
    },
    { id: "tags", label: "Tags", group: "Run", width: 140, value: (run) => run.tags.join(), cell: (run) => run.tags.map((tag) => <Tag key={tag} tone="accent">{tag}</Tag>) },
    { id: "config_hash", label: "Config hash", group: "Identity", width: 100, value: (run) => run.config_hash, cell: (run) => <Copy text={run.config_hash} label="the configuration's hash" className="mono">{run.config_hash.slice(0, 8)}</Copy> },
    { id: "sweep_id", label: "Sweep", group: "Identity", width: 120, value: (run) => run.sweep_id, cell: (run) => run.sweep_id ?? <Dash why="not of a sweep" /> },
  ];
}

function keepZone(before: Record<string, string | undefined>): Record<string, string | undefined> {
  return before.tz ? { tz: before.tz } : {};
}
