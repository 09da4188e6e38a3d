import { parseExact } from "../lib/exact";
import { getExact, getJson, queryOf, request } from "./client";
import type { WholeRun } from "./runs";
import type { components } from "./schema";

/** What a run was, with every figure as the text that was sent. */
export interface Result {
  run_id: string;
  mode: string;
  instrument: string;
  start: string | null;
  end: string | null;
  execution_time: string;
  summary: Summary;
  metadata: Record<string, unknown> & { config?: Record<string, unknown>; reconciliation?: Record<string, string | null> | null; versions?: Record<string, string> };
}

export interface Simulated {
  aspect: string;
  simulated: boolean;
  detail: string;
}

type Group = Record<string, string | null | undefined>;

export interface Summary {
  orders: string;
  fills: string;
  pnl: string | null;
  pnl_breakdown: Group;
  account: Group;
  returns: Group;
  trades: Group;
  drawdown: Group;
  ratios: Group;
  orders_by_status: Record<string, string>;
  refusals?: Record<string, string>;
  simulated?: Simulated[];
  closing?: Record<string, string | boolean | null> | null;
  flags: string[];
  missing_days?: string[];
  /** Of a run on bars: what each instrument added, as if it alone had traded the account. */
  symbols?: Record<string, SymbolFigures>;
}

export interface SymbolFigures {
  fills: string;
  pnl: string | null;
  pnl_breakdown: Group;
  returns: Group;
  trades: Group;
  drawdown: Group;
  ratios: Group;
}

/** Return a run with its result, which is null where it has none: one request for all that a screen begins with. */
export async function loadOverview(runId: string, signal?: AbortSignal): Promise<{ run: WholeRun; result: Result | null }> {
  const reply = await request(`/api/v1/runs/${encodeURIComponent(runId)}/overview`, signal ? { signal } : {});
  const text = await reply.text();
  return { run: (JSON.parse(text) as { run: WholeRun }).run, result: parseExact<{ result: Result | null }>(text).result };
}

/** The result of a run as a query: it never changes. */
export function resultQuery({ run_id, digest }: Pick<WholeRun, "run_id" | "digest">) {
  return {
    queryKey: ["result", run_id, digest],
    queryFn: ({ signal }: { signal: AbortSignal }) => loadResult(run_id, signal),
    staleTime: Number.POSITIVE_INFINITY,
  };
}

function loadResult(runId: string, signal?: AbortSignal): Promise<Result> {
  return getExact<Result>(`/api/backtest/results/${encodeURIComponent(runId)}`, signal);
}

export type Artifacts = components["schemas"]["Artifacts"];
export type Events = components["schemas"]["Events"];

const run = (runId: string) => `/api/v1/runs/${encodeURIComponent(runId)}`;

export function loadArtifacts(runId: string, signal?: AbortSignal): Promise<Artifacts> {
  return getJson<Artifacts>(`${run(runId)}/artifacts`, signal);
}

export function loadEvents(runId: string, signal?: AbortSignal): Promise<Events> {
  return getJson<Events>(`${run(runId)}/events?limit=1000`, signal);
}

/** A table of a run. */
export type TableName = "trades" | "fills" | "orders";

/** A row: numbers are texts with every digit. */
export type Row = Record<string, string | boolean | null>;

export async function loadRows(runId: string, table: TableName, query: Record<string, string | number | undefined>, signal?: AbortSignal): Promise<{ rows: Row[]; total: number; row: number | null }> {
  const body = await getExact<Record<string, unknown>>(`${run(runId)}/${table}${queryOf(query)}`, signal);
  return { rows: body[table] as Row[], total: Number(body.total), row: body.row === undefined || body.row === null ? null : Number(body.row) };
}
