import { getJson, queryOf } from "./client";
import type { components } from "./schema";

export type Run = components["schemas"]["Run"];
export type WholeRun = components["schemas"]["WholeRun"];
export type Runs = components["schemas"]["Runs"];

/** Which runs, as GET /api/v1/runs takes them. */
export type RunFilter = Record<string, string | number | boolean | readonly string[] | undefined>;

export function loadRuns(filter: RunFilter, signal?: AbortSignal): Promise<Runs> {
  return getJson<Runs>(`/api/v1/runs${queryOf(filter)}`, signal);
}

export function loadRun(runId: string, signal?: AbortSignal): Promise<WholeRun> {
  return getJson<WholeRun>(`/api/v1/runs/${encodeURIComponent(runId)}`, signal);
}

/** Whether a run goes on. */
export function isActive(run: { status: string }): boolean {
  return run.status === "queued" || run.status === "running";
}

/** The day of a run, or its window; in short without the clock where it has several days. */
export function periodOf(run: { partition: string; window_start?: string | null; window_end?: string | null }, isShort = false): string {
  if (run.partition !== "window" || !run.window_start || !run.window_end) return run.partition;
  const [from, to] = [run.window_start, run.window_end];
  const isDays = (isShort && from.slice(0, 10) !== to.slice(0, 10)) || from.endsWith("T00:00:00Z") && to.endsWith("T00:00:00Z");
  if (isDays) {
    const last = new Date(Date.parse(to) - 1).toISOString().slice(0, 10);
    return last === from.slice(0, 10) ? last : `${from.slice(0, 10)} – ${last.slice(from.slice(0, 4) === last.slice(0, 4) ? 5 : 0)}`;
  }
  return `${from.slice(0, 16).replace("T", " ")} – ${to.slice(from.slice(0, 10) === to.slice(0, 10) ? 11 : from.slice(0, 4) === to.slice(0, 4) ? 5 : 0, 16).replace("T", " ")}`;
}

/** An instrument without what is the same everywhere. */
export function shortInstrument(name: string): string {
  const [venue, kind, symbol] = name.split(":");
  if (!symbol) return name;
  return kind === "PERPETUAL" ? `${symbol} · ${venue}` : `${symbol} ${kind?.toLowerCase()} · ${venue}`;
}
