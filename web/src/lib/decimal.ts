/** Decimals as texts: every digit that the service sends, sums without a float in between. */

const NUMBER = /^(-?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

interface Scaled {
  units: bigint;
  scale: number;
}

function scaled(text: string): Scaled {
  const match = NUMBER.exec(text.trim());
  if (!match) throw new RangeError(`${text} is not a decimal`);
  const [, sign, whole, fraction = "", exponent = "0"] = match;
  let units = BigInt(`${whole}${fraction}`);
  let scale = fraction.length - Number(exponent);
  if (scale < 0) {
    units *= 10n ** BigInt(-scale);
    scale = 0;
  }
  return { units: sign ? -units : units, scale };
}

function text({ units, scale }: Scaled): string {
  const negative = units < 0n;
  const digits = (negative ? -units : units).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const fraction = scale ? digits.slice(-scale).replace(/0+$/, "") : "";
  return `${negative ? "-" : ""}${whole}${fraction ? `.${fraction}` : ""}`;
}

/** Return the exact sum. */
export function add(...values: string[]): string {
  const all = values.map(scaled);
  const scale = Math.max(0, ...all.map((value) => value.scale));
  return text({ scale, units: all.reduce((sum, value) => sum + value.units * 10n ** BigInt(scale - value.scale), 0n) });
}

/** Return the value with the other sign. */
export function negate(value: string): string {
  const { units, scale } = scaled(value);
  return text({ units: -units, scale });
}

/** Return -1, 0 or 1. */
export function sign(value: string): number {
  const { units } = scaled(value);
  return units > 0n ? 1 : units < 0n ? -1 : 0;
}

/** Return a value rounded half-even to `digits` after the point, with exactly so many. */
export function fixed(value: string, digits: number): string {
  const { units, scale } = scaled(value);
  let rounded = units;
  if (scale > digits) {
    const factor = 10n ** BigInt(scale - digits);
    const abs = units < 0n ? -units : units;
    let quotient = abs / factor;
    const rest = (abs % factor) * 2n;
    if (rest > factor || (rest === factor && quotient % 2n === 1n)) quotient += 1n;
    rounded = units < 0n ? -quotient : quotient;
  } else {
    rounded = units * 10n ** BigInt(digits - scale);
  }
  const negative = rounded < 0n;
  const all = (negative ? -rounded : rounded).toString().padStart(digits + 1, "0");
  const whole = all.slice(0, all.length - digits);
  return `${negative ? "-" : ""}${whole}${digits ? `.${all.slice(-digits)}` : ""}`;
}

/** Return digits without an exponent, as they are otherwise. */
export function plain(value: string): string {
  return /e/i.test(value) ? text(scaled(value)) : value;
}
