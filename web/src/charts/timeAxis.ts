import type { ChartOptionsImpl, DataItem, IHorzScaleBehavior, InternalHorzScaleItem, LocalizationOptions, TickMark, TickMarkWeightValue, TimeMark } from "lightweight-charts";
import { formatNs, formatSpan, momentOf } from "../lib/ns";

const S = 1e9;
/** Sizes of round times, and the weight of a label that stands on one. */
const ROUND: readonly [number, number][] = [
  [86_400 * S, 20], [43_200 * S, 19], [21_600 * S, 18], [10_800 * S, 17], [3_600 * S, 16], [1_800 * S, 15], [900 * S, 14], [300 * S, 13], [60 * S, 12],
  [30 * S, 11], [10 * S, 10], [5 * S, 9], [S, 8], [S / 2, 7], [S / 10, 6], [S / 20, 5], [S / 100, 4], [S / 1_000, 3],
];
const DAY = 20;
const MINUTE = 12;
const SECOND = 8;

/**
 * A horizontal scale of ns since an origin.
 *
 * The library's own scale counts whole seconds: its labels below them are wrong. Offsets are exact:
 * they are multiples of 10 ms, which floats hold for 36 years.
 */
export class NsScale implements IHorzScaleBehavior<number> {
  /** Time that offsets count from, a midnight in UTC. */
  origin = 0n;
  zone = "UTC";
  /** Digits of the second at the crosshair. */
  digits = 3;
  /** Whether times are since a begin, not of a day. */
  isElapsed = false;
  private own!: ChartOptionsImpl<number>;

  options(): ChartOptionsImpl<number> {
    return this.own;
  }
  setOptions(options: ChartOptionsImpl<number>): void {
    this.own = options;
  }
  preprocessData(_data: DataItem<number> | DataItem<number>[]): void {}
  updateFormatter(options: LocalizationOptions<number>): void {
    if (this.own) this.own.localization = options;
  }
  createConverterToInternalObj(): (time: number) => InternalHorzScaleItem {
    return (time) => time as unknown as InternalHorzScaleItem;
  }
  key(item: InternalHorzScaleItem | number): never {
    return item as never;
  }
  cacheKey(item: InternalHorzScaleItem): number {
    return item as unknown as number;
  }
  convertHorzItemToInternal(item: number): InternalHorzScaleItem {
    return item as unknown as InternalHorzScaleItem;
  }
  formatHorzItem(item: InternalHorzScaleItem): string {
    if (this.isElapsed) return `+${formatSpan(this.nsOf(item as unknown as number))}`;
    return formatNs(this.nsOf(item as unknown as number), this.zone, this.digits);
  }
  formatTickmark(mark: TickMark): string {
    if (this.isElapsed) return formatSpan(this.nsOf(mark.time as unknown as number));
    const { date, time, fraction } = momentOf(this.nsOf(mark.time as unknown as number), this.zone);
    const weight = mark.weight as unknown as number;
    if (weight >= DAY) return date.slice(5);
    if (weight >= MINUTE) return time.slice(0, 5);
    if (weight >= SECOND) return time;
    return `${time.slice(6)}.${fraction.slice(0, 3)}`;
  }
  maxTickMarkWeight(marks: TimeMark[]): TickMarkWeightValue {
    return marks.reduce((most, mark) => (mark.weight > most.weight ? mark : most), marks[0]!).weight;
  }
  fillWeightsForPoints(points: readonly { time: unknown; timeWeight: TickMarkWeightValue }[], start: number): void {
    if (!points.length) return;
    const shift = this.zoneShift(points[start]?.time as number | undefined);
    for (let at = start; at < points.length; at += 1) {
      const offset = (points[at]!.time as number) + shift;
      const unit = ROUND.find(([size]) => offset % size === 0);
      points[at]!.timeWeight = (unit?.[1] ?? 1) as TickMarkWeightValue;
    }
  }
  shouldResetTickmarkLabels(): boolean {
    return true;
  }
  nsOf(offset: number): bigint {
    return this.origin + BigInt(Math.round(offset));
  }
  offsetOf(ns: bigint): number {
    return Number(ns - this.origin);
  }

  /** How far the zone's wall clock is ahead of UTC, in ns. */
  private zoneShift(offset: number | undefined): number {
    if (this.zone === "UTC" || offset === undefined) return 0;
    const ns = this.nsOf(offset);
    const { date, time } = momentOf(ns, this.zone);
    return Date.parse(`${date}T${time}Z`) * 1e6 - Math.floor(Number(ns / 1_000_000_000n)) * S;
  }
}
