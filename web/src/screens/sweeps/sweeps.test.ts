import { describe, expect, it } from "vitest";
import { colorScale, placesOf, roundUp, shadeOf, stepOf, ticks } from "../../charts/scales";
import { around, bestOf, cellsOf, fixText, rangeOf, shadedValues, shownOf, withRange, type Axis, type Columns } from "./state";
import { ApiError } from "../../api/client";
import { againOf } from "./again";
import { gridCommand, gridOf, gridProblems } from "./grid";
import { countOf, parseVary, sweepCommand, valuesOf, varyingPaths, varyText } from "./vary";

const axis = (name: string, ...values: Axis["values"]): Axis => ({ path: `strategy.params.${name}`, name, values });

/** A sweep of three axes, in the order that a grid has. */
function sweepOf(axes: Axis[], value: (at: number[]) => number | null): Columns {
  const points = axes.reduce<number[][]>((grid, one) => grid.flatMap((point) => one.values.map((_, index) => [...point, index])), [[]]);
  return {
    id: "s", status: "succeeded", by_status: {}, axes, chosen: null, errors: {},
    number: points.map((_, at) => at + 1),
    at: axes.map((_, index) => points.map((point) => point[index]!)),
    variant_status: points.map(() => "succeeded" as const),
    run_id: points.map((_, at) => `r${at}`),
    flags: points.map(() => 0),
    values: { pnl: points.map(value) },
  };
}

describe("scales", () => {
  it("part gains from losses at zero, whatever their sizes", () => {
    const scale = colorScale([-10, 3, 40], true)!;
    expect(scale.edges[5]).toBe(0);
    expect(shadeOf(scale, 0).level).toBe(0);
    for (const [value, hue] of [[-0.001, "loss"], [0.001, "gain"], [-10, "loss"], [40, "gain"]] as const) expect(shadeOf(scale, value).hue).toBe(hue);
    expect(shadeOf(scale, 40).level).toBeGreaterThan(shadeOf(scale, 3).level);
  });
  it("use all steps where every value has one sign", () => {
    const scale = colorScale([-15_010, -15_003, -15_000], true)!;
    expect(scale.shades.every((shade) => shade.hue === "loss")).toBe(true);
    expect(shadeOf(scale, -15_010).level).toBeGreaterThan(shadeOf(scale, -15_000).level);
    expect(colorScale([3, 4], false)!.shades[0]!.hue).toBe("seq");
  });
  it("hold every value between the edges of its step, and are not taken over by one far value", () => {
    const values = Array.from({ length: 200 }, (_, at) => Math.sin(at) * 3 ** (at % 7));
    for (const isSigned of [true, false]) {
      const scale = colorScale(values, isSigned)!;
      expect(scale.edges).toHaveLength(scale.shades.length + 1);
      for (const value of values) {
        const at = stepOf(scale, value);
        expect(value >= scale.edges[at]! || at === 0).toBe(true);
        expect(value <= scale.edges[at + 1]! || at === scale.shades.length - 1).toBe(true);
      }
    }
    const usual = Array.from({ length: 100 }, (_, at) => at / 100);
    const scale = colorScale([...usual, 1e6], false)!;
    expect(scale.edges.at(-1)!).toBeLessThan(2);
    expect(scale.beyond).toEqual({ low: false, high: true });
  });
  it("are there for one value, and not for none", () => {
    expect(colorScale([], true)).toBeNull();
    expect(colorScale([Number.NaN], true)).toBeNull();
    expect(shadeOf(colorScale([5], false)!, 5)).toEqual({ hue: "seq", level: 4 });
  });
  it("have round ticks without dust of floats", () => {
    expect(ticks(0, 1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks(-0.3, 0.3, 6)).toEqual([-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]);
    expect([roundUp(0.7), roundUp(1), roundUp(101), roundUp(9)]).toEqual([0.8, 1, 120, 10]);
  });
  it("place numbers by size, others and wild gaps evenly", () => {
    expect(placesOf([0, 10, 40])).toEqual([0, 0.25, 1]);
    expect(placesOf(["a", "b", "c"])).toEqual([0, 0.5, 1]);
    expect(placesOf([1, 2, 10_000])).toEqual([0, 0.5, 1]);
    expect(placesOf([7])).toEqual([0.5]);
  });
});

describe("choice of axes", () => {
  const [fast, slow, side, one] = [axis("fast", 5, 10), axis("slow", 20, 40, 80), axis("side", "long", "both"), axis("one", 1)];
  const figures = ["pnl", "max_drawdown"];
  it("follows how many axes vary", () => {
    expect(shownOf({}, [fast], figures)).toMatchObject({ view: "lines", x: 0, y: null, figure: "pnl" });
    expect(shownOf({}, [one, fast, slow], figures)).toMatchObject({ view: "map", x: 1, y: 2 });
    expect(shownOf({}, [fast, slow, side], figures)).toMatchObject({ view: "parallel", x: 0, y: 1 });
    expect(shownOf({}, [], figures).view).toBe("none");
    expect(shownOf({}, [fast, one], figures)).toMatchObject({ view: "lines" });
  });
  it("takes the address, and what it cannot mean is chosen anew", () => {
    const axes = [fast, slow, side];
    expect(shownOf({ x: "slow", y: "side", view: "map", figure: "max_drawdown", fix: "fast:10", shade: "worst" }, axes, figures)).toEqual({ figure: "max_drawdown", view: "map", x: 1, y: 2, fixed: new Map([[0, 1]]), isWorst: true });
    expect(shownOf({ x: "slow", y: "slow" }, axes, figures)).toMatchObject({ x: 1, y: 0 });
    expect(shownOf({ y: "fast" }, axes, figures)).toMatchObject({ x: 1, y: 0 });
    expect(shownOf({ view: "map", figure: "none" }, [fast], figures)).toMatchObject({ view: "lines", figure: "pnl" });
    const shown = shownOf({ view: "map", fix: "side:both" }, axes, figures);
    expect(fixText(axes, shown.fixed)).toBe("side:both");
    expect(fixText(axes, shownOf({ view: "map" }, axes, figures).fixed)).toBeUndefined();
  });
  it("puts variants into cells, others of the held axis and missing pairs left out", () => {
    const columns = sweepOf([fast, slow, side], ([a, b, c]) => a! * 100 + b! * 10 + c!);
    const shown = shownOf({ view: "map", fix: "side:both" }, columns.axes, figures);
    const cells = cellsOf(columns, shown);
    expect(cells.map((line) => line.map((at) => columns.values.pnl![at]))).toEqual([[1, 101], [11, 111], [21, 121]]);
    columns.at[0]![columns.at[0]!.length - 1] = null;
    expect(cellsOf(columns, shown)[2]![1]).toBe(-1);
  });
  it("tells a peak from a stable region", () => {
    const peak = sweepOf([axis("x", 1, 2, 3), axis("y", 1, 2, 3)], ([a, b]) => (a === 1 && b === 1 ? 9 : a === 0 && b === 0 ? null : 2));
    const shown = shownOf({ shade: "worst" }, peak.axes, ["pnl"]);
    const cells = cellsOf(peak, shown);
    expect(around(cells, peak.values.pnl!, 1, 1)).toEqual({ known: 7, low: 2, high: 2 });
    expect(shadedValues(peak, cells, shown)).toEqual([null, 2, 2, 2, 2, 2, 2, 2, 2]);
    expect(bestOf(peak.values.pnl!, "pnl")).toBe(4);
    expect(bestOf([null, 3, 1], "commissions")).toBe(2);
    expect(bestOf([null], "pnl")).toBe(-1);
  });
});

describe("conditions in the address", () => {
  it("hold one range of each axis", () => {
    const where = withRange("status:succeeded", "fast", [5, 20]);
    expect(where).toBe("status:succeeded,fast>=5,fast<=20");
    expect(withRange(where, "fast", [7, 9])).toBe("status:succeeded,fast>=7,fast<=9");
    expect(withRange(where, "fast", null)).toBe("status:succeeded");
    expect(withRange("fast>=1", "fast", null)).toBeUndefined();
    expect(withRange("faster>=1", "fast", null)).toBe("faster>=1");
    expect(rangeOf("fast >= 5, pnl>0", "fast")).toEqual([5, Number.POSITIVE_INFINITY]);
    expect(rangeOf(where, "slow")).toBeNull();
  });
});

describe("what varies", () => {
  it("is a list, or a range in decimals", () => {
    expect(valuesOf("0.1:0.3:0.1").values).toEqual([0.1, 0.2, 0.3]);
    expect(valuesOf("10:50:20, 7").values).toEqual([10, 30, 50, 7]);
    expect(valuesOf("3:1:-1").values).toEqual([3, 2, 1]);
    expect(valuesOf('LIMIT,"a,b",null,true').values).toEqual(["LIMIT", "a,b", null, true]);
    expect(valuesOf("[1,2],[3]").values).toEqual([[1, 2], [3]]);
    expect(valuesOf("0.1234567890123456789").values).toEqual([{ $number: "0.1234567890123456789" }]);
    expect(valuesOf("09:30,16:00").values).toEqual(["09:30", "16:00"]);
  });
  it("is refused where it has no end, twice the same, or nothing", () => {
    for (const wrong of ["", "1:5:0", "5:1:1", "1,1", "0:1000000:1"]) expect(valuesOf(wrong).problem).not.toBeNull();
  });
  it("is kept in the address, counted, and written as a command", () => {
    const rows = parseVary("execution.latency.insert_ms=0:10:5;strategy.order_type=LIMIT,MARKET");
    expect(varyText(rows)).toBe("execution.latency.insert_ms=0:10:5;strategy.order_type=LIMIT,MARKET");
    expect(countOf(rows)).toBe(6);
    expect(countOf([])).toBe(0);
    expect(parseVary('a="x;y";b=1')).toEqual([{ path: "a", text: '"x;y"' }, { path: "b", text: "1" }]);
    const body = { config: "c", day: "2024-01-01", mode: "fast", engine: "kernel", slots: 4, start: "12:00" };
    expect(sweepCommand(body, rows)).toBe(`odum sweep c --day 2024-01-01 --vary execution.latency.insert_ms=0,5,10 --vary 'strategy.order_type="LIMIT","MARKET"' --fast --engine kernel --start 12:00 --slots 4`);
    expect(sweepCommand({ config: "c", day: "2024-01-01", mode: "report", engine: "kernel", slots: 2, figures_only: true, verify: 3, sort: "sharpe" }, rows.slice(0, 1))).toBe("odum sweep c --day 2024-01-01 --vary execution.latency.insert_ms=0,5,10 --figures-only --engine kernel --verify 3 --sort sharpe");
    const grid = gridOf({ config: "c", fast: "5:50:5", slow: "20,30", side: "long", verify: "3", first: "2011-01-03", last: "2011-01-31", best: "sharpe" }, "MA_CROSS");
    expect(grid).toEqual({ config: "c", fast: "5:50:5", slow: "20,30", side: "long", verify: 3, first_day: "2011-01-03", last_day: "2011-01-31", sort: "sharpe" });
    expect(gridCommand(grid!)).toBe("odum vsweep c --fast 5:50:5 --slow 20,30 --side long --from 2011-01-03 --to 2011-01-31 --verify 3 --sort sharpe");
    expect([gridOf({ config: "c", fast: "5:50:5" }, "MA_CROSS"), gridOf({ config: "c" }, undefined), gridOf({ config: "c", verify: "0" }, "ML_SIGNALS")]).toEqual([null, null, { config: "c" }]);
  });
  it("leaves out what decides the data", () => {
    expect(varyingPaths({ instrument: { id: "X" }, venue: { fee: 1 }, strategy: { orders: [{ price: 2 }] }, data_source: "auto" })).toEqual([["venue.fee", 1], ["strategy.orders[0].price", 2]]);
  });
  it("is refused at the fields of its values", () => {
    const at = (detail: string) => Object.keys(gridProblems(new ApiError(422, detail, "invalid-options")));
    expect(at("fast: found 5:x, allowed whole numbers")).toEqual(["fast"]);
    expect(at("fast and slow: no fast length is below a slow one")).toEqual(["fast"]);
    expect(at("first_day 2024-01-02 and last_day None: give both")).toEqual(["first"]);
    expect(at("c: strategy.params.side: long_short sells short")).toEqual(["side"]);
    expect(at("body.verify: should be 0 or more; body.sort: x")).toEqual(["verify", "best"]);
    expect(at("c: the catalog has no bars")).toEqual([]);
  });
  it("is swept again with the same values", () => {
    const axes = [{ path: "strategy.params.fast", name: "fast", values: [5, 10] }, { path: "strategy.params.side", name: "side", values: ["long", "long_short"] }];
    const again = againOf({ kind: "vectorized", config: "c", partition: null, axes, facts: { first_close: "2024-01-01T15:00:00Z", last_close: "2024-01-03T21:00:00Z" } });
    expect(again).toEqual({ kind: "vectorized", config: "c", fast: "5,10", side: "long,long_short", first: "2024-01-01", last: "2024-01-03" });
    expect(againOf({ kind: "runs", config: "c", partition: "2024-01-01", axes, facts: {} })).toEqual({ config: "c", day: "2024-01-01", vary: 'strategy.params.fast=5,10;strategy.params.side="long","long_short"' });
  });
});
