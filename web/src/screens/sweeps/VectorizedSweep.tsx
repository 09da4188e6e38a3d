import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, type ReactNode } from "react";
import { sendJson } from "../../api/client";
import type { components } from "../../api/schema";
import { useUrl } from "../../app/search";
import { Button, cx, Dash, Panel } from "../../components/basics";
import { Failure, Skeleton } from "../../components/states";
import { useSettled } from "../../components/useSettled";
import { count, words } from "../../lib/format";
import { Chosen, Commands, Field, problemId, StartButton, useSweepStart } from "./starting";
import { gridCommand, gridOf, gridProblems, missingOf, OWN } from "./grid";

type Planned = components["schemas"]["PlannedVsweep"];

const BEST = ["return", "cagr", "sharpe", "drawdown", "profit_factor"];
const SIDES = [["", "as configured"], ["long", "long"], ["long_short", "long and short"], ["long,long_short", "both: long, and long and short"]] as const;

/** A grid of parameters over bars, which the Numba kernel runs: lengths or thresholds, side and size. */
export function VectorizedSweep({ config, children }: { config: Record<string, unknown> | undefined; children: ReactNode }): ReactNode {
  const [search, setUrl] = useUrl();
  const strategy = (config?.strategy as { name?: string } | undefined)?.name;
  const body = useMemo(() => gridOf(search, strategy), [search, strategy]);
  const text = JSON.stringify(body);
  const settled = useSettled(text);
  const plan = useQuery({
    queryKey: ["grid plan", settled],
    queryFn: async ({ signal }) => (await sendJson<Planned>("POST", "/api/v1/sweeps/vectorized/plan", JSON.parse(settled), {}, signal)).data,
    enabled: settled !== "null",
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 5_000,
  });
  const isOfNow = settled === text && !plan.isPlaceholderData;
  const started = useSweepStart("/api/v1/sweeps/vectorized", body);
  const refused = { ...gridProblems(isOfNow ? plan.error : null), ...gridProblems(started.problem) };
  const instruments = (config?.instruments as { id: string }[] | undefined) ?? [];
  const field = (name: string) => ({ name, problem: refused[name] });
  const marked = (name: string) => (refused[name] ? { "aria-invalid": true, "aria-describedby": problemId(name) } : {});
  const chosen = (name: string, standard = "") => ({
    value: search[name] ?? standard,
    onChange: (event: { target: { value: string } }) => setUrl({ [name]: event.target.value === standard ? undefined : event.target.value }),
    ...marked(name),
  });
  const values = (name: string, placeholder: string) => (
    <input className="field mono w-40" placeholder={placeholder} {...chosen(name)} onChange={(event) => setUrl({ [name]: event.target.value.replaceAll(" ", "") || undefined })} />
  );
  const own = OWN[strategy ?? ""] ?? [];
  return (
    <Chosen
      started={started}
      form={
        <>
          <div className="flex flex-wrap gap-3">{children}</div>
          {(instruments.length > 1 || search.instrument) && (
            <Field label="Instrument" {...field("instrument")}>
              <select className="field max-w-80" {...chosen("instrument")}>
                <option value="">Choose one</option>
                {search.instrument && !instruments.some((one) => one.id === search.instrument) && <option>{search.instrument}</option>}
                {instruments.map((one) => <option key={one.id}>{one.id}</option>)}
              </select>
            </Field>
          )}
          <fieldset className="flex flex-wrap gap-3">
            <legend className="label mb-1">What varies: values, or first:last:step</legend>
            {(own.includes("fast") || search.fast) && <Field label="Bars of the fast average" {...field("fast")}>{values("fast", "5:50:5")}</Field>}
            {(own.includes("slow") || search.slow) && <Field label="Bars of the slow average" {...field("slow")}>{values("slow", "20:200:10")}</Field>}
            {(own.includes("threshold") || search.threshold) && <Field label="Thresholds of the model" {...field("threshold")}>{values("threshold", "0.5:0.7:0.05")}</Field>}
            <Field label="Side" {...field("side")}>
              <select className="field" {...chosen("side")}>
                {search.side && !SIDES.some(([value]) => value === search.side) && <option>{search.side}</option>}
                {SIDES.map(([value, label]) => <option key={value} value={value}>{label}</option>)}
              </select>
            </Field>
            <Field label="Size of an entry, optional" {...field("fixed_size")}>{values("fixed_size", "1,2,5")}</Field>
            <Field label="Or fraction of the equity" {...field("percent_size")}>{values("percent_size", "0.25:1:0.25")}</Field>
          </fieldset>
          <div className="flex flex-wrap gap-3">
            <Field label="First session, optional" {...field("first")}>
              <input type="date" className="field w-40" max={search.last} {...chosen("first")} />
            </Field>
            <Field label="Last session, included" {...field("last")}>
              <input type="date" className="field w-40" min={search.first} {...chosen("last")} />
            </Field>
            <Field label="Verify best and random" {...field("verify")}>
              <input type="number" min={0} max={1000} className="field w-24" placeholder="0" title="Replay so many of the best and as many random variants in NautilusTrader; the sweep fails if any fill differs" {...chosen("verify")} />
            </Field>
            <Field label="Best by" {...field("best")}>
              <select className="field" {...chosen("best", "return")}>
                {BEST.map((one) => <option key={one} value={one}>{words(one)}</option>)}
              </select>
            </Field>
          </div>
          <StartButton started={started} variants={body === null ? null : isOfNow && plan.data ? plan.data.variants : 0} />
        </>
      }
    >
      <Panel title="What it comes to" aside={body !== null && <Button small onClick={() => void plan.refetch()} disabled={plan.isFetching}>{plan.isFetching ? "Planning…" : "Plan again"}</Button>}>
        {body === null ? (
          <p className="text-quiet">{missingOf(search, strategy)}</p>
        ) : plan.error && isOfNow ? (
          <Failure error={plan.error} retry={() => void plan.refetch()} />
        ) : plan.data ? (
          <div className={cx(!isOfNow && "opacity-60")} aria-busy={!isOfNow}><Comes plan={plan.data} /></div>
        ) : (
          <Skeleton className="h-20" />
        )}
        <p className="mt-2 text-[12px] text-quiet">The Numba kernel runs all variants over the same bars; one file has their figures, and none becomes a run. Any variant can be run in NautilusTrader from the result.</p>
      </Panel>
      {body && <Commands path="/api/v1/sweeps/vectorized" body={body} command={gridCommand(body)} />}
    </Chosen>
  );
}

function Comes({ plan }: { plan: Planned }): ReactNode {
  return (
    <div className="flex flex-col gap-1.5" data-testid="grid-plan">
      <p>
        <b>{count(plan.variants)}</b> {plan.variants === 1 ? "variant" : "variants"}: {Object.entries(plan.axes).filter(([, values]) => values > 1 || plan.variants === 1).map(([axis, values]) => `${count(values)} of ${words(axis)}`).join(" × ")}
        {plan.variants < Object.values(plan.axes).reduce((product, one) => product * one, 1) && ", without pairs whose fast length is not below the slow one"}
      </p>
      <p className="text-quiet">
        {plan.instrument} · {plan.days === 1 ? `the partition ${plan.first_day}` : `${count(plan.days)} partitions from ${plan.first_day} to ${plan.last_day}`}
        {" · "}{plan.rows === null ? <><Dash why="not known before all of it is converted" /> bars</> : `${count(plan.rows)} bars in ${plan.days === 1 ? "it" : "them"}`}
        {plan.converts > 0 && ` · ${count(plan.converts)} ${plan.converts === 1 ? "is" : "are"} converted first`}
      </p>
      {plan.warnings.slice(0, 5).map((one) => (
        <p key={one} className="breaks text-warn">⚠ {one}</p>
      ))}
      {plan.warnings.length > 5 && <p className="text-quiet">and {count(plan.warnings.length - 5)} more warnings</p>}
    </div>
  );
}
