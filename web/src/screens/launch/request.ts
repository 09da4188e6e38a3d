import { command } from "../../lib/shell";
import type { Search } from "../../lib/url";

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
  );
}

/** Return the request that starts the same. */
export function curlOf(origin: string, body: Record<string, unknown>, needsToken: boolean): string {
  const token = needsToken ? ` -H "Authorization: Bearer $ODUM_API_TOKEN"` : "";
  return `${command("curl", `${origin}/api/v1/runs`)}${token} ${command("--json", JSON.stringify(body))}`;
}
