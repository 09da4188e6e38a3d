/** Numbers as people read them: grouped, with a true minus, "—" for what is not known. */

import { fixed, plain, sign } from "./decimal";

export const UNKNOWN = "—";
const THIN = "\u2009";

export type Numeric = string | number | bigint | null | undefined;

function asText(value: Numeric): string | null {
  if (value === null || value === undefined || value === "") return null;
  if (typeof value === "number") return Number.isFinite(value) ? plain(String(value)) : null;
  return plain(String(value));
}

function grouped(text: string): string {
  const negative = text.startsWith("-");
  const [whole = "0", fraction] = (negative ? text.slice(1) : text).split(".");
  const body = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + (fraction ? `.${fraction}` : "");
  // A rounded loss of nothing is no loss: no negative zero.
  return negative && /[1-9]/.test(body) ? `−${body}` : body;
}

/** Return a whole number, grouped. */
export function count(value: Numeric): string {
  const text = asText(value);
  return text === null ? UNKNOWN : grouped(text);
}

/** Return a value with exactly `digits` after the point, or all of its digits. */
export function decimal(value: Numeric, digits?: number): string {
  const text = asText(value);
  return text === null ? UNKNOWN : grouped(digits === undefined ? text : fixed(text, digits));
}

const LONGEST = 14;

/** Return a formatted number, or where a cell would cut it off the value with four digits and its power of ten. */
export function short(text: string, value: Numeric): string {
  if (text.length <= LONGEST || value === null || value === undefined) return text;
  const [digits, power] = Number(value).toExponential(3).split("e") as [string, string];
  const sign = text.startsWith("+") ? "+" : "";
  return `${sign}${digits}e${power.replace("+", "")}`.replaceAll("-", "−");
}

/** Return an amount with its sign: +1.00, −1.00, 0.00. */
export function signed(value: Numeric, digits = 2): string {
  const text = asText(value);
  if (text === null) return UNKNOWN;
  const rounded = grouped(fixed(text, digits));
  return sign(text) > 0 && /[1-9]/.test(rounded) ? `+${rounded}` : rounded;
}

/** Return a fraction as percent: 0.25 is 25.00 %. */
export function percent(value: Numeric, digits = 2, withSign = false): string {
  const text = asText(value);
  if (text === null) return UNKNOWN;
  const shifted = shift(text);
  const rounded = (places: number) => (withSign ? signed(shifted, places) : decimal(shifted, places));
  // A small loss is shown as one, not as nothing.
  const places = [digits, digits + 1, digits + 2].find((one) => digits === 0 || /[1-9]/.test(rounded(one))) ?? digits;
  return `${short(rounded(places), shifted)}${THIN}%`;
}

function shift(text: string): string {
  const negative = text.startsWith("-");
  const [whole = "0", fraction = ""] = (negative ? text.slice(1) : text).split(".");
  const digits = fraction.padEnd(2, "0");
  const moved = `${whole}${digits.slice(0, 2)}`.replace(/^0+(?=\d)/, "");
  return `${negative ? "-" : ""}${moved}${digits.length > 2 ? `.${digits.slice(2)}` : ""}`;
}

/** Return -1, 0, 1, or null where the value is not known. */
export function direction(value: Numeric): -1 | 0 | 1 | null {
  const text = asText(value);
  if (text === null) return null;
  return sign(text) as -1 | 0 | 1;
}

/** Return bytes: 3.4 MB. */
export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  let size = value;
  while (size >= 1000 && at < units.length - 1) {
    size /= 1000;
    at += 1;
  }
  return `${at && size < 100 ? size.toFixed(1) : Math.round(size)} ${units[at]}`;
}

/** Return seconds as people say them. */
export function seconds(value: number): string {
  const whole = Math.round(value);
  if (whole < 60) return `${value < 9.95 ? value.toFixed(1) : whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Return a column's name as people read it: net_pnl is "net PnL". */
export function words(name: string): string {
  return name
    .replaceAll("_", " ")
    .replace(/\bpnl\b/gi, "PnL")
    .replace(/\bpct\b/g, "%")
    .replace(/\bid\b/g, "ID")
    .replace(/\bsecs\b/g, "(s)")
    .replace(/\bcagr\b/g, "CAGR");
}

/** Return a configuration's name without what all of them have. */
export function shortConfig(name: string): string {
  return name.replace(/_config$/, "");
}
