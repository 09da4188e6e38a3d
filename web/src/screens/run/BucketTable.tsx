import type { ReactNode } from "react";
import type { Bucket } from "../../charts/buckets";
import { Dash } from "../../components/basics";
import { Empty } from "../../components/states";
import { count, decimal, percent, signed } from "../../lib/format";
import { formatNs } from "../../lib/ns";

const MOST = 500;

/** The buckets of the chart as a table. */
export function BucketTable({ buckets, zone }: { buckets: Bucket[]; zone: string }): ReactNode {
  if (!buckets.length) return <Empty title="Nothing is in this span" />;
  return (
    <div className="h-[max(440px,calc(100dvh-13rem))] overflow-auto" tabIndex={0} role="region" aria-label="The chart as a table">
      <table className="plain-table">
        <thead className="sticky top-0 bg-panel">
          <tr>
            <th scope="col">From ({zone})</th>
            {["Open", "High", "Low", "Close", "Buys", "Sells", "Refused", "Equity, least", "Equity, last", "Drawdown", "Position"].map((name) => (
              <th key={name} scope="col" className="num">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {buckets.slice(0, MOST).map((bucket) => (
            <tr key={bucket.from.toString()}>
              <td className="mono whitespace-nowrap">{formatNs(bucket.from, zone, bucket.to - bucket.from < 1_000_000_000n ? 3 : 0)}</td>
              {(["o", "h", "l", "c"] as const).map((name) => (
                <td key={name} className="num">{bucket.candle ? decimal(bucket.candle[name]) : <Dash why="no trade in this time" />}</td>
              ))}
              <td className="num">{bucket.buys ? `${count(bucket.buys.n)} × ${decimal(bucket.buys.qty, 3)}` : ""}</td>
              <td className="num">{bucket.sells ? `${count(bucket.sells.n)} × ${decimal(bucket.sells.qty, 3)}` : ""}</td>
              <td className="num">{bucket.refused ? count(bucket.refused) : ""}</td>
              <td className="num">{bucket.equity ? decimal(bucket.equity.min, 2) : <Dash why="no point of the curve in this time" />}</td>
              <td className="num">{bucket.equity ? decimal(bucket.equity.last, 2) : <Dash why="no point of the curve in this time" />}</td>
              <td className="num">{bucket.drawdown === null ? <Dash /> : percent(bucket.drawdown)}</td>
              <td className="num">{bucket.position === null ? <Dash /> : signed(bucket.position, 3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {buckets.length > MOST && <p className="label py-2">The first {count(MOST)} of {count(buckets.length)}; zoom in to see the others.</p>}
    </div>
  );
}
