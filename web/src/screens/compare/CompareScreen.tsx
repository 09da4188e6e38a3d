import { keepPreviousData, useQueries, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { loadComparison, type Comparison, type FirstDifference } from "../../api/compare";
import { loadRun, loadRuns, periodOf, type WholeRun } from "../../api/runs";
import { useKey } from "../../app/keys";
import { useUrl, useZone } from "../../app/search";
import { lineColor, lineStyle } from "../../charts/LinesChart";
import { Button, buttonClass, cx, Panel, ScreenHead, Status, useTitle } from "../../components/basics";
import { Empty, Failure, Loaded, Skeleton } from "../../components/states";
import { shortConfig, signed, words } from "../../lib/format";
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
  const ready = known.filter((run) => run.status === "succeeded").map((run) => run.run_id);
  const align = search.align ?? "time";
  const query = useQuery({
    queryKey: ["compare", ready, align],
    queryFn: ({ signal }) => loadComparison(ready, align, signal),
    enabled: isSettled && ready.length >= 2,
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const base = ready.includes(search.base ?? "") ? search.base! : (ready[0] ?? "");
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
      <ScreenHead title="Compare" command={ready.length >= 2 ? `odum results compare ${ready.join(" ")}` : "odum results compare"} />
      {unknown.length > 0 && (
        <p role="alert" className="rounded border border-warn bg-warn-soft px-3 py-1.5">
          There is no run {unknown.join(", ")}; the others are shown.
        </p>
      )}
      <RunList runs={known} base={base} hidden={hidden} onToggle={toggle} />
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
                <MetricTable comparison={comparison} base={base} />
              </Panel>
            </div>
          )}
        </Loaded>
      )}
    </div>
  );
}

function RunList({ runs, base, hidden, onToggle }: { runs: WholeRun[]; base: string; hidden: ReadonlySet<string>; onToggle(id: string): void }): ReactNode {
  const [search, setUrl] = useUrl();
  const ids = runs.map((run) => run.run_id);
  let place = -1;
  return (
    <div className="panel overflow-x-auto px-3 py-1.5">
      <table className="plain-table">
        <thead className="sr-only">
          <tr>
            <th scope="col">Shown</th>
            <th scope="col">Run</th>
            <th scope="col">Config</th>
            <th scope="col">Day or window</th>
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
                </td>
                <td title={run.config_name}>{shortConfig(run.config_name)}</td>
                <td className="whitespace-nowrap">{periodOf(run)}</td>
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
  const found = useQuery({
    queryKey: ["add", text],
    queryFn: ({ signal }) => loadRuns({ q: text, status: ["succeeded"], limit: 8 }, signal),
    placeholderData: keepPreviousData,
  });
  const options = found.data?.runs.filter((run) => !taken.includes(run.run_id)) ?? [];
  return (
    <div className="flex flex-wrap items-center gap-2 py-1.5">
      <input data-filter className="field w-64" placeholder="Add a run: search  ( / )" aria-label="Search a run to add" value={text} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === "Enter" && options[0] && onAdd(options[0].run_id)} />
      {options.slice(0, 4).map((run) => (
        <button key={run.run_id} type="button" className={cx(buttonClass("plain", true), "mono")} onClick={() => onAdd(run.run_id)} title={`${run.config_name}, ${periodOf(run)}`}>
          + {run.run_id}
        </button>
      ))}
      {found.error ? <Failure error={found.error} compact /> : null}
    </div>
  );
}

/** What differs, first: configuration, options, data, strategy, versions, and the first fill. */
function Differences({ comparison, ids }: { comparison: Comparison; ids: string[] }): ReactNode {
  const groups: [string, Record<string, unknown[]>][] = [
    ["Configuration", comparison.config],
    ["Options and data", comparison.inputs],
    ...(comparison.simulated && Object.keys(comparison.simulated).length ? [["What was simulated", comparison.simulated] as [string, Record<string, unknown[]>]] : []),
  ];
  const number = groups.reduce((sum, [, rows]) => sum + Object.keys(rows).length, 0);
  return (
    <Panel title="Differences" aside={<span className="label">{number ? `${number} settings and inputs differ` : "same settings and inputs"}</span>}>
      {comparison.same_digest ? <p className="py-1 font-medium text-good">✓ Equal in every order and fill.</p> : <First first={comparison.first_difference} ids={ids} />}
      {number > 0 && (
        <div className="max-h-80 overflow-auto" tabIndex={0} role="region" aria-label="What differs">
          <table className="plain-table">
            <thead className="sticky top-0 bg-panel">
              <tr>
                <th scope="col">Setting</th>
                {ids.map((id, at) => (
                  <th key={id} scope="col" className="mono" title={id}>
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
                      <td key={ids[at]} className={cx("breaks", String(value) !== String(values[0]) && "bg-warn-soft")}>
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

function First({ first, ids }: { first: FirstDifference | null | undefined; ids: string[] }): ReactNode {
  const zone = useZone();
  if (!first) return null;
  const names = [...new Set([...Object.keys(first.a ?? {}), ...Object.keys(first.b ?? {})])].filter((name) => first.a?.[name] !== first.b?.[name] || ["timestamp", "side", "price", "quantity"].includes(name));
  return (
    <section className="py-1" aria-label="First difference" data-testid="first-difference">
      <p className="mb-1">
        <span className="font-medium text-warn">≠ The first difference</span> is in row {first.row} of {words(first.table)}
        {first.ts_ns && <> at <span className="mono">{formatNs(BigInt(first.ts_ns), zone)}</span> {zone}</>}.
      </p>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Run</th>
            {names.map((name) => <th key={name} scope="col">{words(name)}</th>)}
            <th scope="col"><span className="sr-only">Open</span></th>
          </tr>
        </thead>
        <tbody>
          {[first.a, first.b].map((row, at) => (
            <tr key={ids[at]}>
              <th scope="row" className="mono font-normal">{ids[at]?.slice(-13)}</th>
              {row === null ? <td colSpan={names.length} className="text-quiet">has no such row</td> : names.map((name) => (
                <td key={name} className={cx("breaks", first.a && first.b && first.a[name] !== first.b[name] && "bg-warn-soft")}>{row[name] === null ? "—" : String(row[name])}</td>
              ))}
              <td>
                {first.ts_ns && ids[at] && (
                  <Link to="/runs/$runId" params={{ runId: ids[at] }} search={{ moment: first.ts_ns } as never} className="text-accent hover:underline">
                    microscope
                  </Link>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
