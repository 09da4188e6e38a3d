import type { ReactNode } from "react";
import type { Comparison } from "../../api/compare";
import { lineColor, lineStyle } from "../../charts/colors";
import { cx, Dash } from "../../components/basics";
import { count, decimal, direction, seconds, signed, words } from "../../lib/format";

const GROUPS: Record<string, string> = { pnl_breakdown: "", account: "", returns: "", trades: "", drawdown: "", ratios: "", position: "position " };
const WHOLE = /^(orders|fills|figures_version|trades\.total_trades|ratios\.returns)$/;
/** Figures of which less is better: their difference has no color, only a sign. */
const PLAIN = /commissions|volatility|duration|orders|fills|total_trades|returns$|version|funding|position/;

/** Figures of the runs, and how far each is from the baseline. */
export function MetricTable({ comparison, base, groups }: { comparison: Comparison; base: string; groups: readonly { name: string; runs: number }[] }): ReactNode {
  const at = Math.max(0, comparison.run_ids.indexOf(base));
  return (
    <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Figures">
      <table className="plain-table">
        <thead>
          {groups.length > 0 && (
            <tr>
              <td />
              {groups.map((group) => (
                <th key={group.name} scope="colgroup" colSpan={group.runs} className="border-l border-line !pl-2 text-center" title={group.name}>
                  {group.name}
                </th>
              ))}
            </tr>
          )}
          <tr>
            <th scope="col">Figure</th>
            {comparison.run_ids.map((id, index) => (
              <th key={id} scope="col" className="num mono" title={id}>
                <span className="mr-1 inline-block w-3 border-t-2 align-middle" style={{ borderColor: lineColor(index), borderStyle: lineStyle(index) }} />
                {id.slice(-13)}
                {index === at && <span className="ml-1 font-sans text-accent">●<span className="sr-only"> baseline</span></span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {Object.entries(comparison.metrics).filter(([name, values]) => name !== "figures_version" || new Set(values).size > 1).map(([name, values]) => (
            <tr key={name} className="hover:bg-raised">
              <th scope="row" className="!text-ink font-normal whitespace-nowrap">{label(name)}</th>
              {values.map((value, index) => (
                <td key={comparison.run_ids[index]} className="num whitespace-nowrap">
                  <Cell name={name} value={value as number | null} base={index === at ? null : (values[at] as number | null)} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function label(name: string): string {
  const [group, rest] = name.split(".");
  return rest ? `${GROUPS[group!] ?? `${words(group!)} `}${words(rest)}` : words(name);
}

function Cell({ name, value, base }: { name: string; value: number | null; base: number | null }): ReactNode {
  if (value === null) return <Dash why="not known for this run" />;
  const text = WHOLE.test(name) ? count(value) : name.endsWith("_secs") ? seconds(value) : decimal(value, 2);
  const difference = base === null ? null : value - base;
  const way = direction(difference);
  return (
    <>
      <span title={String(value)}>{text}</span>
      {difference !== null && (
        <span className={cx("ml-2 inline-block min-w-20 text-[12px]", way && !PLAIN.test(name) ? (way > 0 ? "text-gain" : "text-loss") : "text-quiet")}>
          {difference === 0 ? "=" : name.endsWith("_secs") ? `${difference < 0 ? "−" : "+"}${seconds(Math.abs(difference))}` : signed(difference, WHOLE.test(name) ? 0 : 2)}
        </span>
      )}
    </>
  );
}
