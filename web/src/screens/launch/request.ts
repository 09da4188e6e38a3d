import { ApiError } from "../../api/client";
import { command } from "../../lib/shell";
import { listOf, type Search } from "../../lib/url";
import { OVERRIDE, overridesOf, overridesWords } from "./overrides";

/** Options of a run beside its days: name in the address, in the body, and of the command. */
const OPTIONS = [
  { url: "mode", body: "mode", value: "report", flag: "" },
  { url: "snapshots", body: "snapshot_mode", value: "", flag: "--snapshot-mode" },
  { url: "engine", body: "engine", value: "nautilus", flag: "--engine" },
  { url: "closing", body: "closing", value: "", flag: "--closing" },
  { url: "algorithm", body: "exec_algorithm", value: "", flag: "--exec-algorithm" },
  { url: "log", body: "log_level", value: "INFO", flag: "--log-level" },
  { url: "start", body: "start", value: "", flag: "--start" },
  { url: "end", body: "end", value: "", flag: "--end" },
] as const;

/** Return the parameters of the execution algorithm: texts by name, as the address has them. */
export function paramsOf(search: Search): [string, string][] {
  return listOf(search.params).map((part) => [part.slice(0, part.indexOf(":")), part.slice(part.indexOf(":") + 1)]);
}

/** Return the address's text with a parameter changed; without one it has its default. */
export function withParam(search: Search, name: string, value: string): string | undefined {
  const others = paramsOf(search).filter(([other]) => other !== name);
  const next = value.trim() ? [...others, [name, value.replaceAll(",", ".").trim()]] : others;
  return next.map((pair) => pair.join(":")).join(",") || undefined;
}

/** Keys of a request that have a field, with the fields' names. */
const FIELDS: Record<string, string> = {
  config: "config", day: "day", first_day: "first", last_day: "last", start: "start", end: "end", mode: "mode", engine: "engine",
  closing: "closing", snapshot_mode: "snapshots", exec_algorithm_params: "algorithm", exec_algorithm: "algorithm", missing_days: "missing",
  log_level: "log", export_ticks: "ticks",
};
const KINDS: Record<string, string> = { "invalid-day": "day", "unknown-config": "config", "invalid-config": "config" };

/** Return what a refusal says of fields, by their names in the address; of a parameter by "params.NAME", of an override by "set PATH". */
export function problemsByField(error: unknown): Record<string, string> {
  if (!(error instanceof ApiError)) return {};
  const problems: Record<string, string> = {};
  for (const line of error.message.split(/\n|; (?=body)/)) {
    const text = line.replace(/^run config of [^:]+: /, "").replace(/^\/[^:]+: /, "").replace(/^body[.:]\s*/, "");
    const override = /^[^\s:]+ overrides: ([^\s:]+): (.*)$/.exec(line) ?? /^(?:\S+: )?(strategy\.params[^\s:]*): (.*)$/.exec(line);
    if (override) {
      problems[`${OVERRIDE}${override[1]!}`] ??= override[2]!;
      continue;
    }
    const [, param, key] = /^(?:exec_algorithm\.params\.(\w+)|(\w+))(?=[:. ])/.exec(text) ?? [];
    const name = param ? `params.${param}` : (FIELDS[key ?? ""] ?? KINDS[error.kind]);
    if (name) problems[name] ??= text;
  }
  return problems;
}

/** No position is closed at the end. */
export const LEFT_OPEN = "open";

/** Return the body of a launch, null while something is missing; the address is the form. */
export function bodyOf(search: Search): Record<string, unknown> | null {
  if (!search.config) return null;
  const kind = search.kind ?? "day";
  const body: Record<string, unknown> = { config: search.config, mode: search.mode ?? "report" };
  for (const option of OPTIONS) {
    const value = search[option.url];
    if (value && value !== option.value && !(option.url === "closing" && value === LEFT_OPEN)) body[option.body] = value;
  }
  if (search.closing === LEFT_OPEN) body.close_positions = false;
  const params = search.algorithm ? paramsOf(search) : [];
  if (params.length) body.exec_algorithm_params = Object.fromEntries(params.map(([name, value]) => [name, /^-?(\d+\.?\d*|\.\d+)$/.test(value) ? Number(value) : value]));
  const overrides = overridesOf(search);
  if (Object.keys(overrides).length) body.overrides = overrides;
  if (search.ticks === "1" && body.mode === "report") body.export_ticks = true;
  if (kind === "day") return search.day ? { ...body, day: search.day } : null;
  if (!search.first || !search.last) return null;
  const days = { ...body, first_day: search.first, last_day: search.last };
  if (kind === "window") return { ...days, window: true, ...(search.missing ? { missing_days: search.missing } : {}) };
  return { ...days, skip_finished: search.skip === "1" };
}

/** Return the command that starts the same; null where no command has all of it. */
export function commandOf(search: Search): string | null {
  const body = bodyOf(search);
  if (!body) return null;
  // No command replaces values.
  if (body.overrides) return null;
  const kind = search.kind ?? "day";
  const given = (name: string, flag: string) => (body[name] === undefined ? [] : [flag, String(body[name])]);
  const isFast = body.mode === "fast" && "--fast";
  if (kind === "days" && search.skip === "1") {
    const others = Object.keys(body).filter((name) => !["config", "mode", "snapshot_mode", "first_day", "last_day", "skip_finished"].includes(name));
    return others.length ? null : command("odum", "backfill", search.config, ...given("first_day", "--from"), ...given("last_day", "--to"), isFast, ...given("snapshot_mode", "--snapshot-mode"));
  }
  return command(
    "odum",
    "backtest",
    search.config,
    ...given("day", "--day"),
    ...given("first_day", "--from"),
    ...given("last_day", "--to"),
    kind === "window" && "--window",
    isFast,
    ...OPTIONS.filter((option) => option.flag).flatMap((option) => given(option.body, option.flag)).map((word) => (word === body.exec_algorithm || word === body.log_level ? word.toLowerCase() : word)),
    ...given("missing_days", "--missing-days"),
    body.close_positions === false && "--no-close-positions",
    ...(body.exec_algorithm_params ? ["--exec-algorithm-params", JSON.stringify(body.exec_algorithm_params)] : []),
    body.export_ticks === true && "--export-ticks",
  );
}

const OF_DAYS = ["config", "day", "first_day", "last_day", "window", "skip_finished"];

const OPTION_WORDS: Record<string, string> = { close_positions: "positions left open", export_ticks: "trades exported" };

/** Return what a body chooses beside its days, as words. */
export function optionsOf(body: Record<string, unknown>): string[] {
  return Object.entries(body)
    .filter(([name, value]) => !OF_DAYS.includes(name) && !(name === "mode" && value === "report"))
    .flatMap(([name, value]) => name === "overrides" ? overridesWords(value as Record<string, unknown>) : OPTION_WORDS[name] ?? `${name.replaceAll("_", " ").replace("exec ", "")} ${typeof value === "object" ? Object.entries(value as object).map((pair) => pair.join("=")).join(", ") : String(value)}`);
}

/** Return the request that starts the same. */
export function curlOf(origin: string, body: Record<string, unknown>, needsToken: boolean): string {
  const token = needsToken ? ` -H "Authorization: Bearer $ODUM_API_TOKEN"` : "";
  return `${command("curl", `${origin}/api/v1/runs`)}${token} ${command("--json", JSON.stringify(body))}`;
}
