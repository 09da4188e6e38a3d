import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { loadCurve } from "../../api/charts";
import { resultQuery } from "../../api/result";
import type { WholeRun } from "../../api/runs";
import { decimal } from "../../lib/format";
import { formatNs } from "../../lib/ns";
import { rollingSharpe } from "../../lib/rolling";
import { wholeSpan } from "./wholeSpan";

const DAY = 86_400_000_000_000n;
const DAYS = 30;
const [WIDTH, HEIGHT] = [600, 150];

/** The Sharpe ratio of the last 30 daily returns, day by day: for runs of more than that. */
export function RollingSharpe({ run }: { run: WholeRun }): ReactNode {
  const span = wholeSpan(run);
  const days = Number((span.to - span.from) / DAY) + 2;
  const isLong = days > DAYS + 1;
  const curve = useQuery({
    queryKey: ["daily", run.run_id, run.digest],
    // So few points that a bucket is a day.
    queryFn: ({ signal }) => loadCurve(run.run_id, { ...span, points: Math.min(days, 5_000) }, undefined, signal),
    enabled: isLong,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const result = useQuery(resultQuery(run));
  const start = Number(result.data?.summary.account.starting_balance ?? Number.NaN);
  const perYear = Number(result.data?.summary.ratios.annualization_days ?? 365);
  if (!isLong) return <p className="label">A rolling Sharpe ratio needs more than {DAYS} days.</p>;
  if (!curve.data || !result.data) return null;
  const values = rollingSharpe([start, ...curve.data.equity.last], DAYS, perYear);
  const known = values.filter((value) => value !== null);
  if (!known.length) return <p className="label">A rolling Sharpe ratio needs more than {DAYS} days with a balance.</p>;
  const [low, high] = [Math.min(0, ...known), Math.max(0, ...known)];
  const y = (value: number) => HEIGHT - ((value - low) / (high - low || 1)) * HEIGHT;
  const x = (at: number) => (at / Math.max(1, values.length - 1)) * WIDTH;
  const path = values.map((value, at) => (value === null ? "" : `${values[at - 1] === null || at === 0 ? "M" : "L"}${x(at).toFixed(1)},${y(value).toFixed(1)}`)).join("");
  const dayOf = (at: number) => formatNs(BigInt(curve.data.t0_ns) + BigInt(curve.data.step_ns) * BigInt(curve.data.i[at] ?? 0), "UTC", 0).slice(0, 10);
  return (
    <figure>
      <figcaption className="mb-2 font-medium">
        Sharpe ratio of the last {DAYS} daily returns <span className="label font-normal">annualized with {perYear} days, without a risk-free rate</span>
      </figcaption>
      <div className="grid grid-cols-[auto_1fr] gap-x-2 text-[12px] text-quiet">
        <div className="flex flex-col justify-between text-right">
          <span>{decimal(high, 2)}</span>
          <span>{decimal(low, 2)}</span>
        </div>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" className="h-36 w-full border-b border-l border-line" role="img" aria-label={`From ${dayOf(0)} to ${dayOf(curve.data.i.length - 1)}: between ${decimal(Math.min(...known), 2)} and ${decimal(Math.max(...known), 2)}, at the end ${decimal(known.at(-1), 2)}`}>
          <line x1="0" x2={WIDTH} y1={y(0)} y2={y(0)} stroke="var(--quiet)" strokeDasharray="4 4" vectorEffect="non-scaling-stroke" />
          <path d={path} fill="none" stroke="var(--accent)" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
        </svg>
        <span />
        <div className="mt-1 flex justify-between">
          <span>{dayOf(0)}</span>
          <span>{dayOf(curve.data.i.length - 1)}</span>
        </div>
      </div>
    </figure>
  );
}
