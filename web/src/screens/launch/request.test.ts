import { describe, expect, it } from "vitest";
import { csvOf } from "../../lib/csv";
import { quoted } from "../../lib/shell";
import { ApiError } from "../../api/client";
import { parseJson } from "../../lib/json";
import { formOf } from "../../lib/schema";
import { nowText, problemOf, settingsOf, shownText, written } from "./overrides";
import { againOf } from "./again";
import { bodyOf, commandOf, curlOf, optionsOf, problemsByField, withParam } from "./request";

describe("a launch", () => {
  it("is nothing before its days are chosen", () => {
    expect([bodyOf({}), bodyOf({ config: "a" }), bodyOf({ config: "a", kind: "days", first: "2024-01-01" })]).toEqual([null, null, null]);
    expect(commandOf({ config: "a" })).toBeNull();
  });
  it("has the options that differ from the defaults", () => {
    const search = { config: "a", day: "2024-07-18", engine: "kernel", closing: "open", algorithm: "TWAP", log: "DEBUG", mode: "fast", start: "09:30" };
    expect(bodyOf(search)).toEqual({ config: "a", mode: "fast", engine: "kernel", exec_algorithm: "TWAP", log_level: "DEBUG", start: "09:30", close_positions: false, day: "2024-07-18" });
    expect(commandOf(search)).toBe("odum backtest a --day 2024-07-18 --fast --engine kernel --exec-algorithm twap --log-level debug --start 09:30 --no-close-positions");
  });
  it("has the parameters of its execution algorithm, as the service takes them", () => {
    const search = { config: "a", day: "2024-07-18", algorithm: "TWAP", ticks: "1", params: withParam({ params: "child_order_type:LIMIT" }, "horizon_secs", "7.5") };
    expect(bodyOf(search)?.exec_algorithm_params).toEqual({ child_order_type: "LIMIT", horizon_secs: 7.5 });
    expect(commandOf(search)).toBe(`odum backtest a --day 2024-07-18 --exec-algorithm twap --exec-algorithm-params '{"child_order_type":"LIMIT","horizon_secs":7.5}' --export-ticks`);
    expect(withParam({ params: "a:1,b:2" }, "a", " ")).toBe("b:2");
  });
  it("is refused at its fields", () => {
    const at = (detail: string, kind = "invalid-options") => problemsByField(new ApiError(422, detail, kind));
    expect(at('run config of a: exec_algorithm.params.horizon_secs: found "x", should be a number\nrun config of a: exec_algorithm.params.z: unknown key')).toEqual({
      "params.horizon_secs": 'exec_algorithm.params.horizon_secs: found "x", should be a number',
      "params.z": "exec_algorithm.params.z: unknown key",
    });
    expect(at("start 2024-01-01T13:00:00Z is not before end 2024-01-01T12:00:00Z; end is exclusive").start).toMatch(/^start 2024/);
    expect(Object.keys(at("/tmp/a.json: engine kernel does not cover data_catalog.derivative_ticker_path: funding payments"))).toEqual(["engine"]);
    expect(Object.keys(at("body.mode: Input should be 'fast' or 'report'; body.log_level: x"))).toEqual(["mode", "log"]);
    expect(Object.keys(at("2030-01-01 is not a partition; allowed: 2017-01-01 to 2026-11-28", "invalid-day"))).toEqual(["day"]);
    expect(at("a: there is neither a raw file nor a catalog partition", "missing-data")).toEqual({});
  });
  it("is one account, every day, or the days that are not finished", () => {
    const days = { config: "a", first: "2024-07-18", last: "2024-07-19" };
    expect(bodyOf({ ...days, kind: "window", missing: "refuse" })).toEqual({ config: "a", mode: "report", first_day: "2024-07-18", last_day: "2024-07-19", window: true, missing_days: "refuse" });
    expect(commandOf({ ...days, kind: "window", missing: "refuse" })).toBe("odum backtest a --from 2024-07-18 --to 2024-07-19 --window --missing-days refuse");
    expect(commandOf({ ...days, kind: "days", skip: "1" })).toBe("odum backfill a --from 2024-07-18 --to 2024-07-19");
    // No command leaves out finished days with other options.
    expect(commandOf({ ...days, kind: "days", skip: "1", engine: "kernel" })).toBeNull();
  });
  it("replaces values of the configuration", () => {
    const search = { config: "a", day: "2024-07-18", set: 'strategy.params.size=0.123456789012345678;venue.name="a;b";strategy.params.fast=' };
    const overrides = { "strategy.params.size": { $number: "0.123456789012345678" }, "venue.name": "a;b" };
    expect(bodyOf(search)?.overrides).toEqual(overrides);
    expect(commandOf(search)).toBeNull();
    expect(optionsOf(bodyOf(search)!)).toEqual(["strategy.params.size=0.123456789012345678", "venue.name=a;b"]);
  });
  it("of a run again has its days, options and replaced values, with every digit", () => {
    const run = { config_name: "a", detail: "fast", partition: "2024-07-18", window_start: "2024-07-18T09:30:00Z", window_end: "2024-07-19T00:00:00Z" };
    const metadata = parseJson(`{"window": {"start_ns": "1", "end_ns": "2"}, "engine": "kernel", "close_positions": false,
      "config": {"strategy": {}}, "exec_algorithm": {"type": "TWAP", "params": {"horizon_secs": 7.50}},
      "overrides": {"venue.name": "a;b", "strategy.params.on": true, "strategy.params.text": "5"},
      "sweep": {"varied": {"strategy.params.size": 0.123456789012345678, "strategy.params.amount": "0.1x"}}}`).value;
    const search = againOf(run, metadata);
    expect(search).toMatchObject({ config: "a", mode: "fast", day: "2024-07-18", start: "2024-07-18T09:30:00Z", end: undefined, engine: "kernel", closing: "open", algorithm: "TWAP", params: "horizon_secs:7.50" });
    expect(bodyOf(search)?.overrides).toEqual({
      "venue.name": "a;b", "strategy.params.on": true, "strategy.params.text": "5",
      "strategy.params.size": { $number: "0.123456789012345678" }, "strategy.params.amount": "0.1x",
    });
    // Days and bounds are known even where nothing else is.
    const window = { ...run, partition: "window", window_start: "2024-07-18T00:00:00Z", window_end: "2024-07-20T00:00:00Z" };
    expect(againOf(window, null)).toMatchObject({ kind: "window", first: "2024-07-18", last: "2024-07-19", start: undefined, set: undefined });
  });
  it("of a failed run again has everything that it was asked for", () => {
    const asked = parseJson(`{"config": {"kind": "ticks", "data_catalog": {"book_snapshot_5_path": "x"}, "quality": {"missing_days": "warn"},
      "execution": {"closing": {"method": "last_price"}}, "strategy": {"exec_algorithm": {"type": "NORMAL"}}}, "engine": "nautilus", "snapshot_mode": "trades",
      "close_positions": true, "closing": {"method": "work"}, "exec_algorithm": {"type": "NORMAL", "params": {}}, "window": {"start_ns": "1", "end_ns": "2"},
      "refuse_missing_days": true, "log_level": "DEBUG", "export_ticks": true, "overrides": {"venue.leverage": 2}}`).value;
    const run = { config_name: "a", detail: "report", partition: "window", window_start: "2024-07-18T09:30:00Z", window_end: "2024-07-20T00:00:00Z" };
    expect(bodyOf(againOf(run, asked))).toEqual({
      config: "a", mode: "report", snapshot_mode: "trades", closing: "work", log_level: "DEBUG", start: "2024-07-18T09:30:00Z", overrides: { "venue.leverage": 2 },
      export_ticks: true, first_day: "2024-07-18", last_day: "2024-07-19", window: true, missing_days: "refuse",
    });
    // What is the configuration's own is not asked for.
    const usual = parseJson(`{"config": {"quality": {"missing_days": "refuse"}}, "snapshot_mode": "trades", "refuse_missing_days": true, "closing": {"method": "last_price"}, "log_level": "INFO", "export_ticks": false}`).value;
    expect(bodyOf(againOf({ ...run, window_start: "2024-07-18T00:00:00Z" }, usual))).toEqual({ config: "a", mode: "report", first_day: "2024-07-18", last_day: "2024-07-19", window: true });
  });
  it("has the settings of its configuration that may be replaced, and what they are now", () => {
    const schema = parseJson(`{"properties": {"data_catalog": {"type": "object", "properties": {"path": {"type": "string"}}},
      "venue": {"type": "object", "properties": {"leverage": {"type": "integer", "default": 1}, "fees": {"oneOf": [{"type": "object", "properties": {"model": {"const": "rate"}, "rate": {"type": "number"}}}], "discriminator": {"propertyName": "model"}}}},
      "strategy": {"type": "object", "properties": {"name": {"type": "string"}, "params": {"type": "object"}}}}}`).value;
    const document = parseJson('{"data_catalog": {"path": "x"}, "venue": {"fees": {"model": "rate", "rate": 0.0010}}, "strategy": {"name": "A", "params": {"amount": "0.100", "window": 5}}}').value;
    const settings = settingsOf(formOf(schema, document), document);
    expect(settings.map((one) => [one.path, nowText(one)])).toEqual([
      ["venue.leverage", "1 (default)"], ["venue.fees.model", "rate"], ["venue.fees.rate", "0.0010"], ["strategy.name", "A"], ["strategy.params.amount", "0.100"], ["strategy.params.window", "5"],
    ]);
    const [amount, window] = settings.slice(4);
    // A text stays a text, and a number a number.
    expect([written("0.050", amount), shownText('"0.050"', amount), written("7", window), written("a;b", amount)]).toEqual(['"0.050"', "0.050", "7", '"a;b"']);
  });
  it("is refused at the values that it replaces", () => {
    const at = (detail: string) => problemsByField(new ApiError(422, detail, "invalid-options"));
    const problems = at('a overrides: venue.fees.rate: found "x", should be a number\na overrides: strategy.params: unknown key z');
    expect(problemOf(problems, "venue.fees.rate")).toBe('found "x", should be a number');
    expect([problemOf(problems, "strategy.params.z"), problemOf(problems, "venue.fee")]).toEqual(["unknown key z", undefined]);
    expect(problemOf(at("/c/a.json: strategy.params.window: found 0, allowed 1 or more"), "strategy.params.window")).toBe("found 0, allowed 1 or more");
  });
  it("is quoted for a shell", () => {
    expect(quoted("it's")).toBe(`'it'\\''s'`);
    expect(curlOf("http://h:1", { config: "a" }, true)).toBe(`curl http://h:1/api/v1/runs -H "Authorization: Bearer $ODUM_API_TOKEN" --json '{"config":"a"}'`);
  });
});

describe("CSV", () => {
  it("quotes what must be, and holds no formulas", () => {
    expect(csvOf([["a,b", 'say "x"', null, 1.5, "two\nlines"]])).toBe('"a,b","say ""x""",,1.5,"two\nlines"\r\n');
    expect(csvOf([["=1+1", "-5.0", "-x", "+1e3", "@a"]])).toBe("'=1+1,-5.0,'-x,+1e3,'@a\r\n");
  });
});
