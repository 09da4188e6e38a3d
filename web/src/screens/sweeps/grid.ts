/** A grid of parameters over bars, as the address has it. */

import { ApiError } from "../../api/client";
import { command } from "../../lib/shell";
import type { Search } from "../../lib/url";

/** Parameters of their own by the strategies that the kernel runs. */
export const OWN: Record<string, readonly string[]> = { MA_CROSS: ["fast", "slow"], ML_SIGNALS: ["threshold"] };

/** Whether the kernel runs the strategy of a configuration. */
export function canBeSwept(config: Record<string, unknown>): boolean {
  const name = (config.strategy as { name?: string } | undefined)?.name;
  return config.bars !== undefined && name !== undefined && name in OWN;
}

const VALUES = ["instrument", "fast", "slow", "threshold", "side", "fixed_size", "percent_size"] as const;

export interface Grid {
  config: string;
  verify?: number;
  sort?: string;
  first_day?: string;
  last_day?: string;
  [value: string]: string | number | undefined;
}

/** Return the body of a start; null while a crossover lacks its lengths, or nothing is chosen. */
export function gridOf(search: Search, strategy: string | undefined): Grid | null {
  if (!search.config || strategy === undefined) return null;
  if (strategy === "MA_CROSS" && !(search.fast && search.slow)) return null;
  const grid: Grid = { config: search.config };
  for (const name of VALUES) if (search[name]) grid[name] = search[name];
  if (search.first) grid.first_day = search.first;
  if (search.last) grid.last_day = search.last;
  if (search.verify && search.verify !== "0") grid.verify = Number(search.verify);
  if (search.best && search.best !== "return") grid.sort = search.best;
  return grid;
}

/** Return what is still to be chosen. */
export function missingOf(search: Search, strategy: string | undefined): string {
  if (!search.config) return "Choose a configuration.";
  if (strategy === undefined) return "Loading the configuration…";
  return "Give both lengths: whole numbers as first:last:step, or a list.";
}

/** Keys of a request by the names of their fields in the address. */
const FIELDS: Record<string, string> = { first_day: "first", last_day: "last", sort: "best", verify: "verify", config: "config", ...Object.fromEntries(VALUES.map((name) => [name, name])) };

/** Return what a refusal says of fields, by their names in the address. */
export function gridProblems(error: unknown): Record<string, string> {
  if (!(error instanceof ApiError)) return {};
  const problems: Record<string, string> = {};
  for (const line of error.message.split(/\n|; (?=body)/)) {
    const text = line.trim().replace(/^body[.:]\s*/, "").replace(/^[^:\s]+: (?=strategy\.params)/, "").replace(/^strategy\.params(\.|: )/, "");
    const [key] = /^\w+(?=[: ])/.exec(text) ?? [];
    const name = FIELDS[key ?? ""];
    if (name) problems[name] ??= text;
  }
  return problems;
}

/** Return the command that runs the same grid. */
export function gridCommand(grid: Grid): string {
  const given = (name: string, flag: string) => (grid[name] === undefined ? [] : [flag, String(grid[name])]);
  return command(
    "odum",
    "vsweep",
    grid.config,
    ...VALUES.flatMap((name) => given(name, `--${name.replaceAll("_", "-")}`)),
    ...given("first_day", "--from"),
    ...given("last_day", "--to"),
    ...given("verify", "--verify"),
    ...given("sort", "--sort"),
  );
}
