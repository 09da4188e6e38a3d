import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useMemo, useRef, useState, type ReactNode } from "react";
import { ApiError, getJson, sendJson } from "../../api/client";
import { loadRun } from "../../api/runs";
import type { components } from "../../api/schema";
import { useKey } from "../../app/keys";
import { useUrl } from "../../app/search";
import { Button, Panel, ScreenHead, Tag, useTitle } from "../../components/basics";
import { Failure, Skeleton } from "../../components/states";
import { count, seconds } from "../../lib/format";
import type { Search } from "../../lib/url";

type Configs = components["schemas"]["Configs"];
type Planned = components["schemas"]["PlannedRun"];
type Started = components["schemas"]["LiveRun"] | components["schemas"]["Backfill"];

/** Return the body of a launch; the address is the form. */
export function bodyOf(search: Search): Record<string, unknown> | null {
  if (!search.config) return null;
  const span = search.kind ?? "day";
  const common = {
    config: search.config,
    mode: search.mode ?? "report",
    ...(search.snapshots ? { snapshot_mode: search.snapshots } : {}),
    ...(search.start ? { start: search.start } : {}),
    ...(search.end ? { end: search.end } : {}),
  };
  if (span === "day") return search.day ? { ...common, day: search.day } : null;
  if (!search.first || !search.last) return null;
  return { ...common, first_day: search.first, last_day: search.last, ...(span === "window" ? { window: true } : { skip_finished: search.skip === "1" }) };
}

/** Start a run: what it comes to is said before. */
export function LaunchScreen(): ReactNode {
  useTitle("Launch");
  const [search, setUrl] = useUrl();
  const navigate = useNavigate();
  const configs = useQuery({ queryKey: ["configs"], queryFn: ({ signal }) => getJson<Configs>("/api/configs", signal) });
  const from = useQuery({ queryKey: ["run", search.from], queryFn: ({ signal }) => loadRun(search.from!, signal), enabled: !!search.from && !search.config });
  const [problem, setProblem] = useState<unknown>(null);
  const [isStarting, setStarting] = useState(false);
  if (from.data && !search.config) {
    const run = from.data;
    const isDay = /^\d{4}-\d\d-\d\d$/.test(run.partition);
    const last = run.window_end ? new Date(Date.parse(run.window_end) - 1).toISOString().slice(0, 10) : undefined;
    queueMicrotask(() => setUrl({ from: undefined, config: run.config_name, mode: run.detail === "fast" ? "fast" : undefined, ...(isDay ? { day: run.partition } : { kind: "window", first: run.window_start?.slice(0, 10), last }) }));
  }
  const body = useMemo(() => bodyOf(search), [search]);
  const text = JSON.stringify(body);
  const plan = useQuery({
    queryKey: ["plan", text],
    queryFn: async () => (await sendJson<Planned>("POST", "/api/v1/plan", body)).data,
    enabled: body !== null,
    retry: false,
  });
  // The same request with the same key starts nothing twice.
  const key = useRef<{ text: string; key: string }>({ text: "", key: "" });
  const launch = async () => {
    if (!body || isStarting) return;
    if (key.current.text !== text) key.current = { text, key: crypto.randomUUID() };
    setProblem(null);
    setStarting(true);
    try {
      const { data } = await sendJson<Started>("POST", "/api/v1/runs", body, { "Idempotency-Key": key.current.key });
      key.current = { text: "", key: "" };
      if (data.kind === "run") void navigate({ to: "/runs/$runId", params: { runId: data.run_id } });
      else void navigate({ to: "/", search: { config: String(body.config) } as never });
    } catch (error) {
      setProblem(error);
    } finally {
      setStarting(false);
    }
  };
  useKey("mod+Enter", "Launch", () => void launch(), "Launch", body !== null);
  const kind = search.kind ?? "day";
  const valid = configs.data?.configs ?? [];
  const command = body ? `curl -X POST ${window.location.origin}/api/v1/runs -H 'Content-Type: application/json' -d '${text}'` : "odum backtest --help";
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="Launch" command={command} />
      {configs.error ? <Failure error={configs.error} retry={() => void configs.refetch()} /> : null}
      <div className="grid gap-3 lg:grid-cols-[minmax(340px,440px)_1fr]">
        <Panel title="Run">
          <form
            className="flex flex-col gap-3"
            onSubmit={(event) => {
              event.preventDefault();
              void launch();
            }}
          >
            <Field label="Configuration">
              <select className="field w-full" value={search.config ?? ""} onChange={(event) => setUrl({ config: event.target.value || undefined })}>
                <option value="">Choose one</option>
                {valid.map((one) => (
                  <option key={one.name} value={one.name} disabled={!one.valid}>
                    {one.name}
                    {one.valid ? "" : " (invalid)"}
                  </option>
                ))}
              </select>
            </Field>
            <fieldset className="flex gap-3">
              <legend className="label mb-1">What to run</legend>
              {[["day", "One day"], ["days", "Every day of a range"], ["window", "One account over a range"]].map(([id, label]) => (
                <label key={id} className="flex items-center gap-1.5">
                  <input type="radio" className="accent-accent" name="kind" checked={kind === id} onChange={() => setUrl({ kind: id === "day" ? undefined : id })} />
                  {label}
                </label>
              ))}
            </fieldset>
            {kind === "day" ? (
              <Field label="Day (UTC)">
                <input type="date" className="field" value={search.day ?? ""} onChange={(event) => setUrl({ day: event.target.value || undefined })} />
              </Field>
            ) : (
              <div className="flex gap-3">
                <Field label="First day (UTC)">
                  <input type="date" className="field" value={search.first ?? ""} onChange={(event) => setUrl({ first: event.target.value || undefined })} />
                </Field>
                <Field label="Last day, included">
                  <input type="date" className="field" value={search.last ?? ""} onChange={(event) => setUrl({ last: event.target.value || undefined })} />
                </Field>
              </div>
            )}
            {kind === "days" && (
              <label className="flex items-center gap-1.5">
                <input type="checkbox" className="accent-accent" checked={search.skip === "1"} onChange={(event) => setUrl({ skip: event.target.checked ? "1" : undefined })} />
                Leave out days whose result is up to date
              </label>
            )}
            <div className="flex gap-3">
              <Field label="Start, optional">
                <input className="field w-40" placeholder="09:30 or a time" value={search.start ?? ""} onChange={(event) => setUrl({ start: event.target.value || undefined })} />
              </Field>
              <Field label="End, excluded">
                <input className="field w-40" placeholder="16:00 or a time" value={search.end ?? ""} onChange={(event) => setUrl({ end: event.target.value || undefined })} />
              </Field>
            </div>
            <div className="flex gap-3">
              <Field label="Keep">
                <select className="field" value={search.mode ?? "report"} onChange={(event) => setUrl({ mode: event.target.value === "report" ? undefined : event.target.value })}>
                  <option value="report">everything (report)</option>
                  <option value="fast">figures only (fast)</option>
                </select>
              </Field>
              <Field label="What moves the market">
                <select className="field" value={search.snapshots ?? ""} onChange={(event) => setUrl({ snapshots: event.target.value || undefined })}>
                  <option value="">both where there are books</option>
                  <option value="trades">trades</option>
                  <option value="book">book</option>
                  <option value="both">both</option>
                </select>
              </Field>
            </div>
            <div className="flex items-center gap-3">
              <Button type="submit" kind="primary" disabled={body === null || isStarting}>
                {isStarting ? "Starting…" : "Launch"}
              </Button>
              <span className="label">⌘/Ctrl Enter</span>
            </div>
            {problem ? <Failure error={problem} retry={() => void launch()} /> : null}
          </form>
        </Panel>
        <Panel title="Plan">
          {body === null ? (
            <p className="text-quiet">Choose a configuration and a day: what the run comes to is said here before it starts.</p>
          ) : plan.data ? (
            <Plan plan={plan.data} />
          ) : plan.error ? (
            plan.error instanceof ApiError && plan.error.status === 501 ? <p className="text-quiet">{plan.error.message}</p> : <Failure error={plan.error} retry={() => void plan.refetch()} />
          ) : (
            <Skeleton className="h-40" />
          )}
        </Panel>
      </div>
    </div>
  );
}

function Field({ label, children }: { label: string; children: ReactNode }): ReactNode {
  return (
    <label className="flex flex-col gap-1">
      <span className="label">{label}</span>
      {children}
    </label>
  );
}

function Plan({ plan }: { plan: Planned }): ReactNode {
  const skipped = Object.entries(plan.skipped);
  return (
    <div className="flex flex-col gap-3">
      <p>
        <b>{count(plan.runs)}</b> {plan.runs === 1 ? "run" : "runs"} over {count(plan.days.length)} {plan.days.length === 1 ? "day" : "days"}
        {plan.rows !== null && <> · {count(plan.rows)} rows</>}
        {plan.converts > 0 && <> · {count(plan.converts)} partitions are converted first</>}
        {plan.seconds !== null && <> · about {seconds(plan.seconds)}, by {count(plan.seconds_from)} earlier runs</>}
      </p>
      {plan.warnings.map((one) => (
        <p key={one} className="text-warn">
          ⚠ {one}
        </p>
      ))}
      {skipped.map(([day, why]) => (
        <p key={day}>
          <Tag tone="warn">{day} left out</Tag> {why}
        </p>
      ))}
      <div className="max-h-96 overflow-auto" tabIndex={0} role="region" aria-label="Partitions">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Day</th>
              <th scope="col">Data</th>
              <th scope="col">Instrument</th>
              <th scope="col">State</th>
              <th scope="col" className="num">Rows</th>
            </tr>
          </thead>
          <tbody>
            {plan.partitions.map((one) => (
              <tr key={`${one.instrument} ${one.data_type} ${one.day}`}>
                <td>{one.day}</td>
                <td>{one.data_type}</td>
                <td>{one.instrument}</td>
                <td>
                  {one.state} {one.state_text}
                </td>
                <td className="num">{count(one.rows)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
