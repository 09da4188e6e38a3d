import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { loadComparison, type Comparison, type FirstDifference } from "../../api/compare";
import { queryOf } from "../../api/client";
import { loadRun, loadRuns, periodOf, shortInstrument, type WholeRun } from "../../api/runs";
import { useKey } from "../../app/keys";
import { useUrl, useZone } from "../../app/search";
import { lineColor, lineStyle } from "../../charts/colors";
import { Button, buttonClass, cx, Panel, ScreenHead, Status, useTitle } from "../../components/basics";
import { Empty, Failure, Loaded, Skeleton } from "../../components/states";
import { count, shortConfig, signed, words } from "../../lib/format";
import { formatNs } from "../../lib/ns";
import { listOf, toggled } from "../../lib/url";
import { EquityOverlay } from "./EquityOverlay";
import { MetricTable } from "./MetricTable";

const MOST = 20;

/** Two to twenty runs side by side: what differs first, then figures and equity. */
export function CompareScreen(): ReactNode {
  useTitle("Compare");
  const [search, setUrl] = useUrl();
  const ids = [...new Set(listOf(search.ids))].slice(0, MOST);
  const runs = useQueries({ queries: ids.map((id) => ({ queryKey: ["run", id], queryFn: ({ signal }: { signal: AbortSignal }) => loadRun(id, signal), retry: false })) });
  const known = ids.flatMap((_, at) => (runs[at]?.data ? [runs[at].data] : []));
  const unknown = ids.filter((_, at) => runs[at]?.error);
  const isSettled = runs.every((one) => one.data || one.error);
  const group = GROUPS.some(([id]) => id === search.group) ? search.group! : "none";
  const succeeded = groupedRuns(known.filter((run) => run.status === "succeeded"), group);
  const ready = succeeded.map((run) => run.run_id);
  const align = search.align ?? "time";
  const base = ready.includes(search.base ?? "") ? search.base! : (ready[0] ?? "");
  const query = useQuery({
    queryKey: ["compare", ready, align, base],
    queryFn: ({ signal }) => loadComparison(ready, align, base, signal),
    enabled: isSettled && ready.length >= 2,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const hidden = new Set(listOf(search.hidden));
  const toggle = (id: string) => setUrl({ hidden: toggled([...hidden], id).join(",") || undefined });
  for (let at = 0; at < 9; at += 1) {
    // Nine hooks, always.
    // eslint-disable-next-line
    useKey(String(at + 1), `Show or hide run ${at + 1}`, () => ready[at] && toggle(ready[at]!), "Compare", at < ready.length);
  }
  useKey("b", "Next run as baseline", () => setUrl({ base: ready[(ready.indexOf(base) + 1) % ready.length] }), "Compare", ready.length > 1);
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="Compare" command={ready.length >= 2 ? `odum results compare ${ready.join(" ")}` : "odum results compare"}>
        <label className="flex items-center gap-1.5">
          <span className="label">Group by</span>
          <select className="field" value={group} onChange={(event) => setUrl({ group: event.target.value === "none" ? undefined : event.target.value })}>
            {GROUPS.map(([id, label]) => (
              <option key={id} value={id}>
                {label}
              </option>
            ))}
          </select>
        </label>
        {ready.length >= 2 && (
          <a className={buttonClass("plain", true)} href={`/api/v1/export${queryOf({ ids: ready.join(","), base })}`} title={`One HTML file that opens offline: odum results export ${ready.join(" ")} --html FILE`} download>
            Export HTML
          </a>
        )}
      </ScreenHead>
      {unknown.length > 0 && (
        <p role="alert" className="rounded border border-warn bg-warn-soft px-3 py-1.5">
          There is no run {unknown.join(", ")}; the others are shown.
        </p>
      )}
      <RunList runs={[...succeeded, ...known.filter((run) => run.status !== "succeeded")]} base={base} hidden={hidden} onToggle={toggle} />
      {ready.length < 2 ? (
        <div className="panel">
          <Empty title={ready.length === 1 ? "One run is there: choose another" : "Choose two runs or more"}>Search below, or select runs in the list with x and press c.</Empty>
        </div>
      ) : (
        <Loaded query={query} place={<Skeleton className="h-96" />}>
          {(comparison) => (
            <div className="flex flex-col gap-3">
              <Differences comparison={comparison} ids={comparison.run_ids} />
              <EquityOverlay comparison={comparison} base={base} hidden={hidden} />
              <Panel title="Figures" aside={<span className="label">Δ to the baseline</span>}>
                <MetricTable comparison={comparison} base={base} groups={groupsOf(comparison.run_ids, succeeded, group)} />
              </Panel>
            </div>
          )}
        </Loaded>
      )}
    </div>
  );
}

const GROUPS = [["none", "nothing"], ["config", "config"], ["period", "day or window"], ["instrument", "instrument"], ["sweep", "sweep"]] as const;

function groupName(run: WholeRun, group: string): string {
  switch (group) {
    case "config":
      return shortConfig(run.config_name);
    case "period":
      return periodOf(run);
    case "instrument":
      return shortInstrument(run.instrument);
    case "sweep":
      return run.sweep_id ?? "no sweep";
    default:
      return "";
  }
}

/** Return runs with those of a group beside each other; groups stand in the order of their first run. */
function groupedRuns(runs: WholeRun[], group: string): WholeRun[] {
  return group === "none" ? runs : [...Map.groupBy(runs, (run) => groupName(run, group)).values()].flat();
}

/** Return the groups of a table's columns, with how many columns each has. */
function groupsOf(ids: readonly string[], runs: WholeRun[], group: string): { name: string; runs: number }[] {
  if (group === "none") return [];
  const names = ids.map((id) => groupName(runs.find((run) => run.run_id === id)!, group));
  return [...Map.groupBy(names, (name) => name)].map(([name, all]) => ({ name, runs: all.length }));
}

function RunList({ runs, base, hidden, onToggle }: { runs: WholeRun[]; base: string; hidden: ReadonlySet<string>; onToggle(id: string): void }): ReactNode {
  const [search, setUrl] = useUrl();
  const ids = runs.map((run) => run.run_id);
  let place = -1;
  return (
    <div className="panel relative overflow-x-auto px-3 py-1.5">
      <table className="plain-table">
        <thead className="sr-only">
          <tr>
            <th scope="col">Shown</th>
            <th scope="col">Run</th>
            <th scope="col" className="max-lg:hidden">Config</th>
            <th scope="col" className="max-lg:hidden">Day or window</th>
            <th scope="col">Net PnL</th>
            <th scope="col">Baseline</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => {
            const isReady = run.status === "succeeded";
            if (isReady) place += 1;
            const at = place;
            return (
              <tr key={run.run_id}>
                <td className="w-14">
                  {isReady ? (
                    <label className="inline-flex items-center gap-2">
                      <input type="checkbox" className="accent-accent" checked={!hidden.has(run.run_id)} onChange={() => onToggle(run.run_id)} aria-label={`Show ${run.run_id} (${at + 1})`} />
                      <span className="w-4 border-t-2" style={{ borderColor: lineColor(at), borderStyle: lineStyle(at) }} />
                    </label>
                  ) : (
                    <Status status={run.status} />
                  )}
                </td>
                <td>
                  <Link to="/runs/$runId" params={{ runId: run.run_id }} search={(search.tz ? { tz: search.tz } : {}) as never} className="mono text-accent hover:underline">
                    {run.run_id}
                  </Link>
                  <span className="block text-[12px] leading-4 text-quiet lg:hidden" title={run.config_name}>{shortConfig(run.config_name)} · {periodOf(run)}</span>
                </td>
                <td className="max-lg:hidden" title={run.config_name}>{shortConfig(run.config_name)}</td>
                <td className="whitespace-nowrap max-lg:hidden">{periodOf(run)}</td>
                <td className="num whitespace-nowrap">{isReady ? `${signed(run.pnl)} ${run.currency ?? ""}` : <span className="text-quiet">no result</span>}</td>
                <td className="num whitespace-nowrap">
                  {isReady && (
                    <Button small kind="quiet" aria-pressed={base === run.run_id} className={base === run.run_id ? "!text-accent" : ""} onClick={() => setUrl({ base: run.run_id })}>
                      {base === run.run_id ? "● baseline" : "baseline"}
                    </Button>
                  )}
                  <Button small kind="quiet" aria-label={`Remove ${run.run_id}`} onClick={() => setUrl({ ids: ids.filter((id) => id !== run.run_id).join(",") || undefined })}>
                    ✕
                  </Button>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {runs.length < MOST && <AddRun taken={ids} onAdd={(id) => setUrl({ ids: [...ids, id].join(",") })} />}
    </div>
  );
}

function AddRun({ taken, onAdd }: { taken: string[]; onAdd(id: string): void }): ReactNode {
  const [text, setText] = useState("");
  const runsQuery = useQuery({
    queryKey: ["add", text],
    queryFn: ({ signal }) => loadRuns({ q: text, status: ["succeeded"], limit: 8 }, signal),
    placeholderData: keepPreviousData,
  });
  const options = runsQuery.data?.runs.filter((run) => !taken.includes(run.run_id)) ?? [];
  return (
    <div className="flex flex-wrap items-center gap-2 py-1.5">
      <input data-filter className="field w-64" placeholder="Add a run: search  ( / )" aria-label="Search a run to add" value={text} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === "Enter" && options[0] && onAdd(options[0].run_id)} />
      {options.slice(0, 4).map((run) => (
        <button key={run.run_id} type="button" className={cx(buttonClass("plain", true), "mono")} onClick={() => onAdd(run.run_id)} title={`${run.config_name}, ${periodOf(run)}`}>
          + {run.run_id}
        </button>
      ))}
      {runsQuery.error ? <Failure error={runsQuery.error} compact /> : null}
    </div>
  );
}

/** What differs, first: configuration, options, data, strategy, versions, and the first fill. */
function Differences({ comparison, ids }: { comparison: Comparison; ids: string[] }): ReactNode {
  const groups: [string, Record<string, unknown[]>][] = [
    ["Configuration", comparison.config],
    ["Options", Object.fromEntries(Object.entries(comparison.inputs).filter(([name]) => !name.startsWith("data.")))],
    ["What was simulated", Object.fromEntries(comparison.simulated.filter((row) => row.differs).map((row) => [`simulated.${row.aspect}`, row.values.map((value) => (value === null ? null : `${value.simulated ? "yes" : "no"}: ${value.detail}`))]))],
    ["Data, strategy, versions", Object.fromEntries(comparison.lineage.filter((row) => row.differs).map((row) => [`${row.kind} ${row.name}`, row.values.map(lineageText)]))],
  ];
  const number = groups.reduce((sum, [, rows]) => sum + Object.keys(rows).length, 0);
  return (
    <Panel title="Differences" aside={<span className="label">{number ? `${number} settings and inputs differ` : "same settings and inputs"}</span>}>
      {comparison.same_digest ? <p className="py-1 font-medium text-good">✓ Equal in every order and fill.</p> : <Firsts comparison={comparison} />}
      {number > 0 && (
        <div className="max-h-80 overflow-auto" tabIndex={0} role="region" aria-label="What differs">
          <table className="plain-table">
            <thead className="sticky top-0 bg-panel">
              <tr>
                <th scope="col" className="w-1">Setting</th>
                {ids.map((id, at) => (
                  <th key={id} scope="col" className="mono !pl-2" title={id}>
                    <span className="mr-1 inline-block w-3 border-t-2 align-middle" style={{ borderColor: lineColor(at), borderStyle: lineStyle(at) }} />
                    {id.slice(-13)}
                  </th>
                ))}
              </tr>
            </thead>
            {groups.map(([title, rows]) => (
              <tbody key={title}>
                {Object.entries(rows).map(([name, values]) => (
                  <tr key={name}>
                    <th scope="row" className="mono font-normal" title={title}>
                      {name}
                    </th>
                    {values.map((value, at) => (
                      <td key={ids[at]} className={cx("breaks !pl-2", String(value) !== String(values[0]) && "bg-warn-soft")}>
                        {value === null ? <span className="text-quiet">null</span> : typeof value === "object" ? JSON.stringify(value) : String(value)}
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            ))}
          </table>
        </div>
      )}
    </Panel>
  );
}

function lineageText(value: { sha256: string | null; rows: number | null; rejected: number | null } | null): string | null {
  if (value === null) return null;
  const parts = [value.sha256?.slice(0, 12), value.rows === null ? null : `${count(value.rows)} rows`, value.rejected ? `${count(value.rejected)} rejected` : null];
  return parts.filter(Boolean).join(", ") || null;
}

/** Of each run the first row that is not the baseline's. */
function Firsts({ comparison }: { comparison: Comparison }): ReactNode {
  const [search, setUrl] = useUrl();
  const all = comparison.first_differences;
  const chosen = all.find((one) => one.run_id === search.against) ?? all[0];
  return (
    <>
      {all.length > 1 && (
        <label className="flex items-center gap-2 py-1">
          <span className="label">First difference of</span>
          <select className="field mono" value={chosen?.run_id} onChange={(event) => setUrl({ against: event.target.value })}>
            {all.map((one) => (
              <option key={one.run_id}>{one.run_id}</option>
            ))}
          </select>
        </label>
      )}
      {chosen && <First first={chosen} base={comparison.base} />}
      {comparison.not_compared.length > 0 && <p className="label py-1">Rows cannot be compared (fast mode): {comparison.not_compared.join(", ")}</p>}
    </>
  );
}

const ALWAYS = ["timestamp", "opened", "side", "price", "quantity", "amount"];

function First({ first, base }: { first: FirstDifference; base: string }): ReactNode {
  const zone = useZone();
  const names = Object.keys(first.a ?? first.b ?? {}).filter((name) => first.columns.includes(name) || ALWAYS.includes(name));
  return (
    <section className="relative overflow-x-auto py-1" aria-label="First difference" data-testid="first-difference">
      <p className="mb-1">
        <span className="font-medium text-warn">≠ The first difference</span> is in row {count(first.row + 1)} of the {words(first.table)}
        {first.ts_ns && (
          <>
            {" "}
            at <span className="mono">{formatNs(BigInt(first.ts_ns), zone)}</span> {zone}
          </>
        )}
        .
      </p>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Run</th>
            {names.map((name) => (
              <th key={name} scope="col" className="!pl-2">
                {words(name)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {([[base, first.a], [first.run_id, first.b]] as const).map(([id, row]) => (
            <tr key={id}>
              <th scope="row" className="mono font-normal">
                {id.slice(-13)}
                {first.ts_ns && (
                  <Link to="/runs/$runId" params={{ runId: id }} search={{ moment: first.ts_ns } as never} className="block font-sans text-accent hover:underline">
                    microscope
                  </Link>
                )}
              </th>
              {row === null ? (
                <td colSpan={names.length} className="text-quiet">
                  has no more rows
                </td>
              ) : (
                names.map((name) => (
                  <td key={name} className={cx("mono whitespace-nowrap !pl-2", first.columns.includes(name) && "bg-warn-soft")}>
                    {row[name] === null || row[name] === undefined ? "—" : String(row[name])}
                  </td>
                ))
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
