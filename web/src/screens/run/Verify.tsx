import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { getJson, sendJson } from "../../api/client";
import { loadEvents } from "../../api/result";
import type { WholeRun } from "../../api/runs";
import { useZone } from "../../app/search";
import { Button, cx, Hash, Tag } from "../../components/basics";
import { Modal } from "../../components/overlays";
import { Failure } from "../../components/states";
import { formatNs, parseNs } from "../../lib/ns";

interface Verified {
  /** Null: it could not be run again. */
  equal: boolean | null;
  error?: string | null;
  expected: string;
  found: string | null;
  changed_inputs: unknown[];
  dagster_run_id?: string;
}

interface Started {
  dagster_run_id: string;
  status: string;
}

/** Run the result again and compare every order and fill. */
export function Verify({ run }: { run: WholeRun }): ReactNode {
  const client = useQueryClient();
  const zone = useZone();
  const [started, setStarted] = useState<Started | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const [open, setOpen] = useState(false);
  const events = useQuery({
    queryKey: ["events", run.run_id],
    queryFn: ({ signal }) => loadEvents(run.run_id, signal),
    refetchInterval: started ? 1_500 : false,
  });
  const all = events.data?.events.filter((event) => event.event_type === "verified") ?? [];
  const last = all.at(-1);
  const verified = last?.payload as unknown as Verified | undefined;
  const isDone = started !== null && all.some((event) => (event.payload as unknown as Verified).dagster_run_id === started.dagster_run_id);
  const live = useQuery({
    queryKey: ["status", started?.dagster_run_id],
    queryFn: ({ signal }) => getJson<{ status: string; error: string | null; progress: { text: string } | null }>(`/api/v1/runs/${started!.dagster_run_id}/status`, signal),
    enabled: started !== null && !isDone,
    refetchInterval: 1_000,
    staleTime: 0,
  });
  const hasFailed = live.data && ["failed", "canceled"].includes(live.data.status) && !isDone;
  const isRunning = started !== null && !isDone && !hasFailed;
  const verify = async () => {
    setProblem(null);
    setOpen(true);
    try {
      const { data } = await sendJson<Started>("POST", `/api/v1/runs/${run.run_id}/verify`);
      setStarted(data);
      void client.invalidateQueries({ queryKey: ["events", run.run_id] });
    } catch (error) {
      setProblem(error);
    }
  };
  return (
    <>
      {verified && (
        <button type="button" onClick={() => setOpen(true)}>
          {verified.equal ? <Tag tone="good">✓ verified</Tag> : verified.equal === null ? <Tag tone="warn">⚠ not verified</Tag> : <Tag tone="bad">≠ not equal</Tag>}
        </button>
      )}
      <Button kind="primary" disabled={isRunning} onClick={() => void verify()} title="Runs it again and compares every order and fill">
        {isRunning ? "Verifying…" : "Verify"}
      </Button>
      <Modal open={open} onOpenChange={setOpen} title="Verify this result">
        <div className="flex flex-col gap-3" aria-live="polite">
          {problem ? <Failure error={problem} retry={() => void verify()} /> : null}
          {isRunning && <p>Is run again from its record… {live.data?.progress?.text ?? live.data?.status ?? ""}</p>}
          {hasFailed && <p className="text-bad">The second run {live.data?.status}: {live.data?.error ?? "see its log in Dagster"}</p>}
          {verified && !isRunning && !problem && (
            <>
              <p className={cx("font-medium", verified.equal ? "text-good" : verified.equal === null ? "text-warn" : "text-bad")}>
                {verified.equal ? "✓ Equal in every order, fill and balance." : verified.equal === null ? "⚠ It cannot be run again." : "≠ The second run is not equal."}
                {last && <span className="font-normal text-quiet"> {formatNs(parseNs(last.timestamp) ?? 0n, zone, 0)} {zone}</span>}
              </p>
              {verified.error && <p className="breaks">{verified.error}</p>}
              <dl className="grid grid-cols-[8rem_1fr] gap-y-1">
                <dt className="text-quiet">Expected digest</dt>
                <dd><Hash value={verified.expected} length={24} /></dd>
                <dt className="text-quiet">Found digest</dt>
                <dd><Hash value={verified.found} length={24} /></dd>
                <dt className="text-quiet">Changed inputs</dt>
                <dd>{verified.changed_inputs.length ? verified.changed_inputs.map((one) => <p key={JSON.stringify(one)} className="breaks">{typeof one === "string" ? one : JSON.stringify(one)}</p>) : "none"}</dd>
              </dl>
            </>
          )}
          <p className="text-[12px] text-quiet">
            The same in a terminal: <code className="mono">odum results verify {run.run_id}</code>
          </p>
        </div>
      </Modal>
    </>
  );
}
