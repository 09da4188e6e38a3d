import { useEffect, useState, type ReactNode } from "react";
import { ApiError } from "../api/client";
import { Button, Copy, cx } from "./basics";

/** Nothing is there: what would fill it. */
export function Empty({ title, children, command }: { title: string; children?: ReactNode; command?: string }): ReactNode {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-10 text-center">
      <p className="text-[14px] font-medium">{title}</p>
      {children && <div className="max-w-[60ch] text-quiet">{children}</div>}
      {command && (
        <Copy text={command} className="mono rounded bg-raised px-2 py-1">
          {command}
        </Copy>
      )}
    </div>
  );
}

/** What went wrong, in the service's words, with its request's id. */
export function Failure({ error, retry, compact = false }: { error: unknown; retry?: () => void; compact?: boolean }): ReactNode {
  const problem = error instanceof ApiError ? error : null;
  const detail = problem?.message ?? (error instanceof Error ? error.message : String(error));
  return (
    <div role="alert" className={cx("flex flex-wrap items-start gap-x-3 gap-y-1 rounded-[6px] border border-bad bg-bad-soft", compact ? "px-2 py-1" : "px-3 py-2")}>
      <span aria-hidden="true" className="text-bad">
        ✕
      </span>
      <div className="min-w-0 flex-1">
        <p className="breaks whitespace-pre-wrap">{detail}</p>
        {problem?.requestId && (
          <p className="text-[12px] text-quiet">
            {problem.status} · request{" "}
            <Copy text={problem.requestId} label="the request id" className="mono">
              {problem.requestId}
            </Copy>
          </p>
        )}
      </div>
      {problem?.retryAfter ? <Countdown seconds={problem.retryAfter} {...(retry ? { retry } : {})} /> : retry && <Button small onClick={retry}>Retry</Button>}
    </div>
  );
}

function Countdown({ seconds, retry }: { seconds: number; retry?: () => void }): ReactNode {
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    const timer = window.setInterval(() => setLeft((before) => Math.max(0, before - 1)), 1_000);
    return () => window.clearInterval(timer);
  }, []);
  return (
    <Button small disabled={left > 0 || !retry} onClick={retry}>
      {left > 0 ? `Retry in ${left} s` : "Retry"}
    </Button>
  );
}

/** A place of the final size, until what belongs there has come. */
export function Skeleton({ className, label = "Loading" }: { className?: string; label?: string }): ReactNode {
  return (
    <div role="status" className={cx("skeleton", className)}>
      <span className="sr-only">{label}</span>
    </div>
  );
}

/** A request's outcome: its place, its failure above older data, or its content. */
export function Loaded<T>({ query, place, children, empty }: {
  query: { data: T | undefined; error: unknown; isFetching: boolean; refetch: () => unknown };
  place: ReactNode;
  children: (data: T) => ReactNode;
  empty?: ReactNode;
}): ReactNode {
  const { data, error } = query;
  const retry = () => void query.refetch();
  if (data === undefined) return error ? <Failure error={error} retry={retry} /> : place;
  return (
    <>
      {error ? <Failure error={error} retry={retry} compact /> : null}
      <div className={error ? "opacity-60" : undefined}>{empty && isEmpty(data) ? empty : children(data)}</div>
    </>
  );
}

function isEmpty(data: unknown): boolean {
  return Array.isArray(data) && data.length === 0;
}
