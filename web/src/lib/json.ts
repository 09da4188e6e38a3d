/** JSON that people edit: numbers keep their digits, keys their order, and every value its position. */

/** A number as it is written: no float in between. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Json = null | boolean | string | JsonNumber | readonly Json[] | JsonObject;
export type JsonObject = ReadonlyMap<string, Json>;

/** Keys and indices that lead to a value. */
export type Path = readonly (string | number)[];

/** Return a path as the service writes it: strategy.orders[0].price. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, part) => (typeof part === "number" ? `${text}[${part}]` : text ? `${text}.${part}` : part), "");
}

/** Why a text is not JSON, and where; lines and columns count from 1. */
export class JsonError extends Error {
  readonly offset: number;
  readonly line: number;
  readonly column: number;

  constructor(message: string, text: string, offset: number) {
    const before = text.slice(0, offset).split("\n");
    const [line, column] = [before.length, before.at(-1)!.length + 1];
    super(`line ${line}, column ${column}: ${message}`);
    [this.offset, this.line, this.column] = [offset, line, column];
  }
}

export interface Parsed {
  value: Json;
  /** Where the key or item of a path begins. */
  at: ReadonlyMap<string, number>;
}

const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const DEEPEST = 200;

/** Whether a text is a number of JSON. */
export function isNumber(text: string): boolean {
  NUMBER.lastIndex = 0;
  return NUMBER.exec(text)?.[0] === text && text !== "";
}

/**
 * Return what a text holds.
 *
 * Not JSON.parse: it makes floats of numbers, sorts keys that look like them, keeps the last of two
 * equal keys, and says of a mistake in its own way in every browser.
 */
export function parseJson(text: string): Parsed {
  const at = new Map<string, number>();
  let here = 0;

  const fail = (message: string, offset = here): never => {
    throw new JsonError(message, text, offset);
  };
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = here;
    const match = pattern.exec(text);
    if (!match) return null;
    here = pattern.lastIndex;
    return match[0];
  };
  const actual = () => (here < text.length ? `found ${JSON.stringify(text[here])}` : "found the end of the text");
  const skip = () => void take(SPACE);

  /** Take items up to a closing sign. */
  const items = (close: string, one: () => void) => {
    here += 1;
    skip();
    if (text[here] === close) {
      here += 1;
      return;
    }
    for (;;) {
      one();
      skip();
      if (text[here] === close) {
        here += 1;
        return;
      }
      if (text[here] !== ",") fail(`${actual()}, should be "," or "${close}"`);
      here += 1;
      skip();
    }
  };

  const object = (path: Path): JsonObject => {
    const result = new Map<string, Json>();
    items("}", () => {
      const start = here;
      const key = JSON.parse(take(STRING) ?? fail(`${actual()}, should be a key in double quotes`)) as string;
      if (result.has(key)) fail(`the key ${JSON.stringify(key)} is there twice`, start);
      skip();
      if (text[here] !== ":") fail(`${actual()}, should be ":"`);
      here += 1;
      const inner = [...path, key];
      at.set(pathText(inner), start);
      result.set(key, value(inner));
    });
    return result;
  };

  const list = (path: Path): Json[] => {
    const result: Json[] = [];
    items("]", () => {
      const inner = [...path, result.length];
      at.set(pathText(inner), here);
      result.push(value(inner));
    });
    return result;
  };

  const value = (path: Path): Json => {
    if (path.length > DEEPEST) fail("nested too deeply");
    skip();
    if (text[here] === "{") return object(path);
    if (text[here] === "[") return list(path);
    const string = take(STRING);
    if (string !== null) return JSON.parse(string) as string;
    const number = take(NUMBER);
    if (number !== null) return new JsonNumber(number);
    const word = take(WORD);
    if (word !== null) return word === "null" ? null : word === "true";
    return fail(text[here] === '"' ? "the text in double quotes does not end, or has a character that must be escaped" : `${actual()}, should be a value`);
  };

  const result = value([]);
  skip();
  if (here < text.length) fail(`${actual()} after the end of the document`);
  return { value: result, at };
}

export const isObject = (value: Json | undefined): value is JsonObject => value instanceof Map;

/** Return a value as text, spelled as the service stores it; on one line without an indent. */
export function writeJson(value: Json, indent = 2, depth = 0): string {
  if (value instanceof JsonNumber) return value.text;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const isList = Array.isArray(value);
  const parts = isList
    ? (value as Json[]).map((item) => writeJson(item, indent, depth + 1))
    : [...(value as JsonObject)].map(([key, item]) => `${JSON.stringify(key)}: ${writeJson(item, indent, depth + 1)}`);
  const [open, close] = isList ? "[]" : "{}";
  if (!parts.length) return `${open}${close}`;
  if (!indent) return `${open}${parts.join(", ")}${close}`;
  const pad = "\n" + " ".repeat(indent * (depth + 1));
  return `${open}${pad}${parts.join(`,${pad}`)}\n${" ".repeat(indent * depth)}${close}`;
}
