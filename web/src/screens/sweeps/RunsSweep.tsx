import { useQuery } from "@tanstack/react-query";
import { useMemo, type ReactNode } from "react";
import { sendJson } from "../../api/client";
import type { components } from "../../api/schema";
import { useUrl } from "../../app/search";
import { Button, Panel } from "../../components/basics";
import { Failure, Skeleton } from "../../components/states";
import { count, seconds, words } from "../../lib/format";
import type { Search } from "../../lib/url";
import { Chosen, Commands, Field, StartButton, useSweepStart } from "./starting";
import { textOf } from "./state";
import { countOf, MOST_VARIANTS, parseVary, sweepCommand, valuesOf, varyingPaths, varyText, type SweepOptions, type Vary } from "./vary";

type Planned = components["schemas"]["PlannedRun"];
type Body = SweepOptions & { vary: Record<string, unknown[]> };

/** Return the body of a start; the address is the form. Null while something is missing. */
export function sweepBody(search: Search): Body | null {
  const rows = parseVary(search.vary);
  const parsed = rows.map((row) => valuesOf(row.text));
  const isWhole = rows.length > 0 && parsed.every((one) => one.problem === null) && new Set(rows.map((row) => row.path)).size === rows.length;
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
    vary: Object.fromEntries(rows.map((row, at) => [row.path, parsed[at]!.values])),
  };
}

/** Variants that are runs over one day: what varies, how many variants that is, and what they come to. */
export function RunsSweep({ config, children }: { config: Record<string, unknown> | undefined; children: ReactNode }): ReactNode {
  const [search, setUrl] = useUrl();
  const paths = useMemo(() => varyingPaths(config ?? {}), [config]);
  const rows = useMemo(() => parseVary(search.vary), [search.vary]);
  const body = useMemo(() => sweepBody(search), [search]);
  const variants = countOf(rows);
  const planned = body && JSON.stringify({ config: body.config, day: body.day, mode: body.mode, engine: body.engine, start: body.start, end: body.end });
  const plan = useQuery({
    queryKey: ["plan", planned],
    queryFn: async () => (await sendJson<Planned>("POST", "/api/v1/plan", JSON.parse(planned!))).data,
    enabled: !!planned,
    retry: false,
  });
  const started = useSweepStart("/api/v1/sweeps", body);
  const setRows = (next: readonly Vary[]) => setUrl({ vary: varyText(next) });
  const set = (name: string, standard = "") => (event: { target: { value: string } }) => setUrl({ [name]: event.target.value === standard ? undefined : event.target.value });
  return (
    <Chosen
      started={started}
      form={
        <>
          <div className="flex flex-wrap gap-3">
            {children}
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
          <StartButton started={started} variants={body === null ? null : variants} />
        </>
      }
    >
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
      {body && <Commands path="/api/v1/sweeps" body={body} command={sweepCommand(body, rows)} />}
    </Chosen>
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
