import { useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { components } from "../../api/schema";
import { Button, Copy, Panel } from "../../components/basics";
import { Failure } from "../../components/states";
import { useStart, type Start } from "../../components/useStart";
import { count } from "../../lib/format";
import { quoted } from "../../lib/shell";

type StartedSweep = components["schemas"]["StartedSweep"];

/** Return how a sweep is started; null says that the form is not complete. */
export function useSweepStart(path: string, body: object | null): Start {
  const navigate = useNavigate();
  return useStart<StartedSweep>(body, {
    path,
    name: "Start the sweep",
    group: "Sweep",
    then: ({ id }) => void navigate({ to: "/sweeps/$sweepId", params: { sweepId: id } }),
  });
}

/** The form at the left, what it comes to at the right. */
export function Chosen({ started, form, children }: { started: Start; form: ReactNode; children: ReactNode }): ReactNode {
  return (
    <div className="grid items-start gap-3 lg:grid-cols-[minmax(440px,640px)_minmax(0,1fr)]">
      <Panel title="Sweep">
        <form
          className="flex flex-col gap-3"
          onSubmit={(event) => {
            event.preventDefault();
            void started.start();
          }}
        >
          {form}
        </form>
      </Panel>
      <div className="flex min-w-0 flex-col gap-3">{children}</div>
    </div>
  );
}

/** Starts the sweep; null variants say that something is missing. */
export function StartButton({ started, variants }: { started: Start; variants: number | null }): ReactNode {
  return (
    <>
      <div className="flex items-center gap-3">
        <Button type="submit" kind="primary" disabled={variants === null || started.isStarting}>
          {started.isStarting ? "Starting…" : variants ? `Start ${count(variants)} ${variants === 1 ? "variant" : "variants"}` : "Start"}
        </Button>
        <span className="label">⌘/Ctrl Enter</span>
      </div>
      {started.problem ? <Failure error={started.problem} retry={() => void started.start()} /> : null}
    </>
  );
}

/** The same sweep for a terminal. */
export function Commands({ path, body, command }: { path: string; body: object; command: string }): ReactNode {
  const curl = `curl -X POST ${window.location.origin}${path} -H 'Content-Type: application/json' -d ${quoted(JSON.stringify(body))}`;
  return (
    <Panel title="The same as a command">
      <div className="flex flex-col gap-2">
        {[command, curl].map((line) => (
          <Copy key={line} text={line} label="the command" className="mono breaks items-start rounded bg-raised px-2 py-1.5">
            <span>{line}</span>
          </Copy>
        ))}
      </div>
    </Panel>
  );
}

/** A field with its name, and what is wrong with it. */
export function Field({ label, children, className, name, problem }: { label: string; children: ReactNode; className?: string; name?: string; problem?: string | undefined }): ReactNode {
  return (
    <div className={`flex flex-col gap-1 ${className ?? ""}`}>
      <label className="flex flex-col gap-1">
        <span className="label">{label}</span>
        {children}
      </label>
      {problem && <p id={problemId(name!)} className="breaks max-w-72 text-[12px] leading-4 text-bad">✕ {problem}</p>}
    </div>
  );
}

export const problemId = (name: string) => `sweep-${name}-problem`;
