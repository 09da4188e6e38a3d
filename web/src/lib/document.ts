/** Changing, comparing and merging JSON documents; absent is undefined. */

import { isObject, JsonNumber, writeJson, type Json, type Path } from "./json";

/** Return the value at a path, undefined where there is none. */
export function getAt(value: Json | undefined, path: Path): Json | undefined {
  return path.reduce<Json | undefined>((inner, part) => {
    if (typeof part === "number") return Array.isArray(inner) ? inner[part] : undefined;
    return isObject(inner) ? inner.get(part) : undefined;
  }, value);
}

/**
 * Return a document with another value at a path, or without it (undefined).
 *
 * Sections on the way are made; one that has nothing left goes, too, so that its defaults count.
 */
export function setAt(document: Json | undefined, path: Path, value: Json | undefined): Json | undefined {
  const [part, ...rest] = path;
  if (part === undefined) return value;
  if (typeof part === "number") {
    const list = Array.isArray(document) ? [...(document as Json[])] : [];
    const inner = setAt(list[part], rest, value);
    if (inner !== undefined) list[part] = inner;
    else if (rest.length) list[part] = new Map();
    else list.splice(part, 1);
    return list;
  }
  const object = new Map(isObject(document) ? document : []);
  const inner = setAt(object.get(part), rest, value);
  if (inner === undefined) object.delete(part);
  else object.set(part, inner);
  return object.size || value !== undefined ? object : undefined;
}

/** Return a document with a key under another name, where it was. */
export function renamed(document: Json, path: Path, name: string): Json {
  const parent = getAt(document, path.slice(0, -1));
  if (!isObject(parent)) return document;
  const entries = [...parent].map(([key, value]) => [key === path.at(-1) ? name : key, value] as const);
  return setAt(document, path.slice(0, -1), new Map(entries)) ?? document;
}

/** Whether two values are the same in every digit; the order of keys has no meaning. */
export function isSame(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (a instanceof JsonNumber || b instanceof JsonNumber) return a instanceof JsonNumber && b instanceof JsonNumber && a.text === b.text;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, at) => isSame(item as Json, b[at] as Json));
  if (isObject(a) && isObject(b)) return a.size === b.size && [...a].every(([key, item]) => b.has(key) && isSame(item, b.get(key)));
  return false;
}

/** One value that differs; what is absent is undefined. */
export interface Change {
  path: Path;
  before: Json | undefined;
  after: Json | undefined;
}

/** Return what differs, as deep as both sides have the same kind of value. */
export function changesOf(before: Json | undefined, after: Json | undefined, path: Path = []): Change[] {
  if (isSame(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => changesOf(before.get(key), after.get(key), [...path, key]));
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    return Array.from({ length: Math.max(before.length, after.length) }, (_, at) => at).flatMap((at) => changesOf(before[at] as Json, after[at] as Json, [...path, at]));
  }
  return [{ path, before, after }];
}

/** A value that two people changed in different ways. */
export interface Conflict {
  path: Path;
  base: Json | undefined;
  mine: Json | undefined;
  theirs: Json | undefined;
}

export interface Merged {
  /** Both sides' changes; of a conflict mine. */
  value: Json | undefined;
  conflicts: Conflict[];
}

/** Return what two changes of one document come to; a list whose length changed is taken whole. */
export function merge(base: Json | undefined, mine: Json | undefined, theirs: Json | undefined, path: Path = []): Merged {
  if (isSame(mine, theirs) || isSame(base, theirs)) return { value: mine, conflicts: [] };
  if (isSame(base, mine)) return { value: theirs, conflicts: [] };
  if (isObject(mine) && isObject(theirs)) {
    const conflicts: Conflict[] = [];
    const value = new Map<string, Json>();
    for (const key of new Set([...theirs.keys(), ...mine.keys()])) {
      const inner = merge(isObject(base) ? base.get(key) : undefined, mine.get(key), theirs.get(key), [...path, key]);
      conflicts.push(...inner.conflicts);
      if (inner.value !== undefined) value.set(key, inner.value);
    }
    return { value, conflicts };
  }
  if (Array.isArray(base) && Array.isArray(mine) && Array.isArray(theirs) && base.length === mine.length && base.length === theirs.length) {
    const items = base.map((item, at) => merge(item as Json, mine[at] as Json, theirs[at] as Json, [...path, at]));
    return { value: items.map((item) => item.value as Json), conflicts: items.flatMap((item) => item.conflicts) };
  }
  return { value: mine, conflicts: [{ path, base, mine, theirs }] };
}

/** Return a merged document with the other side's value in some of the conflicts. */
export function settled(merged: Merged, takesTheirs: (conflict: Conflict) => boolean): Json {
  // From the end, so that removed items do not move those before them.
  return merged.conflicts.toReversed().reduce<Json | undefined>((value, one) => (takesTheirs(one) ? setAt(value, one.path, one.theirs) : value), merged.value) ?? new Map<string, Json>();
}

/** Return a value on one line, shortened. */
export function briefly(value: Json | undefined, most = 160): string {
  if (value === undefined) return "not set";
  const text = writeJson(value, 0);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
