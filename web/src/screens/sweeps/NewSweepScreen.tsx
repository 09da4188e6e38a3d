import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { getJson, sendJson } from "../../api/client";
import { loadRun } from "../../api/runs";
import type { components } from "../../api/schema";
import { useKey } from "../../app/keys";
import { useUrl } from "../../app/search";
import { Button, Copy, Panel, ScreenHead, useTitle } from "../../components/basics";
import { Failure, Skeleton } from "../../components/states";
import { count, seconds, words } from "../../lib/format";
import type { Search } from "../../lib/url";
import { textOf } from "./state";
import { countOf, crossoverCommand, LENGTHS, MOST_VARIANTS, parseVary, sweepCommand, valuesOf, varyingPaths, varyText, type SweepOptions, type Vary } from "./vary";

type Configs = components["schemas"]["Configs"];
type Planned = components["schemas"]["PlannedRun"];
type Started = components["schemas"]["StartedSweep"];
type Body = SweepOptions & { vary: Record<string, unknown[]> };

/** Return the body of a start; the address is the form. Null while something is missing. */
export function sweepBody(search: Search): Body | null {
  const rows = parseVary(search.vary);
  const found = rows.map((row) => valuesOf(row.text));
  const isWhole = rows.length > 0 && found.every((one) => one.problem === null) && new Set(rows.map((row) => row.path)).size === rows.length;
  if (!search.config || !search.day || !isWhole || countOf(rows) > MOST_VARIANTS) return null;
  return {
    config: search.config,
    day: search.day,
    mode: search.mode ?? "report",
    engine: search.engine ?? "nautilus",
    ...(search.engine === "kernel" && search.keep === "figures" ? { figures_only: true } : {}),
    ...(search.engine === "kernel" && Number(search.verify) > 0 ? { verify: Math.min(1_000, Number(search.verify)), ...(search.best ? { sort: search.best } : {}) } : {}),
    slots: Math.min(64, Math.max(1, Number(search.slots) || 2)),
    ...(search.start ? { start: search.start } : {}),
    ...(search.end ? { end: search.end } : {}),
    vary: Object.fromEntries(rows.map((row, at) => [row.path, found[at]!.values])),
  };
}

/** Start a sweep: what varies, how many variants that is, and what they come to. */
export function NewSweepScreen(): ReactNode {
  useTitle("New sweep");
  const [search, setUrl] = useUrl();
  const navigate = useNavigate();
  const configs = useQuery({ queryKey: ["configs"], queryFn: ({ signal }) => getJson<Configs>("/api/configs", signal) });
  const from = useQuery({ queryKey: ["run", search.from], queryFn: ({ signal }) => loadRun(search.from!, signal), enabled: !!search.from && !search.config });
  useEffect(() => {
    if (!from.data) return;
    const { config_name: config, partition, window_start, detail } = from.data;
    const day = /^\d{4}-\d\d-\d\d$/.test(partition) ? partition : window_start?.slice(0, 10);
    setUrl({ from: undefined, config, day, mode: detail === "fast" ? "fast" : undefined });
  }, [from.data, setUrl]);
  const config = useQuery({
    queryKey: ["config", search.config],
    queryFn: ({ signal }) => getJson<Record<string, unknown>>(`/api/configs/${encodeURIComponent(search.config!)}`, signal),
    enabled: !!search.config,
    retry: false,
  });
  const paths = useMemo(() => varyingPaths(config.data ?? {}), [config.data]);
  const rows = useMemo(() => parseVary(search.vary), [search.vary]);
  const body = useMemo(() => sweepBody(search), [search]);
  const variants = countOf(rows);
  const text = JSON.stringify(body);
  const planned = body && JSON.stringify({ config: body.config, day: body.day, mode: body.mode, engine: body.engine, start: body.start, end: body.end });
  const plan = useQuery({
    queryKey: ["plan", planned],
    queryFn: async () => (await sendJson<Planned>("POST", "/api/v1/plan", JSON.parse(planned!))).data,
    enabled: !!planned,
    retry: false,
  });
  const key = useRef({ text: "", key: "" });
  const [problem, setProblem] = useState<unknown>(null);
  const [isStarting, setStarting] = useState(false);
  const start = async () => {
    if (!body || isStarting) return;
    // The same request with the same key starts nothing twice.
    if (key.current.text !== text) key.current = { text, key: crypto.randomUUID() };
    setProblem(null);
    setStarting(true);
    try {
      const { data } = await sendJson<Started>("POST", "/api/v1/sweeps", body, { "Idempotency-Key": key.current.key });
      key.current = { text: "", key: "" };
      void navigate({ to: "/sweeps/$sweepId", params: { sweepId: data.id } });
    } catch (error) {
      setProblem(error);
    } finally {
      setStarting(false);
    }
  };
  useKey("mod+Enter", "Start the sweep", () => void start(), "Sweep", body !== null);
  const setRows = (next: readonly Vary[]) => setUrl({ vary: varyText(next) });
  const set = (name: string, standard = "") => (event: { target: { value: string } }) => setUrl({ [name]: event.target.value === standard ? undefined : event.target.value });
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="New sweep" />
      {configs.error ? <Failure error={configs.error} retry={() => void configs.refetch()} /> : null}
      <div className="grid items-start gap-3 lg:grid-cols-[minmax(440px,640px)_minmax(0,1fr)]">
        <Panel title="Sweep">
          <form
            className="flex flex-col gap-3"
            onSubmit={(event) => {
              event.preventDefault();
              void start();
            }}
          >
            <div className="flex flex-wrap gap-3">
              <Field label="Configuration" className="min-w-64 flex-1">
                <select className="field w-full" value={search.config ?? ""} onChange={set("config")}>
                  <option value="">Choose one</option>
                  {configs.data?.configs.map((one) => (
                    <option key={one.name} value={one.name} disabled={!one.valid}>
                      {one.name}
                      {one.valid ? "" : " (invalid)"}
                    </option>
                  ))}
                </select>
              </Field>
              <Field label="Day (UTC)">
                <input type="date" className="field" value={search.day ?? ""} onChange={set("day")} />
              </Field>
            </div>
            <Rows rows={rows} paths={paths} onChange={setRows} />
            <div className="flex flex-wrap gap-3">
              <Field label="Start, optional">
                <input className="field w-32" placeholder="09:30" value={search.start ?? ""} onChange={set("start")} />
              </Field>
              <Field label="End, excluded">
                <input className="field w-32" placeholder="16:00" value={search.end ?? ""} onChange={set("end")} />
              </Field>
              <Field label="Keep of each variant">
                <select
                  className="field"
                  value={search.engine === "kernel" && search.keep === "figures" ? "figures" : (search.mode ?? "report")}
                  onChange={({ target: { value } }) => setUrl(value === "figures" ? { keep: value, mode: undefined, engine: "kernel" } : { keep: undefined, mode: value === "fast" ? value : undefined })}
                >
                  <option value="report">everything (report)</option>
                  <option value="fast">a result with figures only (fast)</option>
                  <option value="figures">a row of one file (kernel)</option>
                </select>
              </Field>
              <Field label="Engine">
                <select className="field" value={search.engine ?? "nautilus"} onChange={set("engine", "nautilus")} title="kernel: the compiled rules of NautilusTrader, with the same result; what it does not cover is refused">
                  <option value="nautilus">NautilusTrader</option>
                  <option value="kernel">kernel</option>
                </select>
              </Field>
              {search.engine === "kernel" && (
                <>
                  <Field label="Verify best and random">
                    <input type="number" min={0} max={1000} className="field w-24" value={search.verify ?? ""} placeholder="0" title="Repeat so many of the best and as many random variants in NautilusTrader; the sweep fails if any fill differs" onChange={set("verify")} />
                  </Field>
                  {Number(search.verify) > 0 && (
                    <Field label="Best by">
                      <select className="field" value={search.best ?? "net_pnl"} onChange={set("best", "net_pnl")}>
                        {["net_pnl", "realized", "commissions", "orders", "fills", "win_rate", "max_drawdown", "sharpe"].map((one) => <option key={one} value={one}>{words(one)}</option>)}
                      </select>
                    </Field>
                  )}
                </>
              )}
              <Field label="At one time">
                <input type="number" min={1} max={64} className="field w-20" value={search.slots ?? "2"} onChange={set("slots", "2")} />
              </Field>
            </div>
            <div className="flex items-center gap-3">
              <Button type="submit" kind="primary" disabled={body === null || isStarting}>
                {isStarting ? "Starting…" : variants ? `Start ${count(variants)} ${variants === 1 ? "variant" : "variants"}` : "Start"}
              </Button>
              <span className="label">⌘/Ctrl Enter</span>
            </div>
            {problem ? <Failure error={problem} retry={() => void start()} /> : null}
          </form>
        </Panel>
        <div className="flex min-w-0 flex-col gap-3">
          <Panel title="What it comes to">
            {body === null ? (
              <p className="text-quiet">{missing(search, rows, variants)}</p>
            ) : (
              <div className="flex flex-col gap-1.5">
                <p>
                  <b>{count(variants)}</b> {variants === 1 ? "variant" : "variants"}: {rows.map((row) => `${count(valuesOf(row.text).values.length)} of ${row.path}`).join(" × ")}
                </p>
                {plan.data ? <Comes plan={plan.data} variants={variants} slots={body.slots} /> : plan.error ? <Failure error={plan.error} retry={() => void plan.refetch()} /> : <Skeleton className="h-10" />}
              </div>
            )}
          </Panel>
          {body && (
            <Panel title="The same as a command">
              <div className="flex flex-col gap-2">
                {[sweepCommand(body, rows), `curl -X POST ${window.location.origin}/api/v1/sweeps -H 'Content-Type: application/json' -d '${text.replaceAll("'", "'\\''")}'`].map((command) => (
                  <Copy key={command} text={command} label="the command" className="mono breaks items-start rounded bg-raised px-2 py-1.5">
                    <span>{command}</span>
                  </Copy>
                ))}
              </div>
            </Panel>
          )}
          {(config.data === undefined || isCrossover(config.data)) && <Crossover />}
        </div>
      </div>
    </div>
  );
}

/** Whether a configuration has the strategy that the vectorized sweep runs. */
function isCrossover(config: Record<string, unknown>): boolean {
  return config.bars !== undefined && (config.strategy as { name?: string } | undefined)?.name === "MA_CROSS";
}

const BEST = ["return", "cagr", "sharpe", "drawdown", "profit_factor"];

/** A grid of crossovers over bars: its command, which no call of the service has. */
function Crossover(): ReactNode {
  const [search, setUrl] = useUrl();
  const line = crossoverCommand(search);
  const lengths = (name: "fast" | "slow", example: string) => {
    const value = search[name] ?? "";
    return (
      <Field label={`Bars of the ${name} average`}>
        <input className="field mono w-32" placeholder={example} value={value} aria-invalid={value !== "" && !LENGTHS.test(value)} onChange={(event) => setUrl({ [name]: event.target.value.replaceAll(" ", "") || undefined })} />
      </Field>
    );
  };
  return (
    <Panel title="Averages over bars">
      <p className="mb-2 text-quiet">The Numba kernel runs a moving-average crossover over thousands of pairs of lengths in seconds. A command in the project's folder starts it; the sweep appears in the list.</p>
      <div className="flex flex-wrap gap-3">
        {lengths("fast", "5:50:5")}
        {lengths("slow", "20:200:10")}
        <Field label="Verify best and random">
          <input type="number" min={0} max={1000} className="field w-24" placeholder="0" value={search.verify ?? ""} onChange={(event) => setUrl({ verify: event.target.value || undefined })} />
        </Field>
        <Field label="Best by">
          <select className="field" value={BEST.includes(search.best ?? "") ? search.best : "return"} onChange={(event) => setUrl({ best: event.target.value === "return" ? undefined : event.target.value })}>
            {BEST.map((one) => <option key={one} value={one}>{words(one)}</option>)}
          </select>
        </Field>
        <Field label="First session, optional">
          <input type="date" className="field" value={search.first ?? ""} onChange={(event) => setUrl({ first: event.target.value || undefined })} />
        </Field>
        <Field label="Last session">
          <input type="date" className="field" value={search.last ?? ""} onChange={(event) => setUrl({ last: event.target.value || undefined })} />
        </Field>
      </div>
      <p className="mt-2">
        {line ? (
          <Copy text={line} label="the command" className="mono rounded bg-raised px-2 py-1.5"><span className="breaks">{line}</span></Copy>
        ) : (
          <span className="text-quiet">{search.config ? "Give both lengths: whole numbers as first:last:step, or a list." : "Choose a configuration for bars with the strategy MA_CROSS, and both lengths."}</span>
        )}
      </p>
    </Panel>
  );
}

function missing(search: Search, rows: readonly Vary[], variants: number): string {
  if (!search.config) return "Choose a configuration.";
  if (!search.day) return "Choose a day.";
  if (!rows.length) return "Choose what varies: every combination of the values is a variant.";
  if (variants > MOST_VARIANTS) return `${count(variants)} variants; ${count(MOST_VARIANTS)} are allowed.`;
  if (new Set(rows.map((row) => row.path)).size < rows.length) return "A path is there twice: put all of its values in one row.";
  return "Mend the values: beside each path it says what is wrong.";
}

function Comes({ plan, variants, slots }: { plan: Planned; variants: number; slots: number }): ReactNode {
  return (
    <>
      <p className="text-quiet">
        {plan.rows !== null && <>{count(plan.rows)} rows, read once</>}
        {plan.converts > 0 && <> · {count(plan.converts)} partitions are converted first</>}
        {plan.seconds !== null && <> · about {seconds((plan.seconds * Math.ceil(variants / slots)))}, by {count(plan.seconds_from)} earlier runs of one variant</>}
      </p>
      {plan.warnings.map((one) => (
        <p key={one} className="text-warn">
          ⚠ {one}
        </p>
      ))}
    </>
  );
}

/** Paths with their values, one row each. */
function Rows({ rows, paths, onChange }: { rows: readonly Vary[]; paths: readonly [string, unknown][]; onChange(rows: readonly Vary[]): void }): ReactNode {
  const known = new Map(paths);
  const change = (at: number, next: Partial<Vary>) => onChange(rows.map((row, index) => (index === at ? { ...row, ...next } : row)));
  const free = paths.find(([path, value]) => typeof value === "number" && !rows.some((row) => row.path === path)) ?? paths.find(([path]) => !rows.some((row) => row.path === path));
  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="label mb-1">What varies: values, or first:last:step</legend>
      <datalist id="sweep-paths">
        {paths.map(([path, value]) => (
          <option key={path} value={path} label={textOf(value)} />
        ))}
      </datalist>
      {rows.map((row, at) => {
        const { values, problem } = valuesOf(row.text);
        return (
          <div key={at} className="flex flex-wrap items-start gap-2">
            <input list="sweep-paths" className="field mono min-w-56 flex-1" aria-label={`Path ${at + 1}`} value={row.path} onChange={(event) => change(at, { path: event.target.value.replace(/[=;]/g, "") })} />
            <span className="flex min-w-52 flex-1 flex-col">
              <input className="field mono w-full" aria-label={`Values of ${row.path}`} aria-invalid={problem !== null} placeholder={known.has(row.path) ? `now ${textOf(known.get(row.path))}` : "10,20,30 or 10:50:10"} value={row.text} onChange={(event) => change(at, { text: event.target.value })} />
              <span className={problem ? "text-[12px] text-bad" : "label"}>
                {problem ?? `${count(values.length)} ${values.length === 1 ? "value" : "values"}${known.has(row.path) ? `, now ${textOf(known.get(row.path))}` : ""}`}
              </span>
            </span>
            <Button kind="quiet" aria-label={`Remove ${row.path}`} onClick={() => onChange(rows.filter((_, index) => index !== at))}>
              ✕
            </Button>
          </div>
        );
      })}
      <span>
        <Button small disabled={!free} onClick={() => free && onChange([...rows, { path: free[0], text: "" }])}>
          + Vary {rows.length ? "another setting" : "a setting"}
        </Button>
      </span>
    </fieldset>
  );
}

function Field({ label, children, className }: { label: string; children: ReactNode; className?: string }): ReactNode {
  return (
    <label className={`flex flex-col gap-1 ${className ?? ""}`}>
      <span className="label">{label}</span>
      {children}
    </label>
  );
}
