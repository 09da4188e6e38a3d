import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState, type ReactNode } from "react";
import { loadOverview, resultQuery } from "../../api/result";
import { isActive, loadRun, periodOf, shortInstrument, type WholeRun } from "../../api/runs";
import { useKey } from "../../app/keys";
import { useUrl } from "../../app/search";
import { AsCommand, buttonClass, Copy, cx, Hash, Status, Tag, useTitle } from "../../components/basics";
import { Empty, Failure, Skeleton } from "../../components/states";
import { Tabs, type TabItem } from "../../components/Tabs";
import { count, shortConfig } from "../../lib/format";
import { RunHead } from "./RunHead";
import { Star } from "./Star";
import { useChartData } from "./useChartData";

const ChartTab = lazy(() => import("./ChartTab").then((module) => ({ default: module.ChartTab })));
const documents = () => import("./DocumentTabs");
const ConfigTab = lazy(() => documents().then((module) => ({ default: module.ConfigTab })));
const FilesTab = lazy(() => documents().then((module) => ({ default: module.FilesTab })));
const LogTab = lazy(() => documents().then((module) => ({ default: module.LogTab })));
const NoteTab = lazy(() => documents().then((module) => ({ default: module.NoteTab })));
const BreakdownTab = lazy(() => import("./BreakdownTab").then((module) => ({ default: module.BreakdownTab })));
const LineageTab = lazy(() => import("./LineageTab").then((module) => ({ default: module.LineageTab })));
const LivePanel = lazy(() => import("./LivePanel").then((module) => ({ default: module.LivePanel })));
const TableTab = lazy(() => import("./TableTab").then((module) => ({ default: module.TableTab })));
const Verify = lazy(() => import("./Verify").then((module) => ({ default: module.Verify })));

/** One run: while it goes on, and what came of it. */
export function RunScreen(): ReactNode {
  const { runId } = useParams({ strict: false }) as { runId: string };
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ["run", runId],
    queryFn: async ({ signal }) => {
      if (client.getQueryData(["run", runId])) return loadRun(runId, signal);
      const { run, result } = await loadOverview(runId, signal);
      if (result) client.setQueryData(resultQuery(run).queryKey, result);
      return run;
    },
    refetchInterval: ({ state }) => (state.data && isActive(state.data) ? 3_000 : false),
    staleTime: 5_000,
  });
  useTitle(runId);
  if (!query.data) {
    return (
      <div className="flex flex-col gap-3 p-3">
        {query.error ? <Failure error={query.error} retry={() => void query.refetch()} /> : <RunPlace />}
      </div>
    );
  }
  return (
    <div className="flex flex-col gap-3 p-3">
      {query.error ? <Failure error={query.error} retry={() => void query.refetch()} compact /> : null}
      <Title run={query.data} />
      <Suspense fallback={<Skeleton className="h-[60vh]" />}>
        {isActive(query.data) ? <LivePanel run={query.data} onEnd={() => void query.refetch()} /> : query.data.status === "succeeded" ? <Finished run={query.data} /> : <NoResult run={query.data} />}
      </Suspense>
    </div>
  );
}

/** Wait until what is drawn now can be seen; where nothing is seen, not for long. */
function painted(): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 250);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      setTimeout(resolve);
    });
  });
}

/** Return whether what was drawn first can be seen, and the rest may follow. */
function usePainted(): boolean {
  const [is, set] = useState(false);
  useEffect(() => {
    let isHere = true;
    void painted().then(() => isHere && set(true));
    return () => {
      isHere = false;
    };
  }, []);
  return is;
}

/** Asks for what the chart will show, before the chart is there. */
function EarlyChart({ run }: { run: WholeRun }): ReactNode {
  useChartData(run);
  return null;
}

function RunPlace(): ReactNode {
  return (
    <>
      <Skeleton className="h-7 w-96" />
      <div className="grid gap-3 lg:grid-cols-2 xl:grid-cols-3">
        <Skeleton className="h-56" />
        <Skeleton className="h-56" />
        <Skeleton className="h-56" />
      </div>
      <Skeleton className="h-[60vh]" />
    </>
  );
}

function Title({ run }: { run: WholeRun }): ReactNode {
  const navigate = useNavigate();
  const [{ tz }] = useUrl();
  const zone = (tz ? { tz } : {}) as never;
  const keys = [...new Set(((run.provenance.catalog ?? []) as { instrument?: string | null }[]).map((one) => one.instrument ?? run.instrument))];
  useKey("c", "Compare with another run", () => void navigate({ to: "/compare", search: { ids: run.run_id } as never }), "Run");
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
      <h1 className="min-w-0 text-[15px] font-semibold">
        <Copy text={run.run_id} label="the run's id">
          <span className="truncate">{run.run_id}</span>
        </Copy>
      </h1>
      {!isActive(run) && <Star runId={run.run_id} />}
      <Status status={run.status} progress={run.progress} />
      <Link to="/configs/$name" params={{ name: run.config_name }} search={zone} className="text-accent hover:underline" title={run.config_name}>
        {shortConfig(run.config_name)}
      </Link>
      <span className="text-quiet" title={keys.join(", ")}>{shortInstrument(run.instrument)}{keys.length > 1 && ` + ${keys.length - 1} more`}</span>
      <span>{periodOf(run)} <span className="text-[12px] text-quiet">UTC</span></span>
      {run.detail === "fast" && <Tag title="Figures only: no orders, fills and curves were kept">fast mode</Tag>}
      {run.sweep_id && (
        <Link to="/sweeps/$sweepId" params={{ sweepId: run.sweep_id }} className="text-accent hover:underline">
          sweep {run.sweep_id.slice(0, 12)}
        </Link>
      )}
      {run.digest && (
        <span className="inline-flex items-center gap-1 text-quiet" title="Hash of every order, fill and balance: equal digests are equal results">
          digest <Hash value={run.digest} />
        </span>
      )}
      <span className="no-print ml-auto flex flex-wrap items-center gap-2">
        <span className="flex max-w-72 min-w-0 [&>button]:min-w-0"><AsCommand command={`odum results show ${run.run_id}`} /></span>
        <Link to="/launch" search={{ from: run.run_id } as never} className={buttonClass()}>
          Run again…
        </Link>
        <Link to="/sweeps/new" search={{ from: run.run_id } as never} className={buttonClass()}>
          Sweep…
        </Link>
        {run.status === "succeeded" && (
          <a href={`/api/v1/export?ids=${run.run_id}`} className={buttonClass()} title={`One HTML file that opens offline: odum results export ${run.run_id} --html FILE`} download>
            Export
          </a>
        )}
        <Link to="/compare" search={{ ids: run.run_id, ...(tz ? { tz } : {}) } as never} className={buttonClass()}>
          Compare…
        </Link>
        {run.status === "succeeded" && (
          <Suspense fallback={<span className="inline-block h-7 w-14" />}>
            <Verify run={run} />
          </Suspense>
        )}
      </span>
    </div>
  );
}

function Finished({ run }: { run: WholeRun }): ReactNode {
  const result = useQuery(resultQuery(run));
  const [search, setUrl] = useUrl();
  const hasTables = run.detail === "report";
  const items: TabItem[] = [
    { id: "chart", label: "Chart" },
    { id: "trades", label: "Trades", note: count(run.total_trades) },
    { id: "fills", label: "Fills", note: count(run.fills) },
    { id: "orders", label: "Orders", note: count(run.orders) },
    { id: "breakdown", label: "Breakdown" },
    { id: "lineage", label: "Lineage" },
    { id: "config", label: "Config" },
    { id: "log", label: "Log" },
    { id: "files", label: "Files" },
    { id: "note", label: "Note" },
  ];
  // The head is seen first: tabs and chart, whose parts start.js asks for at once, are drawn after it.
  const hasHead = usePainted();
  const tab = items.some((item) => item.id === search.tab) ? search.tab! : "chart";
  const change = (next: string) => setUrl({ tab: next === "chart" ? undefined : next, sort: undefined, where: undefined, row: tab === next ? search.row : undefined });
  return (
    <>
      {tab === "chart" && hasTables && <EarlyChart run={run} />}
      {result.data ? <RunHead run={run} result={result.data} /> : result.error ? <Failure error={result.error} retry={() => void result.refetch()} /> : <Skeleton className="h-60" />}
      {hasHead ? (
        <div className="panel flex flex-col px-2 pt-1 pb-2">
          <Tabs items={items} value={tab} onChange={change} label="Parts of the run">
            {["chart", "trades", "fills", "orders", "breakdown"].includes(tab) && !hasTables ? (
              <Empty title="This run kept its figures only">
                <p>In fast mode no orders, fills and curves are kept. Run it again with a report to see them: the digest stays the same.</p>
                <Link to="/launch" search={{ from: run.run_id, mode: "report" } as never} className={cx(buttonClass(), "mt-2")}>
                  Run again with a report…
                </Link>
              </Empty>
            ) : (
              <Suspense fallback={<Skeleton className="h-[60vh]" />}>
                <Content tab={tab} run={run} />
              </Suspense>
            )}
          </Tabs>
        </div>
      ) : (
        <div className="panel h-[60vh]" />
      )}
    </>
  );
}

function Content({ tab, run }: { tab: string; run: WholeRun }): ReactNode {
  switch (tab) {
    case "chart":
      return <ChartTab run={run} />;
    case "trades":
    case "fills":
    case "orders":
      return <TableTab key={tab} run={run} table={tab} />;
    case "breakdown":
      return <BreakdownTab run={run} />;
    case "lineage":
      return <LineageTab run={run} />;
    case "config":
      return <ConfigTab run={run} />;
    case "log":
      return <LogTab run={run} />;
    case "files":
      return <FilesTab run={run} />;
    default:
      return <NoteTab run={run} />;
  }
}

/** A run that failed or was canceled: why, and its log. */
function NoResult({ run }: { run: WholeRun }): ReactNode {
  const [search, setUrl] = useUrl();
  const tab = ["config", "files"].includes(search.tab ?? "") ? search.tab! : "log";
  const isFailed = run.status === "failed";
  return (
    <>
      <div role={isFailed ? "alert" : "status"} className={cx("panel px-3 py-2", isFailed && "border-bad")}>
        <p className={cx("font-medium", isFailed && "text-bad")}>
          {isFailed ? "The run failed" : `The run was ${run.status}`}
          {isFailed && run.error_type && <span className="font-normal text-quiet"> · {run.error_type}</span>}
        </p>
        {run.error && run.error !== `the run was ${run.status}` && <p className="breaks mt-1 whitespace-pre-wrap">{run.error}</p>}
        {run.phase && <p className="mt-1 text-quiet">It came as far as: {run.phase}</p>}
      </div>
      <div className="panel flex flex-col px-2 pt-1 pb-2">
        <Tabs items={[{ id: "log", label: "Log" }, { id: "config", label: "Config" }, { id: "files", label: "Files" }]} value={tab} onChange={(next) => setUrl({ tab: next === "log" ? undefined : next })} label="Parts of the run">
          {tab === "log" ? <LogTab run={run} /> : tab === "config" ? <ConfigTab run={run} /> : <FilesTab run={run} />}
        </Tabs>
      </div>
    </>
  );
}
