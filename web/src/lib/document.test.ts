import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { briefly, changesOf, getAt, isSame, merge, renamed, setAt, settled } from "./document";
import { isNumber, JsonError, JsonNumber, parseJson, pathText, writeJson, type Json } from "./json";

const json = (text: string): Json => parseJson(text).value;
const line = (value: Json | undefined): string => (value === undefined ? "undefined" : writeJson(value, 0));

describe("JSON as text", () => {
  it("keeps every digit, whatever a float would make of it", () => {
    const text = '{"a": 0.1234567890123456789, "b": 9223372036854775807, "c": 1e400, "d": -0, "e": 1.10, "f": [12345678901234567890.00]}';
    expect(line(json(text))).toBe(text);
    expect(line(setAt(json(text), ["g"], new JsonNumber("0.30000000000000000004")))).toBe(text.replace("}", ', "g": 0.30000000000000000004}'));
  });
  it("keeps the order of keys that look like numbers, and __proto__ as a key", () => {
    const text = '{"10": 1, "2": {"__proto__": {"x": 2}}, "b": null, "a": true}';
    expect(line(json(text))).toBe(text);
    expect(line(getAt(json(text), ["2", "__proto__", "x"]))).toBe("2");
  });
  it("spells a document as the service stores it", () => {
    const folder = join(import.meta.dirname, "../../../configs");
    for (const name of readdirSync(folder).filter((one) => one.endsWith(".json"))) {
      const text = readFileSync(join(folder, name), "utf8");
      expect(JSON.parse(writeJson(json(text))), name).toEqual(JSON.parse(text));
      expect(writeJson(json(writeJson(json(text)))), name).toBe(writeJson(json(text)));
    }
    expect(writeJson(json('{"a":[],"b":{},"c":[1,{"d":"é\\u0007\\"\\/"}]}'))).toBe('{\n  "a": [],\n  "b": {},\n  "c": [\n    1,\n    {\n      "d": "é\\u0007\\"/"\n    }\n  ]\n}');
  });
  it.each([
    ["", 1, 1, "found the end of the text"],
    ['{"a": 01}', 1, 8, 'should be "," or "}"'],
    ['{"a": 1,\n  "a": 2}', 2, 3, 'the key "a" is there twice'],
    ['{\n "a": .5}', 2, 7, "should be a value"],
    ["{'a': 1}", 1, 2, "double quotes"],
    ["[1, 2,]", 1, 7, "should be a value"],
    ['["a\nb"]', 1, 2, "does not end"],
    ["[NaN]", 1, 2, "should be a value"],
    ["1 2", 1, 3, "after the end"],
    ["[".repeat(300), 1, 202, "nested too deeply"],
  ])("says where %.30s is wrong", (text, row, column, message) => {
    expect(() => parseJson(text)).toThrow(JsonError);
    try {
      parseJson(text);
    } catch (error) {
      expect([(error as JsonError).line, (error as JsonError).column]).toEqual([row, column]);
      expect((error as JsonError).message).toContain(message);
    }
  });
  it("agrees with the browser on what is JSON", () => {
    let seed = 7;
    const draw = (most: number) => Math.floor(((seed = (seed * 48271) % 2147483647) / 2147483647) * most);
    const pick = (parts: readonly string[]) => parts[draw(parts.length)]!;
    const some = (one: (at: number) => string) => Array.from({ length: draw(3) }, (_, at) => one(at)).join(pick([",", " ,\n"]));
    const make = (depth: number): string => {
      const kind = draw(depth > 3 ? 2 : 4);
      if (kind === 0) return pick(["1", "-0.5", "1e3", "0", "12E-2"]);
      if (kind === 1) return pick(['"a"', '"\\u00e9\\n"', "null", "true", "false", '""']);
      return kind === 2 ? `[${some(() => make(depth + 1))}]` : `{${some((at) => `"${["left", "right"][at]}": ${make(depth + 1)}`)}}`;
    };
    let [valid, invalid] = [0, 0];
    for (let round = 0; round < 4_000; round += 1) {
      let text = make(0);
      if (round % 2) {
        const at = draw(text.length + 1);
        text = text.slice(0, at) + pick(["", "{", "]", ",", ":", '"', "1", "-", ".", "e", " ", "x", "\\"]) + text.slice(at + draw(2));
      }
      let expected: unknown;
      try {
        expected = JSON.parse(text);
      } catch {
        expect(() => parseJson(text), text).toThrow(JsonError);
        invalid += 1;
        continue;
      }
      valid += 1;
      expect(JSON.parse(writeJson(json(text))), text).toEqual(expected);
    }
    expect(Math.min(valid, invalid)).toBeGreaterThan(500);
  });
  it("knows where every value is, by the service's paths", () => {
    const { at } = parseJson('{\n "strategy": {"orders": [{"side": "buy"},\n {"price": 1}]}}');
    expect([...at.keys()]).toEqual(["strategy", "strategy.orders", "strategy.orders[0]", "strategy.orders[0].side", "strategy.orders[1]", "strategy.orders[1].price"]);
    expect(at.get("strategy.orders[1].price")).toBe(46);
    expect(pathText(["a", 0, 1, "b.c"])).toBe("a[0][1].b.c");
  });
  it("tells numbers from texts that look like some", () => {
    expect(["0", "-0.5", "1E-9"].map(isNumber)).toEqual([true, true, true]);
    expect(["", "01", "1.", ".5", "+1", "1e", "Infinity", "0x1", " 1"].map(isNumber)).not.toContain(true);
  });
});

describe("changing", () => {
  const before = json('{"a": {"b": 1, "c": 2}, "l": [1, {"x": 1}, 3]}');
  it("makes and removes sections", () => {
    expect(line(setAt(before, ["n", "m", "k"], "v"))).toBe('{"a": {"b": 1, "c": 2}, "l": [1, {"x": 1}, 3], "n": {"m": {"k": "v"}}}');
    expect(line(setAt(setAt(before, ["a", "b"], undefined), ["a", "c"], undefined))).toBe('{"l": [1, {"x": 1}, 3]}');
    expect(line(setAt(before, ["l", 1], undefined))).toBe('{"a": {"b": 1, "c": 2}, "l": [1, 3]}');
    expect(line(setAt(before, ["l", 1, "x"], undefined))).toBe('{"a": {"b": 1, "c": 2}, "l": [1, {}, 3]}');
    expect(line(before)).toBe('{"a": {"b": 1, "c": 2}, "l": [1, {"x": 1}, 3]}');
  });
  it("keeps a key's position under its new name", () => {
    expect(line(renamed(before, ["a", "b"], "d"))).toBe('{"a": {"d": 1, "c": 2}, "l": [1, {"x": 1}, 3]}');
  });
  it("lists what differs, by digits", () => {
    const after = json('{"a": {"b": 1.0, "d": null}, "l": [1, {"x": 2}]}');
    expect(changesOf(before, after).map((one) => [pathText(one.path), briefly(one.before), briefly(one.after)])).toEqual([
      ["a.b", "1", "1.0"],
      ["a.c", "2", "not set"],
      ["a.d", "not set", "null"],
      ["l[1].x", "1", "2"],
      ["l[2]", "3", "not set"],
    ]);
    expect(changesOf(before, json('{"l": [1, {"x": 1}, 3], "a": {"c": 2, "b": 1}}'))).toEqual([]);
    expect(changesOf(json('{"a": "1"}'), json('{"a": 1}'))).toHaveLength(1);
  });
});

describe("merging", () => {
  const base = json('{"fee": 0.1, "venue": {"name": "A", "cash": 1}, "orders": [{"p": 1}, {"p": 2}], "gone": 1}');
  it("takes both sides' changes", () => {
    const mine = json('{"fee": 0.2, "venue": {"name": "A", "cash": 1}, "orders": [{"p": 9}, {"p": 2}], "gone": 1}');
    const theirs = json('{"fee": 0.1, "venue": {"name": "B", "cash": 1, "new": null}, "orders": [{"p": 1}, {"p": 8}]}');
    const merged = merge(base, mine, theirs);
    expect(merged.conflicts).toEqual([]);
    expect(line(merged.value)).toBe('{"fee": 0.2, "venue": {"name": "B", "cash": 1, "new": null}, "orders": [{"p": 9}, {"p": 8}]}');
  });
  it("names what both changed, and takes either", () => {
    const mine = json('{"fee": 0.2, "venue": {"name": "A", "cash": 5}, "orders": [{"p": 1}], "gone": 1}');
    const theirs = json('{"fee": 0.3, "venue": "none", "orders": [{"p": 1}, {"p": 2}, {"p": 3}], "gone": 1}');
    const merged = merge(base, mine, theirs);
    expect(merged.conflicts.map((one) => pathText(one.path))).toEqual(["fee", "venue", "orders"]);
    expect(isSame(settled(merged, () => false), mine)).toBe(true);
    expect(isSame(settled(merged, () => true), theirs)).toBe(true);
    expect(line(settled(merged, (one) => one.path[0] === "fee"))).toContain('"fee": 0.3, "venue": {"name": "A", "cash": 5}');
  });
  it("has a removal against a change as a conflict", () => {
    const [one] = merge(json('{"a": 1}'), json("{}"), json('{"a": 2}')).conflicts;
    expect([one?.mine, one && line(one.theirs)]).toEqual([undefined, "2"]);
    const merged = merge(json('{"a": 1}'), json('{"a": 2}'), json("{}"));
    expect(line(settled(merged, () => true))).toBe("{}");
  });
});
