import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { getJson, sendJson } from "../../api/client";
import type { WholeRun } from "../../api/runs";
import type { components } from "../../api/schema";
import { follow } from "../../api/sse";
import { useZone } from "../../app/search";
import { Button, cx, Panel } from "../../components/basics";
import { Modal } from "../../components/overlays";
import { Failure } from "../../components/states";
import { count, seconds, UNKNOWN } from "../../lib/format";
import { formatNs, parseNs } from "../../lib/ns";

type LiveRun = components["schemas"]["LiveRun"];

const PHASES = ["queued", "convert", "validate", "load", "replay", "finish"] as const;
const NAMES: Record<string, string> = { queued: "Queued", convert: "Convert", validate: "Validate", load: "Load", replay: "Replay", finish: "Finish" };
const MOST_LINES = 1_000;

interface Line {
  id: string;
  time: string;
  level: string;
  text: string;
}

/** A run that is queued or goes on: phases, market time, rate, estimate, log, Cancel. */
export function LivePanel({ run, onEnd }: { run: WholeRun; onEnd(): void }): ReactNode {
  const zone = useZone();
  const status = useQuery({
    queryKey: ["status", run.run_id],
    queryFn: ({ signal }) => getJson<LiveRun>(`/api/v1/runs/${run.run_id}/status`, signal),
    refetchInterval: 1_000,
    staleTime: 0,
  });
  const [lines, setLines] = useState<Line[]>([]);
  const [problem, setProblem] = useState<unknown>(null);
  const [asking, setAsking] = useState(false);
  const rate = useRate(status.data?.progress ?? null);
  const end = useRef(onEnd);
  end.current = onEnd;
  const isOver = status.data && !["queued", "running"].includes(status.data.status);
  useEffect(() => {
    if (isOver) end.current();
  }, [isOver]);
  useEffect(() => {
    const abort = new AbortController();
    setLines([]);
    follow(
      `/api/v1/runs/${run.run_id}/stream`,
      null,
      (event) => {
        if (event.type === "complete" || event.type === "error") {
          // The registry knows a moment later.
          window.setTimeout(() => end.current(), 400);
          return;
        }
        const text = event.data.message ?? event.data.text ?? `${String(event.data.step ?? "run")}: ${String(event.data.status ?? "")}`;
        const line = { id: event.id ?? String(Math.random()), time: String(event.data.time ?? ""), level: String(event.data.level ?? event.type), text: String(text) };
        setLines((before) => (before.some((one) => one.id === line.id) ? before : [...before, line].slice(-MOST_LINES)));
      },
      abort.signal,
    ).catch((error: unknown) => setProblem(error));
    return () => abort.abort();
  }, [run.run_id]);
  const cancel = async () => {
    setAsking(false);
    setProblem(null);
    try {
      await sendJson("DELETE", `/api/v1/runs/${run.run_id}`);
      void status.refetch();
    } catch (error) {
      setProblem(error);
    }
  };
  const progress = status.data?.progress;
  const state = status.data?.status ?? run.status;
  // Until Dagster has said where the run stands, the registry's words count; without any it is being started.
  const known = PHASES.find((one) => !status.data && run.phase?.startsWith(one));
  const phase = progress?.phase ?? known ?? "queued";
  return (
    <div className="flex flex-col gap-3">
      {problem ? <Failure error={problem} compact /> : null}
      {status.error ? <Failure error={status.error} compact retry={() => void status.refetch()} /> : null}
      <Panel
        title={status.data?.canceling ? "Being canceled" : state === "queued" ? "Waiting for its turn" : progress || known ? "Running" : "Starting"}
        aside={
          <Button kind="danger" disabled={status.data?.canceling} onClick={() => setAsking(true)}>
            Cancel run
          </Button>
        }
      >
        <Steps phase={phase} done={progress?.done ?? null} />
        <dl className="mt-3 grid grid-cols-2 gap-x-6 gap-y-2 sm:grid-cols-4">
          <Figure label="Market time" value={progress?.market_time ? `${progress.market_time} UTC` : UNKNOWN} />
          <Figure label={progress?.rows === null || progress?.rows === undefined ? "Orders so far" : "Rows converted"} value={count(progress?.rows ?? progress?.orders)} />
          <Figure label="Rate" value={rate.rate === null ? UNKNOWN : `${(rate.rate * 100).toFixed(1)} % per s`} />
          <Figure label="Estimate" value={rate.left === null ? UNKNOWN : `${seconds(rate.left)} left of this phase`} />
        </dl>
      </Panel>
      <Panel title="Log" aside={<span className="label">{lines.length ? `${count(lines.length)} lines` : ""}</span>}>
        <Log lines={lines} zone={zone} />
      </Panel>
      <Modal open={asking} onOpenChange={setAsking} title="Cancel this run?">
        <p>What it has done so far leaves no result. Partitions that are converted stay.</p>
        <div className="mt-4 flex justify-end gap-2">
          <Button onClick={() => setAsking(false)}>Let it go on</Button>
          <Button kind="danger" onClick={() => void cancel()}>
            Cancel run
          </Button>
        </div>
      </Modal>
    </div>
  );
}

function Steps({ phase, done }: { phase: string; done: number | null }): ReactNode {
  const at = PHASES.indexOf(phase as (typeof PHASES)[number]);
  return (
    <ol className="grid grid-cols-3 gap-2 sm:grid-cols-6" aria-label="Phases">
      {PHASES.map((name, index) => {
        const share = index < at ? 1 : index === at ? (done ?? 0) : 0;
        return (
          <li key={name} aria-current={index === at ? "step" : undefined} className={cx(index === at ? "text-ink font-medium" : "text-quiet")}>
            <span className="mb-1 block h-1.5 overflow-hidden rounded bg-raised">
              <span className={cx("block h-full bg-accent", index === at && done === null && "skeleton opacity-60")} style={{ width: `${index === at && done === null ? 100 : share * 100}%` }} />
            </span>
            {NAMES[name]}
            {index === at && done !== null && <span className="text-quiet"> {Math.floor(done * 100)} %</span>}
          </li>
        );
      })}
    </ol>
  );
}

function Figure({ label, value }: { label: string; value: string }): ReactNode {
  return (
    <div>
      <dt className="label">{label}</dt>
      <dd className="text-[15px]">{value}</dd>
    </div>
  );
}

function Log({ lines, zone }: { lines: Line[]; zone: string }): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    // Who scrolled up reads: nothing moves then.
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  return (
    <div
      ref={box}
      tabIndex={0}
      role="log"
      aria-label="Log"
      className="mono h-[max(45vh,calc(100dvh-19rem))] overflow-auto rounded bg-raised p-2"
      onScroll={(event) => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {lines.map((line) => {
        const ns = parseNs(line.time) ?? (/^\d+(\.\d+)?$/.test(line.time) ? BigInt(Math.round(Number(line.time) * 1000)) * 1_000_000n : null);
        return (
          <p key={line.id} className={cx("breaks whitespace-pre-wrap", line.level === "error" && "text-bad")}>
            <span className="text-quiet">{ns === null ? "" : formatNs(ns, zone, 3, false)} </span>
            {line.text}
          </p>
        );
      })}
      {lines.length === 0 && <p className="text-quiet">Waiting for the first line…</p>}
    </div>
  );
}

/** Share of the phase per second over the last ten seconds, and how long the rest takes so. */
function useRate(progress: { phase: string; done: number | null } | null): { rate: number | null; left: number | null } {
  const seen = useRef<{ phase: string; at: number; done: number }[]>([]);
  if (progress && progress.done !== null) {
    const now = Date.now();
    const last = seen.current.at(-1);
    if (!last || last.phase !== progress.phase) seen.current = [];
    if (seen.current.at(-1)?.done !== progress.done) seen.current.push({ phase: progress.phase, at: now, done: progress.done });
    seen.current = seen.current.filter((one) => now - one.at < 10_000);
  }
  const [first, last] = [seen.current[0], seen.current.at(-1)];
  if (!first || !last || first === last) return { rate: null, left: null };
  const rate = (last.done - first.done) / ((last.at - first.at) / 1_000);
  return rate > 0 ? { rate, left: (1 - last.done) / rate } : { rate: null, left: null };
}
