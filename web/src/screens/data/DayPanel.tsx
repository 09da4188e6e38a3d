import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { getExact, getJson } from "../../api/client";
import { shortInstrument } from "../../api/runs";
import type { components } from "../../api/schema";
import { useUrl } from "../../app/search";
import { Button, buttonClass, Copy, cx, Hash, Panel, Tag } from "../../components/basics";
import { Loaded, Skeleton } from "../../components/states";
import { csvOf, save } from "../../lib/csv";
import { bytes, count, words } from "../../lib/format";
import { formatNs } from "../../lib/ns";
import { STATES } from "../launch/PlanPanel";
import { Convert } from "./Convert";

type Partition = components["schemas"]["CatalogPartition"];
type Rejected = components["schemas"]["RejectedRows"];

/** What there is to be done where a partition is not as its raw file. */
const NEXT: Record<string, string> = {
  "◪": "The raw file, or the rules by which it is converted, have changed since. A launch converts it first; or do it here.",
  "□": "A launch converts it first; or do it here.",
  "▨": "The raw file is gone: what was converted can still be run, but not be checked against its source.",
  "·": "There is neither a raw file nor a partition.",
  "!": "The raw file cannot be read: put a sound one in its place, or run without this day.",
};

/** One day of one series: raw file, rejected rows, quality, and the runs that read it. */
export function DayPanel({ instrument, type, day, configs }: { instrument: string; type: string; day: string; configs: readonly string[] }): ReactNode {
  const [, setUrl] = useUrl();
  const path = `/api/v1/catalog/${encodeURIComponent(instrument)}/${encodeURIComponent(type)}/${day}`;
  const query = useQuery({ queryKey: ["partition", instrument, type, day], queryFn: ({ signal }) => getExact<Partition>(path, signal), staleTime: 5_000 });
  return (
    <Loaded query={query} place={<Skeleton className="h-48" />}>
      {(partition) => (
        <Panel
          title={`${shortInstrument(instrument)}, ${type}, ${day}`}
          aside={
            <>
              <span className={STATES[partition.state]?.[1]}>{partition.state} {partition.state_text}</span>
              <Link to="/launch" search={{ day, ...(configs.length === 1 ? { config: configs[0] } : {}) } as never} className={buttonClass("plain", true)}>Launch this day…</Link>
              <Button small kind="quiet" aria-label="Choose nothing" onClick={() => setUrl({ day: undefined, last: undefined })}>✕</Button>
            </>
          }
        >
          <div data-testid="day">
            {partition.problems.map((one) => <p key={one} role="alert" className="breaks mb-1 rounded border border-bad bg-bad-soft px-2 py-1">✕ {one}</p>)}
            {NEXT[partition.state] && !partition.problems.length && <p className={cx("mb-2", partition.state === "!" || partition.state === "◪" ? "text-warn" : "text-quiet")}>{NEXT[partition.state]}</p>}
            {(partition.state === "□" || partition.state === "◪" || partition.state === "■") && (
              <div className="mb-3"><Convert instrument={instrument} type={type} first={day} last={day} states={[partition.state]} /></div>
            )}
            <div className="grid gap-6 lg:grid-cols-2">
              <section className="min-w-0">
                <Quality partition={partition} />
                <Runs runs={partition.runs} />
              </section>
              <section className="min-w-0">
                <Raw partition={partition} />
                <Rejects manifest={partition.manifest} path={path} name={`${type}-${day}`} />
                <Manifest manifest={partition.manifest} />
              </section>
            </div>
          </div>
        </Panel>
      )}
    </Loaded>
  );
}

const headClass = "label mt-3 mb-1 first:mt-0";

function Quality({ partition }: { partition: Partition }): ReactNode {
  return (
    <>
      <h3 className={headClass}>Quality</h3>
      {partition.verdicts.length ? (
        <table className="plain-table">
          <tbody>
            {partition.verdicts.map((one) => (
              <tr key={one.check}>
                <td className={one.passed ? "text-good" : "text-warn"}><span aria-hidden="true">{one.passed ? "✓" : "⚠"}</span><span className="sr-only">{one.passed ? "passed" : "not passed"}</span></td>
                <th scope="row" className="whitespace-nowrap !text-ink">{words(one.check)}</th>
                <td className="breaks text-quiet">
                  {one.text}
                  {one.refused_by.length > 0 && <span className="block"><Tag tone="bad">refused by {one.refused_by.length === 1 ? one.refused_by[0] : `${one.refused_by.length} configurations`}</Tag>{one.refused_by.length > 1 && ` ${one.refused_by.join(", ")}`}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : <p className="text-quiet">{partition.manifest ? "Nothing is checked of this kind of data." : "Not converted: nothing is checked yet."}</p>}
    </>
  );
}

function Runs({ runs }: { runs: Partition["runs"] }): ReactNode {
  return (
    <>
      <h3 className={headClass}>Runs that read it</h3>
      {runs.length ? runs.map((one) => (
        <p key={one.run_id} className="flex flex-wrap gap-x-2">
          <Link to="/runs/$runId" params={{ runId: one.run_id }} className="mono min-h-6 text-accent hover:underline">{one.run_id}</Link>
          {one.current ? <span className="text-quiet">same data now</span> : <Tag tone="warn">data changed since</Tag>}
        </p>
      )) : <p className="text-quiet">None yet.</p>}
    </>
  );
}

function Raw({ partition }: { partition: Partition }): ReactNode {
  const raw = partition.raw as { path?: string; size?: number | null; mtime_ns?: string | null } | null;
  return (
    <>
      <h3 className={headClass}>Raw file</h3>
      {raw?.path ? (
        <>
          <Copy text={raw.path} label="the path of the raw file" className="mono"><span className="breaks">{raw.path}</span></Copy>
          <p className="text-quiet">
            {raw.size != null && bytes(Number(raw.size))}
            {raw.mtime_ns && <> · changed {formatNs(BigInt(raw.mtime_ns), "UTC", 0)} UTC</>}
          </p>
        </>
      ) : <p className="text-quiet">{partition.state === "▨" ? "Gone since it was converted." : "None."}</p>}
    </>
  );
}

const PAGE = 50;
const MOST = 1_000;

/** Rejected rows by reason, and the rows themselves. */
function Rejects({ manifest, path, name }: { manifest: Partition["manifest"]; path: string; name: string }): ReactNode {
  const [open, setOpen] = useState(false);
  const [most, setMost] = useState(PAGE);
  const rows = useQuery({ queryKey: ["rejects", path, most], queryFn: ({ signal }) => getJson<Rejected>(`${path}/rejects?limit=${most}`, signal), enabled: open, placeholderData: (before) => before });
  if (!manifest) return null;
  const reasons = Object.entries((manifest.rejected ?? {}) as Record<string, string>);
  const total = reasons.reduce((sum, [, number]) => sum + Number(number), 0);
  return (
    <>
      <h3 className={headClass}>Rejected rows</h3>
      {total === 0 ? <p className="text-quiet">None of {count(String(manifest.rows_in))}.</p> : (
        <>
          <p className="flex flex-wrap items-center gap-2">
            {reasons.map(([reason, number]) => <Tag key={reason} tone="warn">{count(number)} {words(reason)}</Tag>)}
            <span className="text-quiet">of {count(String(manifest.rows_in))}</span>
            <Button small aria-expanded={open} onClick={() => setOpen(!open)}>{open ? "Hide rows" : "Show rows"}</Button>
          </p>
          {open && (
            <Loaded query={rows} place={<Skeleton className="mt-2 h-24" />}>
              {(rejected) => <RejectTable rejected={rejected} name={name} onMore={most < Math.min(MOST, rejected.total) ? () => setMost(Math.min(MOST, most * 4)) : null} />}
            </Loaded>
          )}
        </>
      )}
    </>
  );
}

function RejectTable({ rejected, name, onMore }: { rejected: Rejected; name: string; onMore: (() => void) | null }): ReactNode {
  if (!rejected.rejected.length) return <p className="text-quiet">The file with the rows is gone.</p>;
  const columns = Object.keys(rejected.rejected[0]!.raw);
  return (
    <div className="mt-2">
      <div className="max-h-72 overflow-auto" tabIndex={0} role="region" aria-label="Rejected rows">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col" className="num">Row</th>
              <th scope="col">Reason</th>
              {columns.map((column) => <th key={column} scope="col">{column}</th>)}
            </tr>
          </thead>
          <tbody>
            {rejected.rejected.map((one) => (
              <tr key={one.row}>
                <td className="num">{count(one.row)}</td>
                <td className="whitespace-nowrap text-warn">{words(one.reason)}</td>
                {columns.map((column) => <td key={column} className="mono whitespace-nowrap">{one.raw[column] ?? <span className="text-quiet">null</span>}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="mt-1 flex items-center gap-2 text-quiet">
        {rejected.has_more ? `The first ${count(rejected.rejected.length)} of ${count(rejected.total)}` : `${count(rejected.total)} rows`}, counted from 0 in the raw file
        {onMore && rejected.has_more && <Button small onClick={onMore}>More</Button>}
        <Button small onClick={() => save(`rejects-${name}.csv`, csvOf([["row", "reason", ...columns], ...rejected.rejected.map((one) => [one.row, one.reason, ...columns.map((column) => one.raw[column])])]))}>CSV</Button>
      </p>
    </div>
  );
}

const HIDDEN = new Set(["rejected", "quality", "source", "file", "versions", "rules", "time_units", "key", "data_type", "day"]);

function Manifest({ manifest }: { manifest: Partition["manifest"] }): ReactNode {
  if (!manifest) return null;
  const rows = Object.entries(manifest).filter(([name, value]) => !HIDDEN.has(name) && (typeof value !== "object" || value === null));
  return (
    <details className="mt-3">
      <summary className="label cursor-pointer">Manifest</summary>
      <dl className="grid grid-cols-[10rem_minmax(0,1fr)] gap-y-0.5">
        {rows.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-quiet">{words(name)}</dt>
            <dd className="breaks">{/sha256|digest/.test(name) ? <Hash value={String(value)} /> : /_ts_/.test(name) && /^\d{15,}$/.test(String(value)) ? formatNs(BigInt(String(value))) : /^\d+$/.test(String(value)) ? count(String(value)) : String(value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
