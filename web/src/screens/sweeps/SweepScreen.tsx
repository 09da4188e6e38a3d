import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import { getJson, queryOf, sendJson } from "../../api/client";
import { isActive, shortInstrument } from "../../api/runs";
import type { components } from "../../api/schema";
import { useKey } from "../../app/keys";
import { useUrl } from "../../app/search";
import { colorScale } from "../../charts/scales";
import { Button, buttonClass, cx, Panel, ScreenHead, Status, Tag, useTitle } from "../../components/basics";
import { Empty, Failure, Loaded, Skeleton } from "../../components/states";
import { count, shortConfig } from "../../lib/format";
import { listOf, toggled } from "../../lib/url";
import { againOf } from "./again";
import { AxisLines } from "./AxisLines";
import { figureName } from "./figures";
import { HeatMap } from "./HeatMap";
import { Legend } from "./Legend";
import { Parallel } from "./Parallel";
import { PickedVariant } from "./PickedVariant";
import { bestOf, cellsOf, fixText, isSigned, shadedValues, shownOf, textOf, VIEWS, type Columns, type Shown, type Sweep } from "./state";
import { VariantTable } from "./VariantTable";
import { VectorizedVariant } from "./VectorizedVariant";

type Live = components["schemas"]["LiveRun"];

const MOST_COMPARED = 20;
const TABLE = ["pnl", "total_return", "max_drawdown", "sharpe_ratio", "orders", "fills", "total_trades", "win_rate", "profit_factor", "commissions"];
const BESIDE = ["max_drawdown", "sharpe_ratio", "fills"];

/** A sweep: how a figure depends on what varies, and its variants. */
export function SweepScreen(): ReactNode {
  const { sweepId: id } = useParams({ strict: false }) as { sweepId: string };
  useTitle(`Sweep ${id}`);
  const query = useQuery({
    queryKey: ["sweep", id],
    queryFn: ({ signal }) => getJson<Sweep>(`/api/v1/sweeps/${encodeURIComponent(id)}?limit=1`, signal),
    refetchInterval: ({ state }) => (state.data && isActive(state.data) ? 1_500 : false),
  });
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title={`Sweep ${id}`} command={`curl ${window.location.origin}/api/v1/sweeps/${id}`}>
        {query.data && <Progress sweep={query.data} />}
      </ScreenHead>
      <Loaded query={query} place={<Skeleton className="h-96" />}>
        {(sweep) => (sweep.variants ? <Variants sweep={sweep} /> : <NotYet sweep={sweep} />)}
      </Loaded>
    </div>
  );
}

/** A sweep whose variants are not there yet: how far its run is, or why it ended without them. */
function NotYet({ sweep }: { sweep: Sweep }): ReactNode {
  const run = sweep.dagster_run_id;
  const live = useQuery({
    queryKey: ["status", run],
    queryFn: ({ signal }) => getJson<Live>(`/api/v1/runs/${run!}/status`, signal),
    enabled: run !== null,
    refetchInterval: isActive(sweep) ? 1_500 : false,
  });
  const dagster = <a className="text-accent hover:underline" href={`/dagster/runs/${run ?? ""}`}>Its run in Dagster</a>;
  if (!isActive(sweep)) {
    const error = live.data?.error;
    return (
      <Panel>
        <Empty title={sweep.status === "canceled" ? "The sweep was canceled before its variants were there" : "The sweep failed before its variants were there"}>
          {error ? <p className="breaks text-left whitespace-pre-wrap text-bad">{error}</p> : <>{dagster} says why.</>}
        </Empty>
        {error && <p className="pb-3 text-center">{dagster} has its log.</p>}
      </Panel>
    );
  }
  const progress = live.data?.progress;
  const title = live.data?.status === "queued" ? "The sweep waits for its turn" : progress ? "The sweep is running" : "The sweep is starting";
  return (
    <Panel>
      <Empty title={title}>
        {progress && <p className="mb-2 text-ink" data-testid="sweep-progress">{progress.text}</p>}
        {progress?.done != null && (
          <span role="progressbar" aria-label="Progress" aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.floor(100 * progress.done)} className="mx-auto mb-2 block h-1.5 w-64 overflow-hidden rounded bg-line"><span className="block h-full bg-accent" style={{ width: `${100 * progress.done}%` }} /></span>
        )}
        {sweep.kind === "vectorized" ? "All variants are there at once, when it has ended." : "Variants are listed as soon as the data are read."} This page fills in by itself.
      </Empty>
    </Panel>
  );
}

/** How far a sweep is, and its end before time. */
function Progress({ sweep }: { sweep: Sweep }): ReactNode {
  const [problem, setProblem] = useState<unknown>(null);
  const done = sweep.variants - (sweep.by_status.queued ?? 0) - (sweep.by_status.running ?? 0);
  const cancel = async () => {
    try {
      await sendJson("DELETE", `/api/v1/runs/${encodeURIComponent(sweep.dagster_run_id!)}`);
    } catch (error) {
      setProblem(error);
    }
  };
  return (
    <>
      <Status status={sweep.status} />
      <span className="text-quiet">
        <span title={sweep.config}>{shortConfig(sweep.config)}</span> · {sweep.partition ?? shortInstrument(sweep.instrument)}{sweep.variants > 0 && ` · ${count(done)} of ${count(sweep.variants)} variants done`}
        {sweep.by_status.failed ? <span className="text-bad"> · {count(sweep.by_status.failed)} failed</span> : null}
      </span>
      {sweep.kind === "vectorized" && <Tag title="The Numba kernel ran it over bars; one file has the figures of all variants">vectorized</Tag>}
      <Proven sweep={sweep} />
      {isActive(sweep) && sweep.variants > 0 && <span role="progressbar" aria-label="Variants done" aria-valuemin={0} aria-valuemax={sweep.variants} aria-valuenow={done} className="h-1.5 w-28 overflow-hidden rounded bg-line"><span className="block h-full bg-accent" style={{ width: `${(100 * done) / sweep.variants}%` }} /></span>}
      {isActive(sweep) && sweep.dagster_run_id && <Button small kind="danger" onClick={() => void cancel()}>Cancel</Button>}
      {!isActive(sweep) && sweep.axes.length > 0 && (
        <Link to="/sweeps/new" search={againOf(sweep) as never} className={buttonClass("plain", true)}>
          Sweep again
        </Link>
      )}
      {problem ? <Failure error={problem} compact /> : null}
    </>
  );
}

/** Which variants NautilusTrader has repeated, fill by fill. */
function Proven({ sweep }: { sweep: Sweep }): ReactNode {
  const proof = sweep.facts.proof as { best: number[]; random: number[]; fills: number } | null | undefined;
  if (!proof) return null;
  const total = proof.best.length + proof.random.length;
  return (
    <Tag tone="good" title={`NautilusTrader repeated variants ${[...proof.best, ...proof.random].join(", ")}: the best, and as many at random`}>
      ✓ {count(total)} verified, {count(proof.fills)} {proof.fills === 1 ? "fill" : "fills"} equal
    </Tag>
  );
}

function Variants({ sweep }: { sweep: Sweep }): ReactNode {
  const [search, setUrl] = useUrl();
  const navigate = useNavigate();
  const [total, setTotal] = useState(sweep.variants);
  const shown = useMemo(() => shownOf(search, sweep.axes, sweep.figures), [search, sweep.axes, sweep.figures]);
  const beside = useMemo(() => BESIDE.filter((name) => sweep.figures.includes(name) && name !== shown.figure), [sweep.figures, shown.figure]);
  const figures = useMemo(() => [shown.figure, ...beside], [shown.figure, beside]);
  const where = search.where;
  const columns = useQuery({
    queryKey: ["sweep columns", sweep.id, figures.join(), where ?? ""],
    queryFn: ({ signal }) => getJson<Columns>(`/api/v1/sweeps/${encodeURIComponent(sweep.id)}/columns${queryOf({ figures: figures.join(","), where })}`, signal),
    refetchInterval: isActive(sweep) ? 1_500 : false,
    placeholderData: keepPreviousData,
  });
  // The last variants end between two questions: once more when the sweep has ended.
  const version = JSON.stringify(sweep.by_status);
  const { refetch } = columns;
  useEffect(() => void refetch(), [refetch, version]);
  const selected = useMemo(() => new Set(listOf(search.sel)), [search.sel]);
  const isFull = selected.size >= MOST_COMPARED;
  const mark = useCallback(
    (runId: string | null) => {
      if (!runId || (isFull && !selected.has(runId))) return;
      setUrl({ sel: toggled([...selected], runId).join(",") || undefined });
    },
    [selected, isFull, setUrl],
  );
  const open = useCallback(
    (runId: string | null, number: number, isShift: boolean) => {
      if (sweep.kind === "vectorized") setUrl({ pick: String(number) });
      else if (isShift) mark(runId);
      else if (runId) void navigate({ to: "/runs/$runId", params: { runId }, search: (search.tz ? { tz: search.tz } : {}) as never });
    },
    [sweep.kind, mark, navigate, search.tz, setUrl],
  );
  const compare = () => selected.size > 1 && void navigate({ to: "/compare", search: { ids: [...selected].join(",") } as never });
  useKey("c", "Compare the selected variants", compare, "Sweep", sweep.kind === "runs");
  const table = useMemo(() => [shown.figure, ...TABLE.filter((name) => name !== shown.figure && sweep.figures.includes(name))].slice(0, 9), [shown.figure, sweep.figures]);
  const markRow = useCallback((row: { run_id: string | null }) => mark(row.run_id), [mark]);
  return (
    <div className="grid gap-3 2xl:grid-cols-2">
      <Panel
        title={shown.view === "none" ? "Variants" : `${figureName(shown.figure)} by ${sweep.axes.map((axis) => axis.name).join(", ")}`}
        aside={
          sweep.kind === "runs" && (
            <>
              <span className="label">{isFull ? `${MOST_COMPARED} at most` : "click opens, shift-click selects"}</span>
              {selected.size > 0 && <Button small kind="quiet" onClick={() => setUrl({ sel: undefined })}>Clear</Button>}
              <Button small kind={selected.size > 1 ? "primary" : "plain"} disabled={selected.size < 2} onClick={compare}>
                Compare {selected.size || ""}
              </Button>
            </>
          )
        }
      >
        <Controls sweep={sweep} shown={shown} />
        <Loaded query={columns} place={<Skeleton className="h-96" />}>
          {(loaded) => <Drawing columns={loaded} sweep={sweep} shown={shown} beside={beside} selected={selected} onOpen={open} />}
        </Loaded>
      </Panel>
      <div className="flex min-w-0 flex-col gap-3">
        {sweep.kind === "vectorized" && search.pick && <VectorizedVariant sweep={sweep} number={Number(search.pick)} onClose={() => setUrl({ pick: undefined })} />}
        <Panel title="Variants" aside={<span className="label">{total === sweep.variants ? `${count(total)} variants` : `${count(total)} of ${count(sweep.variants)} variants`}</span>}>
          <div className="flex h-[460px] flex-col 2xl:h-[max(460px,calc(100dvh-10rem))]">
            <VariantTable sweep={sweep} figures={table} sort={search.sort ?? ""} where={where} selected={selected} version={version} onSort={(sort) => setUrl({ sort })} onOpen={(row, isShift) => open(row.run_id, row.number, isShift)} onMark={markRow} onTotal={setTotal} />
          </div>
        </Panel>
      </div>
    </div>
  );
}

interface DrawingProps {
  columns: Columns;
  sweep: Sweep;
  shown: Shown;
  beside: readonly string[];
  selected: ReadonlySet<string>;
  onOpen(runId: string | null, number: number, isShift: boolean): void;
}

function Drawing({ columns, sweep, shown, beside, selected, onOpen }: DrawingProps): ReactNode {
  const [search, setUrl] = useUrl();
  const [point, setPoint] = useState({ at: -1, row: -1, column: -1 });
  const cells = useMemo(() => (shown.view === "none" ? [] : cellsOf(columns, shown)), [columns, shown]);
  const values = useMemo(() => shadedValues(columns, cells, shown), [columns, cells, shown]);
  const scale = useMemo(() => colorScale(values.filter((value) => value !== null), isSigned(shown.figure)), [values, shown.figure]);
  const best = useMemo(() => bestOf(values, shown.figure), [values, shown.figure]);
  const chosen = useMemo(() => (columns.chosen ? new Set(columns.chosen) : null), [columns.chosen]);
  const counts = useMemo(() => countsOf(columns, shown.figure), [columns, shown.figure]);
  const axisFigures = useMemo(() => [shown.figure, ...beside].slice(0, 3), [shown.figure, beside]);
  if (shown.view === "none") return <p className="text-quiet">These variants have no values by path: the table lists them.</p>;
  // Another figure is on its way.
  if (!columns.values[shown.figure]) return <Skeleton className="h-96" />;
  const common = {
    columns, shown, cells, values, scale, best, selected, chosen,
    onPoint: (at: number, row: number, column: number) => setPoint({ at, row, column }),
    onOpen: (at: number, isShift: boolean) => at >= 0 && onOpen(columns.run_id[at] ?? null, columns.number[at]!, isShift),
  };
  return (
    <>
      <PickedVariant columns={columns} shown={shown} cells={cells} {...point} figures={beside} />
      {shown.view === "map" && <HeatMap {...common} />}
      {shown.view === "lines" && <AxisLines {...common} />}
      {shown.view === "parallel" && <Parallel {...common} figures={axisFigures} where={search.where} onWhere={(where) => setUrl({ where })} onPoint={(at) => setPoint({ at, row: -1, column: -1 })} />}
      {shown.view !== "lines" && <Legend figure={shown.figure} scale={scale} counts={counts} isWorst={shown.view === "map" && shown.isWorst} isLines={shown.view === "parallel"} />}
      {best >= 0 && (
        <p className="label pt-1">
          {shown.view === "map" && "Dashed frame: "}best is variant {columns.number[best]}
          {sweep.axes.map((axis, index) => `, ${axis.name} ${textOf(columns.at[index]![best] === null ? null : axis.values[columns.at[index]![best]!])}`)}
        </p>
      )}
    </>
  );
}

function countsOf(columns: Columns, figure: string): Record<string, number> {
  const counts: Record<string, number> = {};
  columns.variant_status.forEach((status, at) => {
    const kind = /failed|canceled/.test(status) ? "failed" : status !== "succeeded" ? "pending" : columns.values[figure]?.[at] === null ? "unknown" : "known";
    counts[kind] = (counts[kind] ?? 0) + 1;
  });
  return counts;
}

/** Figure, drawing, axes, held values and conditions; all in the address. */
function Controls({ sweep, shown }: { sweep: Sweep; shown: Shown }): ReactNode {
  const [search, setUrl] = useUrl();
  const [draft, setDraft] = useState(search.where ?? "");
  useEffect(() => setDraft(search.where ?? ""), [search.where]);
  const { axes } = sweep;
  const axisChoice = (label: string, value: number, onChange: (name: string) => void) => (
    <Choice label={label} value={axes[value]?.name ?? ""} options={axes.map((axis) => [axis.name, axis.name])} onChange={onChange} />
  );
  return (
    <div className="flex flex-wrap items-end gap-x-3 gap-y-2 pb-2">
      <Choice label="Figure" value={shown.figure} options={sweep.figures.map((name) => [name, figureName(name)])} onChange={(figure) => setUrl({ figure })} />
      {shown.view !== "none" && (
        <span role="group" aria-label="Drawing" className="flex gap-1 pb-0.5">
          {VIEWS.filter(([view]) => view !== "map" || shown.y !== null).map(([view, label]) => (
            <Button key={view} small aria-pressed={shown.view === view} className={cx(shown.view === view && "!border-accent !bg-accent-soft !text-accent")} onClick={() => setUrl({ view })}>
              {label}
            </Button>
          ))}
        </span>
      )}
      {shown.view !== "parallel" && axes.length > 1 && (
        <>
          {axisChoice("Across", shown.x, (x) => setUrl({ x, ...(shown.y !== null && axes[shown.y]!.name === x ? { y: axes[shown.x]!.name } : {}) }))}
          {shown.y !== null && axisChoice(shown.view === "map" ? "Up" : "Line per", shown.y, (y) => setUrl({ y, ...(axes[shown.x]!.name === y ? { x: axes[shown.y!]!.name } : {}) }))}
          {[...shown.fixed].map(([axis, value]) => (
            <Choice key={axis} label={`${axes[axis]!.name} held at`} value={String(value)} options={axes[axis]!.values.map((one, index) => [String(index), textOf(one)])} onChange={(next) => setUrl({ fix: fixText(axes, new Map([...shown.fixed, [axis, Number(next)]])) })} />
          ))}
        </>
      )}
      {shown.view === "map" && (
        <label className="flex items-center gap-1.5 pb-1" title="A peak among bad neighbors is chance; a stable region keeps its color">
          <input type="checkbox" className="accent-accent" checked={shown.isWorst} onChange={(event) => setUrl({ shade: event.target.checked ? "worst" : undefined })} />
          Worst of neighbors
        </label>
      )}
      <form
        className="flex min-w-56 flex-1 flex-col gap-0.5"
        onSubmit={(event) => {
          event.preventDefault();
          setUrl({ where: draft.trim() || undefined });
        }}
      >
        <label className="label" htmlFor="sweep-where">
          Conditions ( / ), Enter applies
        </label>
        <input id="sweep-where" data-filter className="field w-full" placeholder={`${axes[0]?.name ?? "number"}>=${textOf(axes[0]?.values[0] ?? 1)}, ${shown.figure}>0, status:succeeded`} value={draft} onChange={(event) => setDraft(event.target.value)} onBlur={() => setUrl({ where: draft.trim() || undefined })} />
      </form>
    </div>
  );
}

function Choice({ label, value, options, onChange }: { label: string; value: string; options: readonly (readonly [string, string])[]; onChange(value: string): void }): ReactNode {
  return (
    <label className="flex max-w-52 flex-col gap-0.5">
      <span className="label truncate">{label}</span>
      <select className="field" value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map(([id, text]) => (
          <option key={id} value={id}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
