/** Times in nanoseconds since 1970 as BigInt: a float loses the last 3 digits. */

const SECOND = 1_000_000_000n;
const TEXT = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?$/;

/** Return ns of an ISO text (UTC unless it has an offset) or of digits; null where it is neither. */
export function parseNs(text: string): bigint | null {
  const trimmed = text.trim();
  if (/^\d{15,20}$/.test(trimmed)) return BigInt(trimmed);
  const match = TEXT.exec(trimmed);
  if (!match) return null;
  const [, year, month, day, hour = "00", minute = "00", second = "00", fraction = "", zone = "Z"] = match;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`);
  if (Number.isNaN(ms)) return null;
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

const formatters = new Map<string, Intl.DateTimeFormat>();

function partsOf(seconds: bigint, zone: string): Record<string, string> {
  let formatter = formatters.get(zone);
  if (!formatter) {
    formatter = new Intl.DateTimeFormat("en-CA", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formatters.set(zone, formatter);
  }
  return Object.fromEntries(formatter.formatToParts(Number(seconds) * 1000).map((part) => [part.type, part.value]));
}

/** A moment, cut up for display. */
export interface Moment {
  date: string;
  time: string;
  /** Nine digits. */
  fraction: string;
}

/** Return date, time and nine digits of the second, in a zone. */
export function momentOf(ns: bigint, zone = "UTC"): Moment {
  let seconds = ns / SECOND;
  let rest = ns % SECOND;
  if (rest < 0n) {
    seconds -= 1n;
    rest += SECOND;
  }
  const fraction = rest.toString().padStart(9, "0");
  if (zone === "UTC") {
    const iso = new Date(Number(seconds) * 1000).toISOString();
    return { date: iso.slice(0, 10), time: iso.slice(11, 19), fraction };
  }
  const part = partsOf(seconds, zone);
  return { date: `${part.year}-${part.month}-${part.day}`, time: `${part.hour}:${part.minute}:${part.second}`, fraction };
}

/** Return a moment as text: `digits` after the second, date in front unless left out. */
export function formatNs(ns: bigint, zone = "UTC", digits = 9, withDate = true): string {
  const { date, time, fraction } = momentOf(ns, zone);
  const clock = digits > 0 ? `${time}.${fraction.slice(0, digits)}` : time;
  return withDate ? `${date} ${clock}` : clock;
}

/** Return an ISO text in UTC with nine digits, as the service takes it. */
export function isoNs(ns: bigint): string {
  const { date, time, fraction } = momentOf(ns);
  return `${date}T${time}.${fraction}Z`;
}

/** Return a length of time, readable: 1.5 ms, 2 h 05 min, 3 d 4 h. */
export function formatSpan(ns: bigint): string {
  const negative = ns < 0n;
  const abs = negative ? -ns : ns;
  const sign = negative ? "−" : "";
  const units: [bigint, string][] = [
    [86_400n * SECOND, "d"],
    [3_600n * SECOND, "h"],
    [60n * SECOND, "min"],
    [SECOND, "s"],
    [1_000_000n, "ms"],
    [1_000n, "µs"],
    [1n, "ns"],
  ];
  const at = units.findIndex(([size]) => abs >= size);
  if (at < 0) return "0 ns";
  const [size, unit] = units[at]!;
  const whole = abs / size;
  if (at <= 2) {
    const [lower, lowerUnit] = units[at + 1]!;
    const rest = (abs % size) / lower;
    return rest > 0n ? `${sign}${whole} ${unit} ${rest} ${lowerUnit}` : `${sign}${whole} ${unit}`;
  }
  const hundredths = ((abs % size) * 1000n) / size;
  const fraction = hundredths.toString().padStart(3, "0").replace(/0+$/, "");
  return `${sign}${whole}${fraction ? `.${fraction}` : ""} ${unit}`;
}

/** Steps that charts are bucketed by, in ns. */
export const LADDER: readonly bigint[] = [
  10_000_000n, 20_000_000n, 50_000_000n, 100_000_000n, 200_000_000n, 500_000_000n,
  ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400].map((s) => BigInt(s) * SECOND),
];
