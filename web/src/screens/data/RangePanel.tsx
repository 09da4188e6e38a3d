import { useState, type ReactNode } from "react";
import { Link } from "@tanstack/react-router";
import { shortInstrument } from "../../api/runs";
import { useUrl } from "../../app/search";
import { Button, buttonClass, cx, Panel } from "../../components/basics";
import { csvOf, save } from "../../lib/csv";
import { count } from "../../lib/format";
import { STATES } from "../launch/PlanPanel";
import { Convert } from "./Convert";
import { coverageRows, type Coverage } from "./DataScreen";

/** Days of one series that were chosen: how they stand, and what can be done with them. */
export function RangePanel({ coverage, row, first, last }: { coverage: Coverage; row: Coverage["rows"][number]; first: string; last: string }): ReactNode {
  const [, setUrl] = useUrl();
  const [from, to] = [coverage.days.indexOf(first), coverage.days.indexOf(last)];
  const [config, setConfig] = useState(row.configs[0] ?? "");
  const chosen = row.configs.includes(config) ? config : (row.configs[0] ?? "");
  if (from < 0 || to < 0) return null;
  const days = coverage.days.slice(from, to + 1);
  const states = [...row.state].slice(from, to + 1);
  const cut = { days, problems: [], rows: [{ ...row, state: states.join(""), rows: row.rows.slice(from, to + 1), rejected: row.rejected.slice(from, to + 1), checks: row.checks.slice(from, to + 1) }] };
  const sum = (values: readonly (number | null)[]) => values.reduce<number>((total, value) => total + (value ?? 0), 0);
  const counts = Object.keys(STATES).map((sign) => [sign, states.filter((state) => state === sign).length] as const).filter(([, number]) => number > 0);
  const checks = ["warned", "refused"].map((word) => [word, cut.rows[0]!.checks.filter((check) => check === word).length] as const).filter(([, number]) => number > 0);
  const range = { config: chosen || undefined, first, last };
  return (
    <Panel
      title={`${shortInstrument(row.instrument)}, ${row.data_type}, ${first} to ${last}`}
      aside={
        <>
          <Button small onClick={() => save(`${row.data_type}-${first}-${last}.csv`, csvOf(coverageRows(cut)))}>CSV</Button>
          <Button small kind="quiet" aria-label="Choose nothing" onClick={() => setUrl({ day: undefined, last: undefined })}>✕</Button>
        </>
      }
    >
      <div className="flex flex-col gap-3" data-testid="range">
        <p className="flex flex-wrap gap-x-5">
          <b>{count(days.length)} days</b>
          {counts.map(([sign, number]) => (
            <span key={sign}><span className={cx("mono", STATES[sign]![1])}>{sign}</span> {count(number)} {STATES[sign]![0]}</span>
          ))}
          {checks.map(([word, number]) => <span key={word} className="text-warn">⚠ {count(number)} {word}</span>)}
          <span>{count(sum(cut.rows[0]!.rows))} rows in the catalog</span>
          <span>{count(sum(cut.rows[0]!.rejected))} rejected</span>
        </p>
        <div className="flex flex-wrap items-end gap-2">
          <label className="flex flex-col gap-1">
            <span className="label">Configuration</span>
            <select className="field max-w-[26rem]" value={chosen} onChange={(event) => setConfig(event.target.value)}>
              {row.configs.map((one) => <option key={one}>{one}</option>)}
            </select>
          </label>
          <Link to="/launch" search={{ ...range, kind: "days" } as never} className={buttonClass("primary")}>Launch each day…</Link>
          <Link to="/launch" search={{ ...range, kind: "window" } as never} className={buttonClass("plain")}>Launch as one account…</Link>
        </div>
        <Convert instrument={row.instrument} type={row.data_type} first={first} last={last} states={states} />
      </div>
    </Panel>
  );
}
