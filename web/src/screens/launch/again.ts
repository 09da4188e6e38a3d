/** A run once more: what it was started with, as the address of the form has it. */

import { request } from "../../api/client";
import type { WholeRun } from "../../api/runs";
import { getAt } from "../../lib/document";
import { isObject, JsonNumber, parseJson, writeJson, type Json } from "../../lib/json";
import type { Search } from "../../lib/url";
import { valueOf, varyText } from "../sweeps/vary";
import { LEFT_OPEN } from "./request";

/** Return what is stored of how a run was made, numbers with every digit; null where it has no result. */
export async function loadMetadata(run: WholeRun, signal?: AbortSignal): Promise<Json> {
  if (run.status !== "succeeded") return null;
  const reply = await request(`/api/backtest/results/${encodeURIComponent(run.run_id)}`, signal ? { signal } : {});
  return getAt(parseJson(await reply.text()).value, ["metadata"]) ?? null;
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
  return {
    from: undefined,
    config: run.config_name,
    mode: run.detail === "fast" ? "fast" : undefined,
    ...(isDay ? { day: run.partition } : { kind: "window", first: run.window_start?.slice(0, 10), last }),
    start: bound(run.window_start, "start_ns"),
    end: bound(run.window_end, "end_ns"),
    engine: given("engine") === "kernel" ? "kernel" : undefined,
    closing: given("close_positions") === false ? LEFT_OPEN : undefined,
    algorithm: isOwn ? algorithm : undefined,
    params: isOwn && isObject(params) ? [...params].map(([name, value]) => `${name}:${plainText(value)}`).join(",") || undefined : undefined,
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
