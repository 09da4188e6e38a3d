import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { getJson } from "../../api/client";
import { shortInstrument } from "../../api/runs";
import type { components } from "../../api/schema";
import { useKey } from "../../app/keys";
import { useUrl } from "../../app/search";
import { Button, cx, Panel, ScreenHead, useTitle } from "../../components/basics";
import { Empty, Loaded, Skeleton } from "../../components/states";
import { csvOf, save } from "../../lib/csv";
import { count } from "../../lib/format";
import { STATES } from "../launch/PlanPanel";
import { Calendar } from "./Calendar";
import { DayPanel } from "./DayPanel";
import { RangePanel } from "./RangePanel";

export type Coverage = components["schemas"]["Coverage"];
type Datasets = { datasets: { day: string }[] };

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

/** Return the listed partitions as rows of a table. */
export function coverageRows(coverage: Coverage): (string | number | null)[][] {
  const head = ["instrument", "data_type", "day", "state", "rows", "rejected", "checks"];
  const rows = coverage.rows.flatMap((row) =>
    coverage.days.map((day, at) => {
      const state = [...row.state][at]!;
      return [row.instrument, row.data_type, day, STATES[state]?.[0] ?? state, row.rows[at] ?? null, row.rejected[at] ?? null, row.checks[at] ?? null];
    }),
  );
  return [head, ...rows];
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
  const go = (by: number) => month && setUrl({ month: moved(month, by), day: undefined, last: undefined });
  useKey("[", "The month before", () => go(-1), "Data");
  useKey("]", "The month after", () => go(1), "Data");
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="Data" command={span ? `curl '${window.location.origin}/api/v1/coverage?first_day=${span.first}&last_day=${span.last}'` : "odum data list"}>
        {month && (
          <span className="flex items-center gap-1">
            <Button aria-label="The month before" onClick={() => go(-1)}>‹</Button>
            <input type="month" className="field" aria-label="Month" value={month} onChange={(event) => event.target.value && setUrl({ month: event.target.value, day: undefined, last: undefined })} />
            <Button aria-label="The month after" onClick={() => go(1)}>›</Button>
            <span className="label ml-2">days in UTC</span>
          </span>
        )}
      </ScreenHead>
      {latest.error && !month ? <Loaded query={latest} place={null}>{() => null}</Loaded> : (
        <Loaded query={query} place={<Skeleton className="h-64" />}>
          {(whole) => {
            const empty = whole.rows.filter((row) => !hasData(row)).length;
            const isAll = search.all === "1" || empty === whole.rows.length;
            const listed = whole.rows.filter((row) => (isAll || hasData(row)) && (!search.only || row.instrument === search.only));
            const coverage = { ...whole, rows: listed };
            return (
              <div className="flex flex-col gap-3">
                <Panel
                  flush
                  className={cx(query.isPlaceholderData && "opacity-60")}
                  aside={
                    <>
                      {search.only && <Button small onClick={() => setUrl({ only: undefined })}>{shortInstrument(search.only)} only ✕</Button>}
                      {empty > 0 && empty < whole.rows.length && (
                        <label className="flex items-center gap-1.5 text-quiet">
                          <input type="checkbox" className="accent-accent" checked={search.all === "1"} onChange={(event) => setUrl({ all: event.target.checked ? "1" : undefined })} />
                          also {count(empty)} configured without data this month
                        </label>
                      )}
                      {listed.length > 0 && <Button small onClick={() => save(`coverage-${month}.csv`, csvOf(coverageRows(coverage)))}>CSV</Button>}
                    </>
                  }
                >
                  {whole.problems.map((one) => (
                    <p key={one} className="breaks px-3 py-1 text-warn">⚠ {one}</p>
                  ))}
                  {whole.rows.length ? (
                    empty === whole.rows.length ? (
                      <Empty title={`There are no raw files and no partitions in ${month}`} command={`odum data generate`}>
                        {whole.rows.length === 1 ? "One series is" : `${count(whole.rows.length)} series are`} configured; <button type="button" className="underline" onClick={() => setUrl({ month: undefined, day: undefined, last: undefined })}>the latest month with data</button>
                      </Empty>
                    ) : (
                      <Calendar coverage={coverage} />
                    )
                  ) : (
                    <Empty title="No configuration reads any data" command="odum init ." />
                  )}
                </Panel>
                <p className="label flex flex-wrap gap-x-4">
                  {Object.entries(STATES).map(([sign, [text, color]]) => (
                    <span key={sign}><span className={cx("mono", color)}>{sign}</span> {text}</span>
                  ))}
                  <span><span className="text-warn">⚠</span> a check warns or refuses</span>
                  <span className="ml-auto max-md:hidden">Drag, or Shift with click or arrows, chooses a range</span>
                </p>
                <Chosen coverage={whole} />
              </div>
            );
          }}
        </Loaded>
      )}
    </div>
  );
}

function Chosen({ coverage }: { coverage: Coverage }): ReactNode {
  const [search] = useUrl();
  const { day, last, instrument, type } = search;
  const row = coverage.rows.find((one) => one.instrument === instrument && one.data_type === type);
  if (!day || !instrument || !type) return null;
  if (last && last !== day && row) return <RangePanel coverage={coverage} row={row} first={day} last={last} />;
  return <DayPanel instrument={instrument} type={type} day={day} configs={row?.configs ?? []} />;
}
