/** What a sweep varies, as the address has it: "path=1,2,3;path=10:50:10". */

import { add, plain, sign } from "../../lib/decimal";

export const MOST_VARIANTS = 10_000;

export interface Vary {
  path: string;
  /** As it was typed. */
  text: string;
}

export interface Values {
  values: unknown[];
  problem: string | null;
}

const NUMBER = /^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
/** Sections that decide the data, as the service refuses them. */
export const FIXED = /^(instrument|instruments|bars|session|kind|data_catalog|time_window|environment|data_source|quality|\$schema)(\.|$)/;

export function parseVary(text: string | undefined): Vary[] {
  return partsOf(text ?? "", ";").flatMap((part) => {
    const at = part.indexOf("=");
    return at > 0 ? [{ path: part.slice(0, at).trim(), text: part.slice(at + 1) }] : [];
  });
}

export function varyText(rows: readonly Vary[]): string | undefined {
  return rows.map(({ path, text }) => `${path}=${text}`).join(";") || undefined;
}

/** Return the parts between separators that stand outside of quotes and brackets. */
function partsOf(text: string, separator: string): string[] {
  const parts: string[] = [];
  let [part, depth, isQuoted] = ["", 0, false];
  for (let at = 0; at < text.length; at += 1) {
    const sign_ = text[at]!;
    if (sign_ === "\\" && isQuoted) {
      part += sign_ + (text[at + 1] ?? "");
      at += 1;
      continue;
    }
    if (sign_ === '"') isQuoted = !isQuoted;
    else if (!isQuoted && "[{".includes(sign_)) depth += 1;
    else if (!isQuoted && "]}".includes(sign_)) depth -= 1;
    if (sign_ === separator && !isQuoted && depth === 0) {
      parts.push(part);
      part = "";
    } else part += sign_;
  }
  parts.push(part);
  return parts.map((one) => one.trim()).filter(Boolean);
}

/** Return the values that a text lists: JSON, ranges as first:last:step, else texts. */
export function valuesOf(text: string): Values {
  const values: unknown[] = [];
  for (const part of partsOf(text, ",")) {
    const range = part.split(":").map((one) => one.trim());
    if (range.length === 3 && range.every((one) => NUMBER.test(one))) {
      const span = rangeOf(range[0]!, range[1]!, range[2]!);
      if (typeof span === "string") return { values, problem: span };
      values.push(...span);
    } else values.push(valueOf(part));
    if (values.length > MOST_VARIANTS) return { values: [], problem: `more than ${MOST_VARIANTS.toLocaleString("en-US")} values` };
  }
  const texts = values.map((value) => JSON.stringify(value));
  const twice = texts.find((one, at) => texts.indexOf(one) !== at);
  return { values, problem: values.length === 0 ? "no value" : twice ? `${twice} is there twice` : null };
}

/** Return the value that a text is: a number, JSON, else the text. */
export function valueOf(text: string): unknown {
  if (NUMBER.test(text)) return numberOf(text);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A number with more digits than a float holds is sent as its text. */
function numberOf(text: string): unknown {
  return text.replace(/[eE].*$/, "").replace(/^-?0*\.?0*|\D/g, "").length > 15 ? { $number: text } : Number(text);
}

/** Return first, first + step, ... up to last; in decimals, so that 0.1:0.3:0.1 has three values. */
function rangeOf(first: string, last: string, step: string): unknown[] | string {
  const [from, to, by] = [plain(first), plain(last), plain(step)];
  const way = sign(by);
  if (way === 0) return `the step of ${first}:${last} is zero`;
  const numbers: unknown[] = [];
  const back = (value: string) => (value.startsWith("-") ? value.slice(1) : `-${value}`);
  for (let value = add(from, "0"); way * sign(add(to, back(value))) >= 0; value = add(value, by)) {
    numbers.push(numberOf(value));
    if (numbers.length > MOST_VARIANTS) return `${first}:${last}:${step} has more than ${MOST_VARIANTS.toLocaleString("en-US")} values`;
  }
  return numbers.length ? numbers : `${first}:${last}:${step} has no value`;
}

/** Return how many variants there are: every combination. */
export function countOf(rows: readonly Vary[]): number {
  return rows.length ? rows.reduce((product, row) => product * valuesOf(row.text).values.length, 1) : 0;
}

/** Return the settings of a configuration that may vary, with their values. */
export function varyingPaths(config: unknown, path = ""): [string, unknown][] {
  if (path && FIXED.test(path)) return [];
  if (Array.isArray(config)) return config.flatMap((one, at) => varyingPaths(one, `${path}[${at}]`));
  if (config !== null && typeof config === "object") return Object.entries(config).flatMap(([name, one]) => varyingPaths(one, path ? `${path}.${name}` : name));
  return path ? [[path, config]] : [];
}

/** What a sweep is started with, beside what varies. */
export interface SweepOptions {
  config: string;
  day: string;
  mode: string;
  engine: string;
  slots: number;
  start?: string | undefined;
  end?: string | undefined;
  figures_only?: boolean;
  verify?: number;
  sort?: string;
}

/** Return the command that runs the same sweep. */
export function sweepCommand(body: SweepOptions, rows: readonly Vary[]): string {
  const quoted = (text: string) => (/^[\w.,:=+[\]/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const values = (row: Vary) => valuesOf(row.text).values.map((value) => numberText(value)).join(",");
  return [
    "odum sweep", body.config, "--day", body.day,
    ...rows.map((row) => `--vary ${quoted(`${row.path}=${values(row)}`)}`),
    ...(body.figures_only ? ["--figures-only"] : body.mode === "fast" ? ["--fast"] : body.mode === "report" ? ["--report"] : []),
    ...(body.engine === "nautilus" ? [] : ["--engine", body.engine]),
    ...(body.start ? ["--start", quoted(body.start)] : []),
    ...(body.end ? ["--end", quoted(body.end)] : []),
    ...(body.verify ? ["--verify", String(body.verify)] : []),
    ...(body.sort ? ["--sort", body.sort] : []),
    ...(body.slots === 2 ? [] : ["--slots", String(body.slots)]),
  ].join(" ");
}

function numberText(value: unknown): string {
  const isLong = value !== null && typeof value === "object" && "$number" in value;
  return isLong ? String((value as { $number: string }).$number) : JSON.stringify(value);
}
