/** Values of one run in place of the configuration's, as the address has them: "path=value;path=value". */

import { getAt } from "../../lib/document";
import { isObject, JsonNumber, pathText, writeJson, type Json, type Path } from "../../lib/json";
import { fits, type Field } from "../../lib/schema";
import type { Search } from "../../lib/url";
import { FIXED, parseVary, valueOf, varyText, type Vary } from "../sweeps/vary";

/** A setting that a run may replace. */
export interface Setting {
  path: string;
  /** What the schema says of it; null for parameters of a strategy. */
  field: Field | null;
  /** What the configuration has; undefined where its default counts. */
  now: Json | undefined;
}

/** Return the rows of the form, in order. */
export function overrideRows(search: Search): Vary[] {
  return parseVary(search.set);
}

export function overridesText(rows: readonly Vary[]): string | undefined {
  return varyText(rows);
}

/** Return what a run replaces, by path; rows without a value replace nothing. */
export function overridesOf(search: Search): Record<string, unknown> {
  return Object.fromEntries(overrideRows(search).filter((row) => row.text !== "").map((row) => [row.path, valueOf(row.text)]));
}

/** Return the settings of a configuration that a run may replace: those of its file, and those with defaults. */
export function settingsOf(fields: readonly Field[], document: Json | undefined, path: Path = []): Setting[] {
  return fields.flatMap((field) => {
    const here = [...path, field.name];
    if (path.length === 0 && FIXED.test(field.name)) return [];
    const now = getAt(document, [field.name]);
    if (!fits(field.kind, now)) return leaves(field, now, here);
    switch (field.kind) {
      case "section":
        return settingsOf(field.fields, now, here);
      case "union": {
        const kind = getAt(now, [field.tag]);
        const variant = field.variants.find((one) => one.name === kind);
        const tag: Field = { ...field, name: field.tag, kind: "choice", options: field.variants.map((one) => one.name) };
        return [{ path: pathText([...here, field.tag]), field: tag, now: kind }, ...settingsOf(variant?.fields ?? [], now, here)];
      }
      case "rows":
        return ((now ?? []) as readonly Json[]).flatMap((item, at) => settingsOf(field.fields, item, [...here, at]));
      case "pairs":
      case "json":
        return leaves(field, now, here);
      default:
        return [{ path: pathText(here), field, now }];
    }
  });
}

/** Return the single values below one that the schema leaves open. */
function leaves(field: Field | null, now: Json | undefined, path: Path): Setting[] {
  if (isObject(now) && now.size) return [...now].flatMap(([name, value]) => leaves(null, value, [...path, name]));
  if (Array.isArray(now) && now.some((item) => isObject(item as Json))) return now.flatMap((item, at) => leaves(null, item as Json, [...path, at]));
  return [{ path: pathText(path), field, now }];
}

/** Whether what is typed is meant as text, whatever it looks like. */
export function isText(setting: Setting | undefined): boolean {
  return typeof setting?.now === "string" ? setting.field === null || setting.field.kind === "text" : setting?.field?.kind === "text";
}

/** Return what the address has for a typed value. */
export function written(typed: string, setting: Setting | undefined): string {
  if (typed === "" || !isText(setting)) return typed;
  if (typed === "null" && setting?.field?.nullable) return typed;
  return typeof valueOf(typed) === "string" && valueOf(typed) === typed && !/[;"[\]{}]/.test(typed) && typed === typed.trim() ? typed : JSON.stringify(typed);
}

/** Return what a field shows for a value of the address. */
export function shownText(text: string, setting: Setting | undefined): string {
  if (!isText(setting) || text === "") return text;
  const value = valueOf(text);
  return typeof value === "string" ? value : text;
}

/** Return a value as it is said to be now. */
export function nowText(setting: Setting): string {
  const value = setting.now === undefined ? setting.field?.default : setting.now;
  if (value === undefined) return "not set";
  const text = typeof value === "string" ? value || '""' : value instanceof JsonNumber ? value.text : writeJson(value, 0);
  return setting.now === undefined ? `${text} (default)` : text;
}

/** Return overrides as words; numbers with all digits. */
export function overridesWords(overrides: Record<string, unknown>): string[] {
  return Object.entries(overrides).map(([path, value]) => {
    const isLong = value !== null && typeof value === "object" && "$number" in value;
    return `${path}=${isLong ? String((value as { $number: string }).$number) : typeof value === "string" ? value : JSON.stringify(value)}`;
  });
}

/** Return what a refusal says of a row: of its own path, of a part of it, or of what it is in. */
export function problemOf(problems: Readonly<Record<string, string>>, path: string): string | undefined {
  const match = Object.entries(problems).find(([name]) => {
    if (!name.startsWith(OVERRIDE)) return false;
    const at = name.slice(OVERRIDE.length);
    return at === path || /^[.[]/.test(at.slice(path.length)) && at.startsWith(path) || /^[.[]/.test(path.slice(at.length)) && path.startsWith(at);
  });
  return match?.[1];
}

/** How the names of overrides' problems begin. */
export const OVERRIDE = "set ";
