import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { shortInstrument } from "../../api/runs";
import type { components } from "../../api/schema";
import { cx, Dash, Tag } from "../../components/basics";
import { count, seconds } from "../../lib/format";

export type Planned = components["schemas"]["PlannedRun"];
type Part = Planned["partitions"][number];

/** Signs of a partition's state, with their colors: as in the calendar of the data. */
export const STATES: Record<string, [string, string]> = {
  "■": ["up to date", "text-accent"],
  "◪": ["stale", "text-warn"],
  "□": ["not converted", "text-quiet"],
  "▨": ["raw file gone", "text-loss"],
  "·": ["no raw file", "text-quiet"],
  "!": ["raw file unreadable", "text-bad"],
};

const MOST_COLUMNS = 6;
const MANY_DAYS = 200;
const FEW = 5;

/** What a request comes to, before it starts. */
export function PlanPanel({ plan, options = [] }: { plan: Planned; options?: readonly string[] }): ReactNode {
  const missing = plan.partitions.filter((part) => part.state === "·" || part.state === "▨" || part.state === "!");
  // What is said there is not said again.
  const known = new Set(missing.map((part) => `${part.instrument} ${part.data_type} ${part.day}: ${part.state_text}`));
  const warnings = plan.warnings.filter((text) => !known.has(text));
  return (
    <div className="flex flex-col gap-3" data-testid="plan">
      <dl className="grid grid-cols-2 gap-x-6 gap-y-2 sm:grid-cols-5">
        <Figure label={plan.runs === 1 ? "run" : "runs"}>{count(plan.runs)}</Figure>
        <Figure label={plan.days.length === 1 ? "day" : "days"}>{count(plan.days.length)}</Figure>
        <Figure label={plan.rows_estimated && plan.rows !== null ? "rows are read, by the share of time" : "rows are read"}>{plan.rows === null ? <Dash why="not known before all of it is converted" /> : `${plan.rows_estimated ? "≈ " : ""}${count(plan.rows)}`}</Figure>
        <Figure label={plan.converts === 1 ? "partition is converted first" : "partitions are converted first"}>{count(plan.converts)}</Figure>
        <Figure label={plan.seconds === null ? "no earlier run to estimate from" : `by ${count(plan.seconds_from)} earlier ${plan.seconds_from === 1 ? "run" : "runs"}, without conversions`}>
          {plan.seconds === null ? <Dash why="no earlier run of this configuration and mode" /> : `≈ ${seconds(plan.seconds)}`}
        </Figure>
      </dl>
      {options.length > 0 && <p className="flex flex-wrap items-center gap-1.5"><span className="label">With</span>{options.map((one) => <Tag key={one} tone="accent">{one}</Tag>)}</p>}
      {plan.runs === 0 && <p className="text-warn">⚠ Nothing would run.</p>}
      <Missing parts={missing} />
      <Skipped skipped={plan.skipped} />
      <Warnings texts={warnings} />
      <Partitions plan={plan} />
      <p className="text-[12px] text-quiet">
        Makes {plan.steps.join(", ")} with configuration <span className="mono">{plan.config_hash.slice(0, 10)}</span>. States: {Object.entries(STATES).filter(([sign]) => plan.partitions.some((part) => part.state === sign)).map(([sign, [text]]) => `${sign} ${text}`).join(", ")}.
      </p>
    </div>
  );
}

function Figure({ label, children }: { label: string; children: ReactNode }): ReactNode {
  return (
    <div className="flex flex-col">
      <dd className="text-[17px] font-semibold">{children}</dd>
      <dt className="label order-last leading-4">{label}</dt>
    </div>
  );
}

/** Partitions that are not there, or cannot be read. */
function Missing({ parts }: { parts: readonly Part[] }): ReactNode {
  if (!parts.length) return null;
  return (
    <div className="rounded border border-warn bg-warn-soft px-2 py-1">
      <p className="font-medium text-warn">⚠ {parts.length === 1 ? "The raw file of 1 partition is" : `The raw files of ${count(parts.length)} partitions are`} missing or unreadable</p>
      <ul>
        {parts.slice(0, FEW).map((part) => (
          <li key={`${part.instrument} ${part.data_type} ${part.day}`}>
            <Link to="/data" search={{ month: part.day.slice(0, 7), instrument: part.instrument, type: part.data_type, day: part.day } as never} className="underline">{shortInstrument(part.instrument)} {part.data_type} {part.day}</Link>: {part.state_text}
          </li>
        ))}
      </ul>
      {parts.length > FEW && <p className="text-quiet">and {count(parts.length - FEW)} more, below</p>}
    </div>
  );
}

function Skipped({ skipped }: { skipped: Planned["skipped"] }): ReactNode {
  const days = Object.entries(skipped);
  if (!days.length) return null;
  return (
    <details open={days.length <= FEW}>
      <summary className="cursor-pointer"><Tag tone="warn">{days.length === 1 ? "1 day is left out" : `${count(days.length)} days are left out`}</Tag></summary>
      <ul className="max-h-48 overflow-auto pl-4">
        {days.map(([day, why]) => (
          <li key={day} className="breaks"><b className="font-medium">{day}</b> {why}</li>
        ))}
      </ul>
    </details>
  );
}

function Warnings({ texts }: { texts: readonly string[] }): ReactNode {
  const [all, setAll] = useState(false);
  if (!texts.length) return null;
  return (
    <div>
      {(all ? texts : texts.slice(0, FEW)).map((text) => (
        <p key={text} className="breaks text-warn">⚠ {text}</p>
      ))}
      {texts.length > FEW && <button type="button" className="min-h-6 text-quiet underline" onClick={() => setAll(!all)}>{all ? "show fewer" : `show all ${texts.length}`}</button>}
    </div>
  );
}

/** Partitions by day: a column for each series, or a list where there are many. */
function Partitions({ plan }: { plan: Planned }): ReactNode {
  const [most, setMost] = useState(MANY_DAYS);
  const series = [...new Map(plan.partitions.map((part) => [`${part.instrument} ${part.data_type}`, part])).values()];
  const byDay = Object.entries(Object.groupBy(plan.partitions, (part) => part.day)) as [string, Part[]][];
  const isWide = series.length <= MOST_COLUMNS;
  const instruments = new Set(series.map((part) => part.instrument));
  const rows: ReactNode[] = isWide
    ? byDay.slice(0, most).map(([day, parts]) => (
        <tr key={day}>
          <th scope="row" className="whitespace-nowrap !text-ink">{day}</th>
          {series.map((one) => {
            const part = parts.find((item) => item.instrument === one.instrument && item.data_type === one.data_type);
            return <td key={`${one.instrument} ${one.data_type}`} className="whitespace-nowrap">{part ? <State part={part} /> : <Dash why="not read on this day" />}</td>;
          })}
        </tr>
      ))
    : plan.partitions.slice(0, most).map((part) => (
        <tr key={`${part.instrument} ${part.data_type} ${part.day}`}>
          <th scope="row" className="whitespace-nowrap !text-ink">{part.day}</th>
          <td>{shortInstrument(part.instrument)} {part.data_type}</td>
          <td><State part={part} /></td>
        </tr>
      ));
  const total = isWide ? byDay.length : plan.partitions.length;
  return (
    <div className="max-h-[50vh] overflow-auto" tabIndex={0} role="region" aria-label="Partitions">
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Day (UTC)</th>
            {isWide ? series.map((one) => (
              <th key={`${one.instrument} ${one.data_type}`} scope="col">{instruments.size > 1 ? `${shortInstrument(one.instrument)} ` : ""}{one.data_type}</th>
            )) : <><th scope="col">Data</th><th scope="col">State</th></>}
          </tr>
        </thead>
        <tbody>{rows}</tbody>
      </table>
      {total > most && <button type="button" className="min-h-6 text-quiet underline" onClick={() => setMost(most + MANY_DAYS)}>show {count(Math.min(MANY_DAYS, total - most))} of {count(total - most)} more</button>}
      {plan.partitions_total > plan.partitions.length && <p className="text-quiet">The first {count(plan.partitions.length)} of {count(plan.partitions_total)} partitions are listed.</p>}
    </div>
  );
}

function State({ part }: { part: Part }): ReactNode {
  return (
    <span title={part.state_text}>
      <span aria-hidden="true" className={cx("mono", STATES[part.state]?.[1])}>{part.state}</span> {part.rows === null ? part.state_text : part.rows_read === part.rows ? `${count(part.rows)} rows` : `${count(part.rows_read ?? 0)} of ${count(part.rows)} rows`}
      {part.converts && <span className="text-accent"> → converted first</span>}
    </span>
  );
}
