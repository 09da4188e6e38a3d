import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useRef, type KeyboardEvent, type ReactNode } from "react";
import { getJson } from "../../api/client";
import { shortInstrument } from "../../api/runs";
import type { components } from "../../api/schema";
import { useUrl } from "../../app/search";
import { Button, buttonClass, cx, Hash, Panel, ScreenHead, Tag, useTitle } from "../../components/basics";
import { Empty, Loaded, Skeleton } from "../../components/states";
import { bytes, count, words } from "../../lib/format";

type Coverage = components["schemas"]["Coverage"];
type Partition = components["schemas"]["CatalogPartition"];
type Datasets = { datasets: { day: string }[] };

const STATES: Record<string, [string, string]> = {
  "■": ["up to date", "text-accent"],
  "◪": ["stale", "text-warn"],
  "□": ["not converted", "text-quiet"],
  "▨": ["raw file gone", "text-loss"],
  "·": ["no raw file", "text-quiet"],
  "!": ["raw file unreadable", "text-bad"],
};

const hasData = (row: Coverage["rows"][number]) => /[^·]/.test(row.state);

function monthOf(text: string): { first: string; last: string } {
  const [year, month] = text.split("-").map(Number) as [number, number];
  const last = new Date(Date.UTC(year, month, 0)).getUTCDate();
  return { first: `${text}-01`, last: `${text}-${String(last).padStart(2, "0")}` };
}

function moved(month: string, by: number): string {
  const [year, number] = month.split("-").map(Number) as [number, number];
  return new Date(Date.UTC(year, number - 1 + by, 1)).toISOString().slice(0, 7);
}

/** Which days there are of which data, and how they stand. */
export function DataScreen(): ReactNode {
  useTitle("Data");
  const [search, setUrl] = useUrl();
  const latest = useQuery({ queryKey: ["latest-day"], queryFn: ({ signal }) => getJson<Datasets>("/api/datasets?limit=1", signal), enabled: !search.month });
  const month = search.month ?? latest.data?.datasets[0]?.day.slice(0, 7) ?? (latest.data ? new Date().toISOString().slice(0, 7) : null);
  const span = month ? monthOf(month) : null;
  const query = useQuery({
    queryKey: ["coverage", month],
    queryFn: ({ signal }) => getJson<Coverage>(`/api/v1/coverage?first_day=${span!.first}&last_day=${span!.last}`, signal),
    enabled: span !== null,
    placeholderData: keepPreviousData,
  });
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="Data" command={span ? `curl '${window.location.origin}/api/v1/coverage?first_day=${span.first}&last_day=${span.last}'` : "odum data list"}>
        {month && (
          <span className="flex items-center gap-1">
            <Button small aria-label="The month before" onClick={() => setUrl({ month: moved(month, -1), day: undefined })}>‹</Button>
            <input type="month" className="field h-6" aria-label="Month" value={month} onChange={(event) => event.target.value && setUrl({ month: event.target.value, day: undefined })} />
            <Button small aria-label="The month after" onClick={() => setUrl({ month: moved(month, 1), day: undefined })}>›</Button>
            <span className="label ml-2">days in UTC</span>
          </span>
        )}
      </ScreenHead>
      <Loaded query={query} place={<Skeleton className="h-64" />}>
        {(coverage) => (
          <Panel flush aside={coverage.rows.some((row) => !hasData(row)) && (
            <label className="flex items-center gap-1.5 text-quiet">
              <input type="checkbox" className="accent-accent" checked={search.all === "1"} onChange={(event) => setUrl({ all: event.target.checked ? "1" : undefined })} />
              also {count(coverage.rows.filter((row) => !hasData(row)).length)} configured without data this month
            </label>
          )}>
            {coverage.problems.map((one) => (
              <p key={one} className="px-3 py-1 text-warn">⚠ {one}</p>
            ))}
            {coverage.rows.length ? <Calendar coverage={search.all === "1" || !coverage.rows.some(hasData) ? coverage : { ...coverage, rows: coverage.rows.filter(hasData) }} /> : <Empty title="There are no raw data and no partitions" command="odum data generate" />}
          </Panel>
        )}
      </Loaded>
      <p className="label flex flex-wrap gap-x-4">
        {Object.entries(STATES).map(([sign, [text, color]]) => (
          <span key={sign}><span className={cx("mono", color)}>{sign}</span> {text}</span>
        ))}
      </p>
      {search.day && search.instrument && search.type && <Day instrument={search.instrument} type={search.type} day={search.day} />}
    </div>
  );
}

function Calendar({ coverage }: { coverage: Coverage }): ReactNode {
  const [search, setUrl] = useUrl();
  const table = useRef<HTMLTableElement>(null);
  const move = (event: KeyboardEvent) => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (!dx && !dy) return;
    const cell = (event.target as HTMLElement).closest<HTMLElement>("[data-x]");
    const next = cell && table.current?.querySelector<HTMLElement>(`[data-x="${Number(cell.dataset.x) + dx!}"][data-y="${Number(cell.dataset.y) + dy!}"]`);
    if (!next) return;
    event.preventDefault();
    event.stopPropagation();
    next.focus();
  };
  return (
    <div className="overflow-x-auto p-3" tabIndex={0} role="region" aria-label="Calendar of the data">
      <table ref={table} className="border-separate border-spacing-0.5" onKeyDown={move}>
        <thead>
          <tr className="label">
            <th scope="col" className="pr-4 text-left font-medium">Instrument</th>
            <th scope="col" className="pr-4 text-left font-medium">Data</th>
            {coverage.days.map((day) => (
              <th key={day} scope="col" className="w-[24px] text-center font-normal" title={day}>{day.slice(8)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {coverage.rows.map((row, y) => (
            <tr key={`${row.instrument} ${row.data_type}`}>
              <th scope="row" className="pr-4 text-left font-normal whitespace-nowrap" title={row.instrument}>{shortInstrument(row.instrument)}</th>
              <td className="pr-4 whitespace-nowrap text-quiet">{row.data_type}</td>
              {[...row.state].map((state, x) => {
                const day = coverage.days[x]!;
                const [text, color] = STATES[state] ?? [state, ""];
                const check = row.checks[x];
                const isChosen = search.day === day && search.instrument === row.instrument && search.type === row.data_type;
                const title = `${day}: ${text}${row.rows[x] == null ? "" : `, ${count(row.rows[x])} rows`}${row.rejected[x] ? `, ${count(row.rejected[x])} rejected` : ""}${check ? `, checks ${check}` : ""}`;
                return (
                  <td key={day} className="p-0">
                    <button
                      type="button"
                      data-x={x}
                      data-y={y}
                      title={title}
                      aria-label={`${shortInstrument(row.instrument)} ${row.data_type} ${title}`}
                      aria-pressed={isChosen}
                      className={cx("relative size-[24px] rounded text-[13px] leading-6 hover:bg-raised", color, isChosen && "bg-accent-soft outline outline-accent")}
                      onClick={() => setUrl({ day, instrument: row.instrument, type: row.data_type })}
                    >
                      {state}
                      {(check === "warned" || check === "refused") && <span aria-hidden="true" className={cx("absolute top-0 right-0 text-[9px] leading-3", check === "refused" ? "text-bad" : "text-warn")}>⚠</span>}
                    </button>
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Day({ instrument, type, day }: { instrument: string; type: string; day: string }): ReactNode {
  const query = useQuery({
    queryKey: ["partition", instrument, type, day],
    queryFn: ({ signal }) => getJson<Partition>(`/api/v1/catalog/${encodeURIComponent(instrument)}/${encodeURIComponent(type)}/${day}`, signal),
  });
  return (
    <Loaded query={query} place={<Skeleton className="h-48" />}>
      {(found) => (
        <Panel title={`${shortInstrument(instrument)}, ${type}, ${day}`} aside={<><span className="text-quiet">{found.state} {found.state_text}</span>
          <Link to="/launch" search={{ day } as never} className={buttonClass("plain", true)}>Launch this day…</Link></>}>
          <div className="grid gap-6 lg:grid-cols-2">
            <section>
              <h3 className="label mb-1">Quality</h3>
              {found.verdicts.length ? found.verdicts.map((one) => (
                <p key={one.check} className="py-px">
                  <span className={one.passed ? "text-good" : "text-warn"}>{one.passed ? "✓" : "⚠"}</span> {words(one.check)} <span className="text-quiet">{one.text}</span>
                  {one.refused_by.length > 0 && <Tag tone="bad">refused by {one.refused_by.join(", ")}</Tag>}
                </p>
              )) : <p className="text-quiet">Not converted: nothing is checked yet.</p>}
              <h3 className="label mt-3 mb-1">Runs that read it</h3>
              {found.runs.length ? found.runs.map((one) => (
                <p key={one.run_id}>
                  <Link to="/runs/$runId" params={{ runId: one.run_id }} className="mono text-accent hover:underline">{one.run_id}</Link>{" "}
                  {one.current ? <span className="text-quiet">same data now</span> : <Tag tone="warn">data changed since</Tag>}
                </p>
              )) : <p className="text-quiet">None yet.</p>}
            </section>
            <section className="min-w-0">
              <h3 className="label mb-1">Raw file</h3>
              <p className="breaks mono">{found.raw ? String(found.raw.path) : "—"} {found.raw?.size ? <span className="text-quiet">{bytes(Number(found.raw.size))}</span> : null}</p>
              <h3 className="label mt-3 mb-1">Manifest</h3>
              {found.manifest ? <dl className="grid grid-cols-[10rem_1fr] gap-y-0.5">{Object.entries(found.manifest).filter(([, value]) => typeof value !== "object" || value === null).map(([name, value]) => (
                <div key={name} className="contents"><dt className="text-quiet">{words(name)}</dt><dd className="breaks">{/sha256|digest/.test(name) ? <Hash value={String(value)} /> : String(value)}</dd></div>
              ))}</dl> : <p className="text-quiet">Not converted.</p>}
            </section>
          </div>
        </Panel>
      )}
    </Loaded>
  );
}
