import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { getAt } from "./document";
import { isObject, JsonNumber, parseJson, writeJson, type Json, type Path } from "./json";
import { fits, formOf, numberOf, startOf, type Field } from "./schema";

const folder = join(import.meta.dirname, "../../../configs");
const read = (name: string): Json => parseJson(readFileSync(join(folder, name), "utf8")).value;
const schema = read("run_config.schema.json");

function walk(fields: readonly Field[], visit: (field: Field, path: string) => void, path = ""): void {
  for (const field of fields) {
    const here = path ? `${path}.${field.name}` : field.name;
    visit(field, here);
    walk(field.fields, visit, here);
    for (const variant of field.variants) walk(variant.fields, visit, `${here}(${variant.name})`);
  }
}

function field(fields: readonly Field[], path: string): Field {
  let match: Field | undefined;
  walk(fields, (one, here) => {
    if (here === path) match = one;
  });
  if (!match) throw new Error(`no field ${path}`);
  return match;
}

describe("form of the schema", () => {
  const ticks = formOf(schema, new Map());
  const bars = formOf(schema, new Map([["kind", "bars"]]));
  it("has the sections of the kind of configuration", () => {
    expect(ticks.map((one) => one.name)).toContain("instrument");
    expect(bars.map((one) => one.name)).toContain("instruments");
  });
  it("knows every kind of field", () => {
    const kinds = (path: string) => field(path.startsWith("instruments") || path.startsWith("session") || path === "kind" ? bars : ticks, path).kind;
    expect({
      "venue.maker_fee": kinds("venue.maker_fee"),
      "risk.throttling_per_sec": kinds("risk.throttling_per_sec"),
      "venue.oms_type": kinds("venue.oms_type"),
      "data_catalog.auto_discover": kinds("data_catalog.auto_discover"),
      "execution.latency": kinds("execution.latency"),
      "strategy.orders": kinds("strategy.orders"),
      "strategy.exec_algorithm": kinds("strategy.exec_algorithm"),
      "strategy.params": kinds("strategy.params"),
      "session.holidays": kinds("session.holidays"),
      "session.early_closes": kinds("session.early_closes"),
      fx_stub: kinds("fx_stub"),
      kind: kinds("kind"),
    }).toEqual({
      "venue.maker_fee": "number",
      "risk.throttling_per_sec": "number",
      "venue.oms_type": "choice",
      "data_catalog.auto_discover": "boolean",
      "execution.latency": "section",
      "strategy.orders": "rows",
      "strategy.exec_algorithm": "union",
      "strategy.params": "json",
      "session.holidays": "lines",
      "session.early_closes": "pairs",
      fx_stub: "json",
      kind: "choice",
    });
  });
  it("has defaults in every digit, null, what must be given, and help", () => {
    expect(field(ticks, "instrument.margin_maint").default).toEqual(new JsonNumber("0.005"));
    expect(field(ticks, "risk.throttling_per_sec")).toMatchObject({ nullable: true, default: null, required: false });
    expect(field(ticks, "time_window.start")).toMatchObject({ nullable: true, required: true, default: undefined });
    expect(field(ticks, "execution.fill_model.random_seed").default).toEqual(new JsonNumber("42"));
    walk([...ticks, ...bars], (one, path) => {
      if (one.kind !== "section") expect(one.help, path).not.toBe("");
    });
  });
  it("has the fields of each member of a union", () => {
    const algorithm = field(ticks, "strategy.exec_algorithm");
    expect(algorithm.tag).toBe("type");
    expect(algorithm.variants.map((one) => one.name)).toEqual(["NORMAL", "TWAP", "VWAP", "ICEBERG"]);
    expect(algorithm.variants[0]!.fields).toEqual([]);
    expect(field(ticks, "strategy.exec_algorithm(TWAP).params.horizon_secs").kind).toBe("number");
  });
  it("has a field for every value of every configuration of the project", () => {
    let seen = 0;
    const check = (fields: readonly Field[], document: Json, path: Path) => {
      const here = getAt(document, path);
      if (!isObject(here)) return;
      for (const [key, value] of here) {
        const one = fields.find((field) => field.name === key);
        expect(one, [...path, key].join(".")).toBeDefined();
        expect(fits(one!.kind, value), key).toBe(true);
        seen += 1;
        if (one!.kind === "section") check(one!.fields, document, [...path, key]);
        if (one!.kind === "rows") (value as Json[]).forEach((_, at) => check(one!.fields, document, [...path, key, at]));
      }
    };
    for (const name of readdirSync(folder)) {
      if (name.endsWith(".json") && !name.includes("schema")) check(formOf(schema, read(name)), read(name), []);
    }
    expect(seen).toBeGreaterThan(200);
  });
  it("makes a start of what must be given", () => {
    for (const fields of [ticks, bars]) {
      const start = startOf(fields);
      expect([...(start as Map<string, Json>).keys()]).toEqual(fields.filter((one) => one.required).map((one) => one.name));
    }
    expect(writeJson(getAt(startOf(bars), ["instruments"])!, 0)).toBe('[{"id": "ARCA:EQUITY:SPY", "tick_size": 0.01}]');
    expect(writeJson(getAt(startOf(ticks), ["time_window"])!, 0)).toBe('{"start": null, "end": null}');
  });
});

describe("typed numbers", () => {
  it("are numbers with their digits, or the text that the service refuses", () => {
    expect([".5", "+1", "1.", " 2 ", "-.25", "1.e3"].map((typed) => writeJson(numberOf(typed)))).toEqual(["0.5", "1", "1", "2", "-0.25", "1e3"]);
    expect(numberOf("0.12345678901234567890")).toEqual(new JsonNumber("0.12345678901234567890"));
    expect(["-", "abc", "1,5", "007", "1e"].map(numberOf)).toEqual(["-", "abc", "1,5", "007", "1e"]);
  });
  it("do not fit where another kind of value is", () => {
    expect(fits("number", new Map())).toBe(false);
    expect(fits("section", [])).toBe(false);
    expect(fits("pairs", new Map([["a", new JsonNumber("1")]]))).toBe(false);
    expect(fits("rows", [new Map()])).toBe(true);
  });
});
