import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, type ReactNode } from "react";
import { ApiError, getJson, sendJson } from "../../api/client";
import { configsQuery } from "../../api/configs";
import { loadRun } from "../../api/runs";
import type { components } from "../../api/schema";
import { useUrl } from "../../app/search";
import { Button, buttonClass, Copy, cx, Panel, ScreenHead, useTitle } from "../../components/basics";
import { Failure, Skeleton } from "../../components/states";
import { words } from "../../lib/format";
import { useSettled } from "../../components/useSettled";
import { useStart } from "../../components/useStart";
import { againOf, loadMetadata } from "./again";
import { Overrides } from "./Overrides";
import { PlanPanel, type Planned } from "./PlanPanel";
import { bodyOf, commandOf, curlOf, LEFT_OPEN, optionsOf, paramsOf, problemsByField, withParam } from "./request";

type Started = components["schemas"]["LiveRun"] | components["schemas"]["Backfill"];
type Datasets = { datasets: { day: string; instruments: string[] }[] };
type Algorithm = components["schemas"]["Algorithm"];
type Session = components["schemas"]["Session"];

/** Start a run: what it comes to is said before. */
export function LaunchScreen(): ReactNode {
  useTitle("Launch");
  const [search, setUrl] = useUrl();
  const navigate = useNavigate();
  const configs = useQuery(configsQuery);
  const from = useQuery({
    queryKey: ["run again", search.from],
    queryFn: async ({ signal }) => {
      const run = await loadRun(search.from!, signal);
      return againOf(run, await loadMetadata(run, signal));
    },
    enabled: !!search.from && !search.config,
  });
  const wanted = search.from && search.mode;
  useEffect(() => {
    if (from.data) setUrl(wanted === "report" ? { ...from.data, mode: undefined } : from.data);
  }, [from.data, wanted, setUrl]);
  const body = useMemo(() => bodyOf(search), [search]);
  const text = JSON.stringify(body);
  const settled = useSettled(text);
  const plan = useQuery({
    queryKey: ["plan", settled],
    queryFn: async ({ signal }) => (await sendJson<Planned>("POST", "/api/v1/plan", JSON.parse(settled), {}, signal)).data,
    enabled: settled !== "null",
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });
  const { start: launch, isStarting, problem } = useStart<Started>(body, {
    path: "/api/v1/runs",
    name: "Launch",
    group: "Launch",
    then: (data) => {
      if (data.kind === "run") void navigate({ to: "/runs/$runId", params: { runId: data.run_id } });
      else void navigate({ to: "/", search: { config: String(body?.config) } as never });
    },
  });
  const kind = search.kind ?? "day";
  const all = configs.data?.configs ?? [];
  const chosen = all.find((one) => one.name === search.config);
  const isOfNow = settled === text && !plan.isPlaceholderData;
  const stored = useQuery({
    queryKey: ["config", search.config],
    queryFn: ({ signal }) => getJson<Record<string, unknown>>(`/api/configs/${encodeURIComponent(search.config!)}`, signal),
    enabled: !!chosen?.valid,
    retry: false,
  });
  // What has no meaning for bars is not offered, unless the address has it: then the service says why.
  const isBars = stored.data?.bars !== undefined;
  const refused = { ...problemsByField(isOfNow ? plan.error : null), ...problemsByField(problem) };
  if (refused.day && kind !== "day") refused.first ??= refused.day;
  const marked = (name: string) => (refused[name] ? { "aria-invalid": true, "aria-describedby": problemId(name) } : {});
  const choose = (name: string, none = "") => ({
    value: search[name] ?? none,
    onChange: (event: { target: { value: string } }) => setUrl({ [name]: event.target.value === none ? undefined : event.target.value }),
    ...marked(name),
  });
  const field = (name: string) => ({ name, problem: refused[name] });
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="Launch" command={commandOf(search) ?? "odum backtest --help"} />
      {configs.error ? <Failure error={configs.error} retry={() => void configs.refetch()} /> : null}
      <div className="grid items-start gap-3 lg:grid-cols-[minmax(380px,520px)_minmax(0,1fr)] 2xl:grid-cols-[600px_minmax(0,1fr)]">
        <Panel title="Run">
          <form
            className="flex flex-col gap-3"
            onSubmit={(event) => {
              event.preventDefault();
              void launch();
            }}
          >
            <div className="flex flex-col gap-1">
              <label htmlFor="launch-config" className="label">Configuration</label>
              <div className="flex gap-1">
                <select id="launch-config" className="field min-w-0 flex-1" {...choose("config")}>
                  <option value="">{all.length ? "Choose one" : configs.isPending ? "Loading…" : "There are none"}</option>
                  {search.config && !chosen && configs.data && <option value={search.config}>{search.config} (unknown)</option>}
                  {all.map((one) => (
                    <option key={one.name} value={one.name} disabled={!one.valid}>
                      {one.name}
                      {one.valid ? "" : " (invalid)"}
                    </option>
                  ))}
                </select>
                {chosen && <Link to="/configs/$name" params={{ name: chosen.name }} className={buttonClass("quiet")}>Edit</Link>}
              </div>
              <FieldProblem {...field("config")} />
            </div>
            <fieldset className="flex flex-wrap gap-x-3">
              <legend className="label mb-1">What to run</legend>
              {[["day", "One day"], ["days", "Every day of a range"], ["window", "One account over a range"]].map(([id, label]) => (
                <label key={id} className="flex min-h-[24px] items-center gap-1.5">
                  <input type="radio" className="accent-accent" name="kind" checked={kind === id} onChange={() => setUrl(kindChange(search, id!))} />
                  {label}
                </label>
              ))}
            </fieldset>
            {kind === "day" ? (
              <Field label="Day (UTC)" {...field("day")}>
                <input type="date" className="field w-40" {...choose("day")} />
              </Field>
            ) : (
              <div className="flex gap-3">
                <Field label="First day (UTC)" {...field("first")}>
                  <input type="date" className="field w-40" max={search.last} {...choose("first")} />
                </Field>
                <Field label="Last day, included" {...field("last")}>
                  <input type="date" className="field w-40" min={search.first} {...choose("last")} />
                </Field>
              </div>
            )}
            <DaysWithData instrument={chosen?.instrument ?? null} kind={kind} onChoose={(days) => setUrl(kind === "day" ? { day: days[0] } : { first: days.at(-1), last: days[0] })} />
            {kind === "days" && (
              <label className="flex items-center gap-1.5">
                <input type="checkbox" className="accent-accent" checked={search.skip === "1"} onChange={(event) => setUrl({ skip: event.target.checked ? "1" : undefined })} />
                Leave out days whose result is up to date
              </label>
            )}
            <div className="grid grid-cols-2 gap-3">
              <Field label="Start, optional" {...field("start")}>
                <input className="field w-40" placeholder="09:30 or a time" {...choose("start")} />
              </Field>
              <Field label="End, excluded" {...field("end")}>
                <input className="field w-40" placeholder="16:00 or a time" {...choose("end")} />
              </Field>
            </div>
            <div className="grid grid-cols-2 gap-3">
              <Field label="Keep" {...field("mode")}>
                <select className="field" {...choose("mode", "report")}>
                  <option value="report">everything (report)</option>
                  <option value="fast">figures only (fast)</option>
                </select>
              </Field>
              <Field label="Engine" {...field("engine")} help="The kernel has the same result, many times as fast; runs that it does not cover are refused.">
                <select className="field" {...choose("engine", "nautilus")}>
                  <option value="nautilus">NautilusTrader</option>
                  <option value="kernel">kernel</option>
                </select>
              </Field>
              <Field label="Open positions at the end" {...field("closing")}>
                <select className="field" {...choose("closing")}>
                  <option value="">as configured</option>
                  <option value="last_price">book, the rest at the last price</option>
                  <option value="book">book alone</option>
                  <option value="work">worked through the last books</option>
                  <option value={LEFT_OPEN}>left open</option>
                </select>
              </Field>
              {(!isBars || search.snapshots) && (
                <Field label="What moves the market" {...field("snapshots")}>
                  <select className="field" {...choose("snapshots")}>
                    <option value="">both where possible</option>
                    <option value="trades">trades</option>
                    <option value="book">book</option>
                    <option value="both">both</option>
                  </select>
                </Field>
              )}
              {kind === "window" && (
                <Field label="Missing days" {...field("missing")}>
                  <select className="field" {...choose("missing")}>
                    <option value="">as configured</option>
                    <option value="warn">run over the others</option>
                    <option value="refuse">refuse</option>
                  </select>
                </Field>
              )}
              <Field label="Strategy's log" {...field("log")}>
                <select className="field" {...choose("log", "INFO")}>
                  {["DEBUG", "INFO", "WARNING", "ERROR"].map((one) => <option key={one}>{one}</option>)}
                </select>
              </Field>
            </div>
            {(!isBars || search.algorithm) && <AlgorithmFields refused={refused} />}
            {search.config && <Overrides config={search.config} refused={refused} />}
            {(search.mode ?? "report") === "report" && (
              <label className="flex items-center gap-1.5">
                <input type="checkbox" className="accent-accent" checked={search.ticks === "1"} onChange={(event) => setUrl({ ticks: event.target.checked ? "1" : undefined })} />
                Also export the replayed trades as JSON
              </label>
            )}
            <div className="flex items-center gap-3">
              <Button type="submit" kind="primary" disabled={body === null || isStarting}>
                {isStarting ? "Starting…" : "Launch"}
              </Button>
              <span className="label">{body === null ? (search.config ? "Choose the days first." : "Choose a configuration first.") : "⌘/Ctrl Enter"}</span>
            </div>
            {problem ? <Failure error={problem} retry={() => void launch()} /> : null}
          </form>
        </Panel>
        <div className="flex min-w-0 flex-col gap-3">
          <Panel title="Plan" aside={body !== null && <Button small onClick={() => void plan.refetch()} disabled={plan.isFetching}>{plan.isFetching ? "Planning…" : "Plan again"}</Button>}>
            {body === null ? (
              <p className="text-quiet">Choose a configuration and a day: what the run comes to is said here before it starts.</p>
            ) : plan.error && isOfNow ? (
              plan.error instanceof ApiError && plan.error.status === 501 ? <p className="text-quiet">{plan.error.message}</p> : <Failure error={plan.error} retry={() => void plan.refetch()} />
            ) : plan.data ? (
              <div className={cx(!isOfNow && "opacity-60")} aria-busy={!isOfNow}><PlanPanel plan={plan.data} options={optionsOf(body)} /></div>
            ) : (
              <Skeleton className="h-40" />
            )}
          </Panel>
          {body !== null && <Commands search={search} body={body} />}
        </div>
      </div>
    </div>
  );
}

/** Change between a day and a range, with the days that were chosen. */
function kindChange(search: ReturnType<typeof useUrl>[0], kind: string): Record<string, string | undefined> {
  const next = { kind: kind === "day" ? undefined : kind };
  if (kind === "day") return { ...next, day: search.day ?? search.first };
  return { ...next, first: search.first ?? search.day, last: search.last ?? search.day };
}

const problemId = (name: string) => `launch-${name}-problem`;

function Field({ label, help, name, problem, children }: { label: string; help?: string | undefined; name: string; problem: string | undefined; children: ReactNode }): ReactNode {
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <label className="flex min-w-0 flex-col gap-1" title={help}>
        <span className="label">{label}</span>
        {children}
      </label>
      <FieldProblem name={name} problem={problem} />
    </div>
  );
}

function FieldProblem({ name, problem }: { name: string; problem: string | undefined }): ReactNode {
  return problem ? <p id={problemId(name)} className="breaks text-[12px] leading-4 text-bad">✕ {problem}</p> : null;
}

/** Execution algorithm of this run, with the parameters that the service says it has. */
function AlgorithmFields({ refused }: { refused: Record<string, string> }): ReactNode {
  const [search, setUrl] = useUrl();
  const query = useQuery({ queryKey: ["algorithms"], queryFn: ({ signal }) => getJson<Algorithm[]>("/api/algorithms", signal), staleTime: Infinity });
  const chosen = query.data?.find((one) => one.id === search.algorithm);
  const given = new Map(paramsOf(search));
  return (
    <fieldset className="flex min-w-0 flex-col gap-3">
      <Field label="Execution algorithm" name="algorithm" problem={refused.algorithm} help={chosen?.description}>
        <select
          className="field w-full"
          value={search.algorithm ?? ""}
          aria-invalid={refused.algorithm ? true : undefined}
          onChange={(event) => setUrl({ algorithm: event.target.value || undefined, params: undefined })}
        >
          <option value="">as configured</option>
          {search.algorithm && !chosen && <option>{search.algorithm}</option>}
          {query.data?.map((one) => <option key={one.id} value={one.id}>{one.id} – {one.description.replace(/\.$/, "")}</option>)}
        </select>
      </Field>
      {chosen && chosen.parameters.length > 0 && (
        <div className="grid grid-cols-2 gap-3 border-l-2 border-line pl-3">
          {chosen.parameters.map((one) => {
            const name = `params.${one.name}`;
            const props = {
              className: "field w-full",
              value: given.get(one.name) ?? "",
              onChange: (event: { target: { value: string } }) => setUrl({ params: withParam(search, one.name, event.target.value) }),
              ...(refused[name] ? { "aria-invalid": true, "aria-describedby": problemId(name) } : {}),
            };
            return (
              <Field key={one.name} label={words(one.name)} help={one.description} name={name} problem={refused[name]}>
                {one.allowed ? (
                  <select {...props}>
                    <option value="">{one.default} (default)</option>
                    {one.allowed.filter((value) => value !== one.default).map((value) => <option key={value}>{value}</option>)}
                  </select>
                ) : (
                  <input {...props} inputMode="decimal" placeholder={`${one.default}${one.maximum == null ? "" : `, up to ${one.maximum}`}`} />
                )}
              </Field>
            );
          })}
        </div>
      )}
    </fieldset>
  );
}

const MOST_DAYS = 6;

/** Days that have raw data of an instrument, newest first: one click away. */
function DaysWithData({ instrument, kind, onChoose }: { instrument: string | null; kind: string; onChoose(days: string[]): void }): ReactNode {
  const query = useQuery({ queryKey: ["days-with-data"], queryFn: ({ signal }) => getJson<Datasets>("/api/datasets?limit=60", signal), enabled: instrument !== null });
  const days = (query.data?.datasets ?? []).filter((one) => instrument !== null && one.instruments.includes(instrument)).map((one) => one.day);
  if (instrument === null || !query.data) return null;
  return (
    <p className="-mt-1 flex flex-wrap items-center gap-1">
      <span className="label">{days.length ? "Raw data:" : "No raw data of this instrument among the latest days."}</span>
      {kind === "day"
        ? days.slice(0, MOST_DAYS).map((day) => <Button key={day} small kind="quiet" onClick={() => onChoose([day])}>{day}</Button>)
        : days.length > 0 && <Button small kind="quiet" onClick={() => onChoose(days)}>{days.at(-1)} to {days[0]}</Button>}
      <Link to="/data" search={{ instrument } as never} className={buttonClass("quiet", true)}>Calendar…</Link>
    </p>
  );
}

/** The same launch for a terminal. */
function Commands({ search, body }: { search: ReturnType<typeof useUrl>[0]; body: Record<string, unknown> }): ReactNode {
  const session = useQuery({ queryKey: ["session"], queryFn: ({ signal }) => getJson<Session>("/api/session", signal), staleTime: Infinity });
  const lines = [commandOf(search), curlOf(window.location.origin, body, session.data?.token_needed ?? false)];
  return (
    <Panel title="As a command">
      <ul className="flex flex-col gap-1.5">
        {lines.map((line) => line && (
          <li key={line}>
            <Copy text={line} label={line.startsWith("odum") ? "the odum command" : "the curl command"} className="mono w-full justify-between rounded bg-raised px-2 py-1">
              <span className="breaks whitespace-pre-wrap">{line}</span>
            </Copy>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
