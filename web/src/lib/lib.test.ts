import { describe, expect, it } from "vitest";
import { add, fixed, negate, sign } from "./decimal";
import { parseExact } from "./exact";
import { decimal, percent, seconds, signed, UNKNOWN } from "./format";
import { formatNs, formatSpan, isoNs, LADDER, parseNs } from "./ns";
import { rollingSharpe } from "./rolling";
import { parseSearch, stringifySearch } from "./url";

describe("ns", () => {
  it("keeps nine digits both ways", () => {
    const text = "2024-07-18T12:34:56.123456789Z";
    const ns = parseNs(text)!;
    expect(ns).toBe(1721306096123456789n);
    expect(isoNs(ns)).toBe(text);
    expect(parseNs(ns.toString())).toBe(ns);
  });
  it("takes offsets, days, and refuses the rest", () => {
    expect(parseNs("2024-01-01T01:00+01:00")).toBe(parseNs("2024-01-01"));
    for (const wrong of ["", "now", "2024-13-01", "12", "2024-01-01T25:00"]) expect(parseNs(wrong)).toBeNull();
  });
  it("shows a zone's wall clock on both sides of a change", () => {
    expect(formatNs(parseNs("2024-03-31T00:59:59Z")!, "Europe/Berlin", 0)).toBe("2024-03-31 01:59:59");
    expect(formatNs(parseNs("2024-03-31T01:00:00Z")!, "Europe/Berlin", 0)).toBe("2024-03-31 03:00:00");
    expect(formatNs(-1n)).toBe("1969-12-31 23:59:59.999999999");
  });
  it("says spans", () => {
    expect(formatSpan(1_500_000n)).toBe("1.5 ms");
    expect(formatSpan(-7_500_000_000_000n)).toBe("−2 h 5 min");
    expect(formatSpan(0n)).toBe("0 ns");
    expect(LADDER.every((step, at) => at === 0 || step > LADDER[at - 1]!)).toBe(true);
  });
});

describe("decimal", () => {
  it("adds without a float", () => {
    expect(add("0.1", "0.2")).toBe("0.3");
    expect(add("1000000", "2656.30579973", negate("8593.83425407"), "0")).toBe("994062.47154566");
    expect(add("1e-7", "1E+2")).toBe("100.0000001");
  });
  it("rounds half-even", () => {
    expect([fixed("0.125", 2), fixed("0.135", 2), fixed("-0.125", 2), fixed("9.999", 2), fixed("5", 3)]).toEqual([
      "0.12", "0.14", "-0.12", "10.00", "5.000",
    ]);
    expect(sign("-0.000")).toBe(0);
  });
});

describe("format", () => {
  it("carries seconds into minutes", () => {
    expect([9.94, 9.96, 59.4, 59.6, 1_199.7, 3_599.9].map(seconds)).toEqual([
      "9.9 s",
      "10 s",
      "59 s",
      "1 min 0 s",
      "20 min 0 s",
      "1 h 0 min",
    ]);
  });
  it("has no negative zero and no zero for null", () => {
    expect(signed("-0.001")).toBe("0.00");
    expect(decimal(-0)).toBe("0");
    expect(signed(null)).toBe(UNKNOWN);
    expect(percent(undefined)).toBe(UNKNOWN);
  });
  it("groups and signs", () => {
    expect(signed("-1234567.891")).toBe("−1,234,567.89");
    expect(signed(12.5)).toBe("+12.50");
    expect(percent("-0.005937528454")).toBe("−0.59\u2009%");
    expect(percent(1.5, 0)).toBe("150\u2009%");
    expect(percent(-0.000018)).toBe("−0.002\u2009%");
    expect(percent(0)).toBe("0.00\u2009%");
    expect(percent(1e-9, 2)).toBe("0.00\u2009%");
  });
});

describe("exact JSON", () => {
  it("keeps digits that a float would lose", () => {
    const row = parseExact<{ price: string; list: string[] }>('{"price":3001.5523267361600225,"list":[1704067200000000001]}');
    if (row.price.length > 18) expect(row).toEqual({ price: "3001.5523267361600225", list: ["1704067200000000001"] });
    else expect(typeof row.price).toBe("string");
  });
});

describe("search", () => {
  it("is plain, both ways", () => {
    const search = { q: "a b&c", status: "failed,running", at: "1704067200000000001" };
    expect(parseSearch(stringifySearch(search))).toEqual(search);
    expect(stringifySearch({ q: "", sort: undefined })).toBe("");
  });
});

describe("rolling Sharpe ratio", () => {
  it("is that of the last returns, null before there are enough", () => {
    const [first, second, third] = rollingSharpe([100, 101, 102.01, 100.9899], 2, 252);
    expect(first).toBeNull();
    // Two equal returns have no deviation; then 1 % and −1 %: a mean of nothing.
    expect(second === null || Math.abs(second!) > 1e6).toBe(true);
    expect(third!).toBeCloseTo(0, 9);
    expect(rollingSharpe([100, 0, 50, 60], 2, 252)).toEqual([null, null, null]);
    // (0.02 + 0.04) / 2 over a deviation of 0.01 × √2, times √4.
    expect(rollingSharpe([100, 102, 106.08], 2, 4)[1]!).toBeCloseTo((0.03 / (0.01 * Math.SQRT2)) * 2, 9);
  });
});
