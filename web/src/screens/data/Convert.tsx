import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { getJson, sendJson } from "../../api/client";
import type { components } from "../../api/schema";
import { useUrl } from "../../app/search";
import { Button, Copy, cx } from "../../components/basics";
import { Failure } from "../../components/states";
import { count } from "../../lib/format";
import { command } from "../../lib/shell";
import { STATES } from "../launch/PlanPanel";

type Backfill = components["schemas"]["Backfill"];

const DUE = ["□", "◪"];
const GOING_ON = ["requested", "canceling"];
const days = (number: number) => `${count(number)} ${number === 1 ? "day" : "days"}`;

/** Convert days of one series without a run: what that comes to, the start, and how far it is. */
export function Convert({ instrument, type, first, last, states }: { instrument: string; type: string; first: string; last: string; states: readonly string[] }): ReactNode {
  const [{ conversion }, setUrl] = useUrl();
  const [isForced, setForced] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const [isStarting, setStarting] = useState(false);
  const key = useRef({ text: "", key: "" });
  const of = (sign: string) => states.filter((state) => state === sign).length;
  const due = states.filter((state) => DUE.includes(state) || (isForced && state === "■")).length;
  const body = { instrument, data_type: type, first_day: first, last_day: last, ...(isForced ? { force: true } : {}) };
  const start = async () => {
    const text = JSON.stringify(body);
    // The same request with the same key starts nothing twice.
    if (key.current.text !== text) key.current = { text, key: crypto.randomUUID() };
    setProblem(null);
    setStarting(true);
    try {
      const { data } = await sendJson<Backfill>("POST", "/api/v1/conversions", body, { "Idempotency-Key": key.current.key });
      key.current = { text: "", key: "" };
      setUrl({ conversion: data.id });
    } catch (error) {
      setProblem(error);
    } finally {
      setStarting(false);
    }
  };
  const left = Object.keys(STATES).filter((sign) => !DUE.includes(sign) && !(isForced && sign === "■") && of(sign) > 0);
  const line = command("odum", "convert", "--instrument", instrument, "--data-type", type, ...(first === last ? ["--day", first] : ["--from", first, "--to", last]), isForced && "--force");
  return (
    <section aria-label="Convert" className="flex flex-col gap-1.5 rounded border border-line px-3 py-2" data-testid="convert">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
        <Button kind={due ? "primary" : "plain"} disabled={due === 0 || isStarting} onClick={() => void start()}>
          {isStarting ? "Starting…" : due ? `Convert ${days(due)}` : "Convert"}
        </Button>
        <span>
          {due === 0 ? "Nothing is to be converted" : DUE.filter((sign) => of(sign)).map((sign) => `${count(of(sign))} ${STATES[sign]![0]}`).concat(isForced && of("■") ? [`${count(of("■"))} up to date, again`] : []).join(", ")}
          {left.length > 0 && <span className="text-quiet">; left alone: {left.map((sign) => `${count(of(sign))} ${STATES[sign]![0]}`).join(", ")}</span>}
        </span>
        {of("■") > 0 && (
          <label className="flex items-center gap-1.5 text-quiet">
            <input type="checkbox" className="accent-accent" checked={isForced} onChange={(event) => setForced(event.target.checked)} />
            also what is up to date
          </label>
        )}
      </div>
      {problem ? <Failure error={problem} retry={() => void start()} compact /> : null}
      {conversion && <Followed id={conversion} />}
      <p className="flex flex-wrap items-center gap-x-2">
        <span className="label">As a command:</span>
        <Copy text={line} label="the command that converts these days" className="mono"><span className="breaks">{line}</span></Copy>
      </p>
    </section>
  );
}

/** Conversions that were started, until they have ended; the calendar follows them. */
function Followed({ id }: { id: string }): ReactNode {
  const [, setUrl] = useUrl();
  const client = useQueryClient();
  const path = `/api/v1/backfills/${encodeURIComponent(id)}`;
  const query = useQuery({
    queryKey: ["backfill", id],
    queryFn: ({ signal }) => getJson<Backfill>(path, signal),
    refetchInterval: ({ state }) => (state.data && !GOING_ON.includes(state.data.status) ? false : 1_000),
    staleTime: 0,
  });
  const { data } = query;
  const done = data?.by_status.succeeded ?? 0;
  const failed = (data?.by_status.failed ?? 0) + (data?.by_status.canceled ?? 0);
  const isGoingOn = !data || GOING_ON.includes(data.status);
  const seen = `${done} ${failed} ${data?.status}`;
  useEffect(() => {
    if (done + failed === 0 && isGoingOn) return;
    void client.invalidateQueries({ queryKey: ["coverage"] });
    void client.invalidateQueries({ queryKey: ["partition"] });
    // Only what has ended changes a calendar.
    // eslint-disable-next-line
  }, [seen]);
  if (query.error && !data) return <Failure error={query.error} retry={() => void query.refetch()} compact />;
  if (!data) return null;
  const all = Math.max(data.days, 1);
  const text = isGoingOn ? (data.status === "canceling" ? "Canceling" : "Converting") : failed || data.status !== "completed_success" ? "Ended, not all of it well" : "Converted";
  const ended = data.runs.find((run) => run.status === "failed");
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1" role="status" data-status={data.status}>
      <progress className="h-1.5 w-40 accent-accent" max={all} value={done + failed} aria-label="Days that have ended" />
      <span className={cx(!isGoingOn && (failed ? "text-bad" : "text-good"))}>
        {text}: {count(done)} of {days(data.days)}
        {failed > 0 && `, ${count(failed)} failed or canceled`}
      </span>
      {ended && <a href={`/dagster/runs/${ended.dagster_run_id}`} className="underline">{ended.day ?? "run"}: log in Dagster</a>}
      {isGoingOn ? (
        <Button small disabled={data.status === "canceling"} onClick={() => void sendJson("DELETE", path).then(() => query.refetch(), () => query.refetch())}>Cancel</Button>
      ) : (
        <Button small kind="quiet" aria-label="Close the report on conversions" onClick={() => setUrl({ conversion: undefined })}>✕</Button>
      )}
    </div>
  );
}
