import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { periodOf, shortInstrument, type Run } from "../../api/runs";
import { Copy, Dash, Money, Num, Percent, Status, Tag } from "../../components/basics";
import type { Column } from "../../components/DataTable";
import { formatNs, parseNs } from "../../lib/ns";
import { count, seconds, shortConfig } from "../../lib/format";

export interface RunColumn extends Column<Run> {
  /** Shown unless the address says otherwise. */
  standard: boolean;
  group: "Run" | "Result" | "Risk" | "Trades" | "Cost" | "Identity";
  /** What two runs are compared by for "only what differs". */
  value(run: Run): unknown;
}

type Figure = Exclude<keyof Run, "links">;

const noResult = (run: Run) => (run.status === "succeeded" ? "not known for this run" : `the run is ${run.status}`);

function figure(id: Figure, label: string, group: RunColumn["group"], standard: boolean, width: number, cell: (value: never, run: Run) => ReactNode, title?: string): RunColumn {
  return {
    id,
    label,
    group,
    standard,
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

/** All columns of the list, in their order. */
export function runColumns(zone: string): RunColumn[] {
  return [
    { id: "star", label: "★", title: "Starred", group: "Run", standard: true, width: 28, value: (run) => run.star, cell: (run) => (run.star ? <span className="text-warn" title="starred">★</span> : null) },
    {
      id: "run_id", label: "Run", group: "Run", standard: true, width: 300, sort: "run_id", value: (run) => run.run_id,
      cell: (run) => (
        <Link to="/runs/$runId" params={{ runId: run.run_id }} search={keepZone as never} className="mono text-accent hover:underline" title={run.run_id}>
          {run.run_id}
        </Link>
      ),
    },
    { id: "window_start", label: "Day or window", group: "Run", standard: true, width: 168, sort: "window_start", value: (run) => periodOf(run), cell: (run) => <span title={`${run.window_start ?? ""} to ${run.window_end ?? ""} (UTC)`}>{periodOf(run, true)}</span> },
    { id: "status", label: "Status", group: "Run", standard: true, width: 104, sort: "status", value: (run) => run.status, cell: (run) => <span title={run.error ?? run.phase ?? run.status}><Status status={run.status} progress={run.progress} /></span> },
    figure("pnl", "Net PnL", "Result", true, 120, money, "Net of commissions and funding"),
    figure("total_return", "Return", "Result", true, 92, share),
    figure("max_drawdown", "Drawdown", "Risk", true, 92, share, "Largest fall from a peak of the equity"),
    figure("sharpe_ratio", "Sharpe", "Risk", true, 84, ratio),
    figure("orders", "Orders", "Trades", true, 88, whole),
    figure("fills", "Fills", "Trades", true, 96, whole),
    figure("total_trades", "Trades", "Trades", false, 72, whole, "Round trips"),
    figure("win_rate", "Won", "Trades", false, 76, plainShare, "Share of the round trips that won"),
    {
      ...figure("flag_count", "Flags", "Result", true, 66, (value: number) => (value ? <Tag tone="warn" title="Warnings about the result; open the run to read them">⚠ {value}</Tag> : <span className="text-quiet">0</span>), "Warnings about the result"),
    },
    { id: "config_name", label: "Config", group: "Run", standard: true, width: 210, sort: "config_name", value: (run) => run.config_name, cell: (run) => <span title={run.config_name}>{shortConfig(run.config_name)}</span> },
    figure("commissions", "Commissions", "Cost", false, 106, amount),
    figure("funding", "Funding", "Cost", false, 90, amount),
    figure("realized", "Realized", "Result", false, 110, money),
    figure("unrealized", "Unrealized", "Result", false, 110, money),
    figure("final_value", "Final equity", "Result", false, 120, amount),
    figure("initial_capital", "Start", "Result", false, 110, amount),
    figure("drawdown_amount", "Drawdown (amount)", "Risk", false, 130, money),
    figure("drawdown_duration_secs", "Under water", "Risk", false, 104, (value: number) => seconds(value), "Longest time until the equity was as high again"),
    figure("sortino_ratio", "Sortino", "Risk", false, 76, ratio),
    figure("calmar_ratio", "Calmar", "Risk", false, 76, ratio),
    figure("volatility", "Volatility", "Risk", false, 86, plainShare, "Annualized"),
    figure("profit_factor", "Profit factor", "Trades", false, 98, ratio),
    figure("expectancy", "Expectancy", "Trades", false, 98, money),
    { id: "instrument", label: "Instrument", group: "Run", standard: false, width: 190, sort: "instrument", value: (run) => run.instrument, cell: (run) => <span title={run.instrument}>{shortInstrument(run.instrument)}</span> },
    { id: "detail", label: "Mode", group: "Run", standard: false, width: 74, sort: "detail", value: (run) => run.detail, cell: (run) => run.detail },
    { id: "executed_at", label: "Executed", title: "Time of the latest change of its status", group: "Run", standard: true, width: 146, sort: "executed_at", value: (run) => run.executed_at, cell: (run) => <span title={run.executed_at}>{formatNs(parseNs(run.executed_at) ?? 0n, zone, 0)}</span> },
    {
      id: "digest", label: "Digest", group: "Identity", standard: true, width: 96, value: (run) => run.digest,
      cell: (run) => (run.digest ? <Copy text={run.digest} label="the digest" className="mono">{run.digest.slice(0, 8)}</Copy> : <Dash why={noResult(run)} />),
    },
    {
      id: "verified", label: "Verified", group: "Identity", standard: true, width: 82, value: (run) => run.verified,
      cell: (run) => (run.verified == null ? <Dash why="not verified yet" /> : run.verified ? <span className="text-good">✓ equal</span> : <span className="text-bad">≠ differs</span>),
    },
    { id: "tags", label: "Tags", group: "Run", standard: false, width: 140, value: (run) => run.tags.join(), cell: (run) => run.tags.map((tag) => <Tag key={tag} tone="accent">{tag}</Tag>) },
    { id: "config_hash", label: "Config hash", group: "Identity", standard: false, width: 100, value: (run) => run.config_hash, cell: (run) => <Copy text={run.config_hash} label="the configuration's hash" className="mono">{run.config_hash.slice(0, 8)}</Copy> },
    { id: "sweep_id", label: "Sweep", group: "Identity", standard: false, width: 120, value: (run) => run.sweep_id, cell: (run) => run.sweep_id ?? <Dash why="not of a sweep" /> },
  ];
}

function keepZone(before: Record<string, string | undefined>): Record<string, string | undefined> {
  return before.tz ? { tz: before.tz } : {};
}
