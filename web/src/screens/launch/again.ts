/** A run once more: what it was started with, as the address of the form has it. */

import { request } from "../../api/client";
import type { WholeRun } from "../../api/runs";
import { getAt } from "../../lib/document";
import { isObject, JsonNumber, parseJson, writeJson, type Json } from "../../lib/json";
import type { Search } from "../../lib/url";
import { valueOf, varyText } from "../sweeps/vary";
import { LEFT_OPEN } from "./request";

/** Return what is stored of how a run was made, or asked for where it has no result; numbers with every digit. */
export async function loadMetadata(run: WholeRun, signal?: AbortSignal): Promise<Json> {
  const name = encodeURIComponent(run.run_id);
  const isDone = run.status === "succeeded";
  const reply = await request(isDone ? `/api/backtest/results/${name}` : `/api/v1/runs/${name}`, signal ? { signal } : {});
  const document = parseJson(await reply.text()).value;
  const metadata = getAt(document, isDone ? ["metadata"] : ["provenance", "request", "metadata"]) ?? null;
  // Of a result its files say whether the trades were exported.
  const hasTicks = isDone && typeof getAt(document, ["ticks_path"]) === "string";
  return isObject(metadata) && hasTicks ? new Map([...metadata, ["export_ticks", true as never]]) : metadata;
}

/** Return the form of a launch that does the same as a run. */
export function againOf(run: Pick<WholeRun, "config_name" | "detail" | "partition" | "window_start" | "window_end">, metadata: Json): Search {
  const isDay = /^\d{4}-\d\d-\d\d$/.test(run.partition);
  const last = run.window_end ? new Date(Date.parse(run.window_end) - 1).toISOString().slice(0, 10) : undefined;
  const given = (name: string) => getAt(metadata, name.split("."));
  // A bound at midnight is what a day has without one.
  const bound = (at: string | null, name: string) => (at && typeof given(`window.${name}`) === "string" && !/T00:00:00(\.0+)?Z$/.test(at) ? at : undefined);
  const algorithm = given("exec_algorithm.type");
  const isOwn = typeof algorithm === "string" && algorithm !== (given("config.strategy.exec_algorithm.type") ?? "NORMAL");
  const params = given("exec_algorithm.params");
  const isAsked = (name: string, configured: Json) => typeof given(name) === "string" && given(name) !== configured;
  const isBars = given("config.kind") === "bars";
  const hasBook = typeof given("config.data_catalog.book_snapshot_5_path") === "string";
  const refuses = given("refuse_missing_days");
  const isStrict = (given("config.quality.missing_days") ?? "warn") === "refuse";
  return {
    from: undefined,
    config: run.config_name,
    mode: run.detail === "fast" ? "fast" : undefined,
    ...(isDay ? { day: run.partition } : { kind: "window", first: run.window_start?.slice(0, 10), last }),
    start: bound(run.window_start, "start_ns"),
    end: bound(run.window_end, "end_ns"),
    engine: given("engine") === "kernel" ? "kernel" : undefined,
    snapshots: !isBars && isAsked("snapshot_mode", hasBook ? "both" : "trades") ? String(given("snapshot_mode")) : undefined,
    closing: given("close_positions") === false ? LEFT_OPEN : isAsked("closing.method", given("config.execution.closing.method") ?? "last_price") ? String(given("closing.method")) : undefined,
    algorithm: isOwn ? algorithm : undefined,
    params: isOwn && isObject(params) ? [...params].map(([name, value]) => `${name}:${plainText(value)}`).join(",") || undefined : undefined,
    missing: !isDay && typeof refuses === "boolean" && refuses !== isStrict ? (refuses ? "refuse" : "warn") : undefined,
    log: isAsked("log_level", "INFO") ? String(given("log_level")) : undefined,
    ticks: given("export_ticks") === true ? "1" : undefined,
    set: varyText(["overrides", "sweep.varied"].flatMap((name) => {
      const replaced = given(name);
      return isObject(replaced) ? [...replaced].map(([path, value]) => ({ path, text: overrideText(value) })) : [];
    })),
  };
}

/** Return a value as the row of an override has it. */
export function overrideText(value: Json): string {
  const long = isObject(value) && value.size === 1 ? value.get("$number") : undefined;
  if (typeof long === "string") return long;
  if (typeof value !== "string") return writeJson(value, 0);
  const isPlain = value !== "" && value === value.trim() && valueOf(value) === value && !/[;"[\]{}]/.test(value);
  return isPlain ? value : JSON.stringify(value);
}

function plainText(value: Json): string {
  return value instanceof JsonNumber ? value.text : String(value);
}
