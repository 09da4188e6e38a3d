import {
  BarSeries, BaselineSeries, CandlestickSeries, ColorType, createChartEx, createSeriesMarkers, CrosshairMode, HistogramSeries, LineSeries, LineType, AreaSeries,
  type IChartApiBase, type ISeriesApi, type ISeriesMarkersPluginApi, type LogicalRange, type MouseEventParams, type SeriesMarker, type SeriesType,
} from "lightweight-charts";
import type { Bars, Curve } from "../api/charts";
import { Bands } from "./bands";
import { gridOf, type Bucket } from "./buckets";
import { chartColors, type ChartColors } from "./colors";
import { NsScale } from "./timeAxis";
import type { Span } from "./window";

interface Listener {
  /** What is seen has changed and come to rest. */
  onWindow(span: Span): void;
  /** All of the run is wanted. */
  onAll(): void;
  onHover(bucket: Bucket | null): void;
  onPick(bucket: Bucket): void;
}

type Series = ISeriesApi<SeriesType, number>;
const SETTLE_MS = 220;
const MOST_MARKS = 400;
/** A shorter drag is a click, px. */
const SHORTEST_DRAG = 5;

/** Price with fills, equity, drawdown and position over one time axis. */
export class RunChart {
  private readonly chart: IChartApiBase<number>;
  private readonly scale = new NsScale();
  private readonly candles: Series;
  private readonly volume: Series;
  private readonly equityRange: Series;
  private readonly equity: Series;
  private readonly drawdown: Series;
  private readonly position: Series;
  private readonly marks: ISeriesMarkersPluginApi<number>;
  private readonly bands: Bands;
  private buckets: Bucket[] = [];
  private step = 1n;
  private timer = 0;
  private hovered = -1;
  /** Moves that were not made by a person are not told of. */
  private isOwnMove = false;
  private colors: ChartColors;
  /** Buckets that are marked to be zoomed to: where marking began, and where it is. */
  private range: [number, number] | null = null;
  private readonly marked = document.createElement("div");
  private readonly element: HTMLElement;
  private readonly themes: MediaQueryList;
  private readonly observer: MutationObserver;
  private readonly listener: Listener;

  constructor(element: HTMLElement, origin: bigint, zone: string, listener: Listener) {
    this.listener = listener;
    this.element = element;
    this.scale.origin = origin;
    this.scale.zone = zone;
    this.colors = chartColors();
    this.chart = createChartEx<number, NsScale>(element, this.scale, {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 11, fontFamily: getComputedStyle(element).fontFamily, panes: { enableResize: false } },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, minimumWidth: 84 },
      timeScale: { borderVisible: false, rightOffset: 0, minBarSpacing: 0.2, tickMarkMaxCharacterLength: 9 } as never,
      handleScroll: { pressedMouseMove: false, vertTouchDrag: false },
      kineticScroll: { mouse: false, touch: !matchMedia("(prefers-reduced-motion: reduce)").matches },
    } as never) as unknown as IChartApiBase<number>;
    const add = (type: Parameters<typeof this.chart.addSeries>[0], options: object, pane: number) => this.chart.addSeries(type, { priceLineVisible: false, lastValueVisible: false, ...options } as never, pane) as unknown as Series;
    this.candles = add(CandlestickSeries, {}, 0);
    this.volume = add(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" } }, 0);
    this.chart.priceScale("volume", 0).applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.1, bottom: 0.16 } });
    this.equityRange = add(BarSeries, { openVisible: false, thinBars: true, priceFormat: MONEY }, 1);
    this.equity = add(LineSeries, { lineWidth: 2, priceFormat: MONEY, crosshairMarkerVisible: false }, 1);
    this.drawdown = add(AreaSeries, { lineWidth: 1, priceFormat: SHARE, crosshairMarkerVisible: false, invertFilledArea: true }, 2);
    this.position = add(BaselineSeries, { lineWidth: 1, lineType: LineType.WithSteps, baseValue: { type: "price", price: 0 }, crosshairMarkerVisible: false, priceFormat: QUANTITY }, 3);
    this.marks = createSeriesMarkers(this.candles as never, [], { autoScale: false }) as unknown as ISeriesMarkersPluginApi<number>;
    this.bands = new Bands();
    this.candles.attachPrimitive(this.bands as never);
    [0.55, 0.2, 0.12, 0.13].forEach((share, at) => this.chart.panes()[at]?.setStretchFactor(share * 10));
    this.paint();
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(this.moved);
    this.chart.subscribeCrosshairMove(this.hover);
    this.chart.subscribeClick(this.picked);
    this.chart.subscribeDblClick(() => listener.onAll());
    this.marked.className = "pointer-events-none absolute top-0 bottom-7 z-20 hidden border-x border-accent bg-accent/15";
    element.append(this.marked);
    // With Shift a drag moves, without it zooms.
    element.addEventListener("pointerdown", this.pressed, true);
    element.addEventListener("wheel", this.taken, { capture: true, passive: true });
    this.themes = matchMedia("(prefers-color-scheme: dark)");
    this.themes.addEventListener("change", this.paint);
    this.observer = new MutationObserver(this.paint);
    this.observer.observe(document.documentElement, { attributes: true });
  }

  /** Show what was loaded; what is seen stays where it is, unless a window is given. */
  setData(bars: Bars | null, curve: Curve | null, precision: number, hasSessions: boolean, until: bigint, seen: Span | null): void {
    const before = this.seen();
    const grid = gridOf(bars, curve, until);
    // Another grid has other numbers.
    this.hovered = -1;
    this.step = grid.step;
    // Hours without trading would be most of the chart.
    this.buckets = hasSessions ? grid.buckets.filter((one) => one.candle || one.equity || one.buys || one.sells || one.refused) : grid.buckets;
    const offset = (index: number) => this.scale.offsetOf(this.buckets[index]!.from);
    const points = (value: (bucket: Bucket) => object | null) => this.buckets.map((bucket, index) => ({ time: offset(index), ...(value(bucket) ?? {}) })) as never;
    this.scale.digits = this.step % 1_000_000_000n === 0n ? 0 : 3;
    this.isOwnMove = true;
    this.candles.applyOptions({ priceFormat: { type: "price", precision, minMove: 10 ** -precision } } as never);
    this.candles.setData(points(({ candle }) => candle && { open: candle.o, high: candle.h, low: candle.l, close: candle.c }));
    this.volume.setData(points(({ candle }) => candle && { value: candle.v }));
    this.equityRange.setData(points(({ equity }) => equity && { open: equity.first, high: equity.max, low: equity.min, close: equity.last }));
    this.equity.setData(points(({ equity }) => equity && { value: equity.last }));
    this.drawdown.setData(points(({ drawdown }) => (drawdown === null ? null : { value: drawdown * 100 })));
    this.position.setData(points(({ position }) => (position === null ? null : { value: position })));
    this.bands.set((this.buckets.length ? (bars?.bands ?? []) : []).map((band) => ({ kind: band.kind, from: this.logical(BigInt(band.from_ns)), to: this.logical(BigInt(band.to_ns)) })));
    this.mark();
    const [first, last] = [this.buckets[0], this.buckets.at(-1)];
    if (first && last) this.show(seen ?? before ?? { from: first.from, to: last.to });
  }

  /** Move to a window. */
  show(span: Span): void {
    if (!this.buckets.length) return;
    this.isOwnMove = true;
    this.chart.timeScale().setVisibleLogicalRange({ from: this.logical(span.from) - 0.5, to: this.logical(span.to) - 0.5 } as LogicalRange);
    window.setTimeout(() => {
      this.isOwnMove = false;
    }, SETTLE_MS);
    this.mark();
  }

  /** Zoom to the marked range; false where none is marked. */
  zoomToRange(): boolean {
    if (!this.range) return false;
    const [first, last] = this.range[0] <= this.range[1] ? this.range : [this.range[1], this.range[0]];
    this.markRange(null);
    const [from, to] = [this.ns(Math.floor(first) - 0.5), this.ns(Math.floor(last) + 0.5)];
    const span = { from, to };
    this.show(span);
    this.listener.onWindow(span);
    return true;
  }

  /** Move the crosshair by buckets, for who has no mouse; marking the range from where it was. */
  stepCrosshair(by: number, isMarking = false): void {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const first = Math.max(0, Math.ceil(range?.from ?? 0));
    const last = Math.min(this.buckets.length - 1, Math.floor(range?.to ?? 0));
    const from = this.hovered >= first && this.hovered <= last ? this.hovered : Math.floor((first + last) / 2);
    let at = from;
    // Empty buckets have nothing to say.
    do at += by;
    while (at > 0 && at < this.buckets.length - 1 && !this.buckets[at]!.candle && !this.buckets[at]!.equity);
    at = Math.max(0, Math.min(this.buckets.length - 1, at));
    const bucket = this.buckets[at];
    if (!bucket) return;
    this.markRange(isMarking ? [this.range?.[0] ?? from, at] : null);
    this.hovered = at;
    const price = bucket.candle?.c ?? bucket.equity?.last;
    if (price !== undefined) this.chart.setCrosshairPosition(price, this.scale.offsetOf(bucket.from) as never, (bucket.candle ? this.candles : this.equity) as never);
    this.listener.onHover(bucket);
  }

  pick(): void {
    const bucket = this.buckets[this.hovered];
    if (bucket) this.listener.onPick(bucket);
  }

  /** Buckets that are seen and have something. */
  visible(): Bucket[] {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range) return [];
    return this.buckets.slice(Math.max(0, Math.floor(range.from)), Math.ceil(range.to) + 1).filter((bucket) => bucket.candle || bucket.equity);
  }

  remove(): void {
    window.clearTimeout(this.timer);
    this.element.removeEventListener("pointerdown", this.pressed, true);
    this.element.removeEventListener("wheel", this.taken, true);
    this.marked.remove();
    this.themes.removeEventListener("change", this.paint);
    this.observer.disconnect();
    this.chart.remove();
  }

  private readonly paint = (): void => {
    this.colors = chartColors();
    const { ink, quiet, line, panel, gain, loss, accent } = this.colors;
    this.chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: panel }, textColor: quiet, panes: { separatorColor: line, separatorHoverColor: line } },
      grid: { vertLines: { color: `${line}66` }, horzLines: { color: `${line}66` } },
      crosshair: { vertLine: { color: quiet, labelBackgroundColor: ink }, horzLine: { color: quiet, labelBackgroundColor: ink } },
    } as never);
    // Candles are quiet: the fills are what one looks for.
    this.candles.applyOptions({ upColor: `${quiet}`, borderUpColor: quiet, wickUpColor: quiet, downColor: panel, borderDownColor: quiet, wickDownColor: quiet } as never);
    this.volume.applyOptions({ color: `${quiet}44` } as never);
    this.equityRange.applyOptions({ upColor: `${accent}55`, downColor: `${accent}55` } as never);
    this.equity.applyOptions({ color: accent } as never);
    this.drawdown.applyOptions({ lineColor: loss, topColor: `${loss}10`, bottomColor: `${loss}40` } as never);
    this.position.applyOptions({
      topLineColor: gain, topFillColor1: `${gain}40`, topFillColor2: `${gain}10`, bottomLineColor: loss, bottomFillColor1: `${loss}10`, bottomFillColor2: `${loss}40`,
    } as never);
    this.bands.paint(this.colors);
    this.mark();
  };

  /** Mark fills of what is seen: where too many stand side by side, those with most fills. */
  private mark(): void {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    const from = Math.max(0, Math.floor(range?.from ?? 0) - 50);
    const to = Math.min(this.buckets.length, Math.ceil(range?.to ?? this.buckets.length) + 50);
    const wanted: { weight: number; mark: SeriesMarker<number> }[] = [];
    for (let at = from; at < to; at += 1) {
      const bucket = this.buckets[at]!;
      const time = this.scale.offsetOf(bucket.from);
      if (bucket.buys?.n) wanted.push({ weight: bucket.buys.n, mark: { time, position: "belowBar", shape: "arrowUp", color: this.colors.gain, size: 0.6 } });
      if (bucket.sells?.n) wanted.push({ weight: bucket.sells.n, mark: { time, position: "aboveBar", shape: "arrowDown", color: this.colors.loss, size: 0.6 } });
      if (bucket.refused) wanted.push({ weight: Number.POSITIVE_INFINITY, mark: { time, position: "inBar", shape: "circle", color: this.colors.bad, size: 0.6 } });
    }
    const kept = wanted.length > MOST_MARKS ? wanted.sort((a, b) => b.weight - a.weight).slice(0, MOST_MARKS) : wanted;
    this.marks.setMarkers(kept.map((one) => one.mark).sort((a, b) => a.time - b.time));
  }

  private readonly moved = (): void => {
    window.clearTimeout(this.timer);
    const isOwn = this.isOwnMove;
    this.timer = window.setTimeout(() => {
      this.mark();
      const seen = this.seen();
      if (seen && !isOwn) this.listener.onWindow(seen);
    }, SETTLE_MS);
  };

  private markRange(range: [number, number] | null): void {
    this.range = range;
    this.marked.classList.toggle("hidden", !range);
    if (!range) return;
    const [left, right] = range.map((logical) => this.chart.timeScale().logicalToCoordinate(logical as never) ?? 0) as [number, number];
    this.marked.style.left = `${Math.min(left, right)}px`;
    this.marked.style.width = `${Math.max(1, Math.abs(right - left))}px`;
  }

  /** From here on it is a person who moves the chart. */
  private readonly taken = (): void => {
    this.isOwnMove = false;
  };

  private readonly pressed = (down: PointerEvent): void => {
    this.taken();
    const scale = this.chart.timeScale();
    const box = this.element.getBoundingClientRect();
    const isOnPanes = down.clientX - box.left < scale.width() && down.clientY < box.bottom - scale.height();
    if (down.button !== 0 || down.pointerType === "touch" || !isOnPanes) return;
    const seen = scale.getVisibleLogicalRange();
    const isMove = down.shiftKey && seen !== null;
    const logicalAt = (event: PointerEvent) => scale.coordinateToLogical(Math.max(0, Math.min(event.clientX - box.left, scale.width() - 1)) as never) as number | null;
    const begin = logicalAt(down);
    const move = (event: PointerEvent) => {
      if (isMove) {
        const by = ((event.clientX - down.clientX) / scale.width()) * (seen.to - seen.from);
        scale.setVisibleLogicalRange({ from: seen.from - by, to: seen.to - by } as LogicalRange);
        return;
      }
      const now = logicalAt(event);
      const isDrag = Math.abs(event.clientX - down.clientX) >= SHORTEST_DRAG;
      this.markRange(isDrag && begin !== null && now !== null ? [begin, now] : null);
    };
    const end = (event: Event) => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
      const rest = this.seen();
      if (isMove && rest) this.listener.onWindow(rest);
      else if (event.type === "pointerup") this.zoomToRange();
      else this.markRange(null);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
  };

  private readonly hover = (event: MouseEventParams<number>): void => {
    const at = event.logical === undefined ? -1 : Math.round(event.logical);
    if (event.point === undefined && at < 0) return;
    this.hovered = at;
    this.listener.onHover(this.buckets[at] ?? null);
  };

  private readonly picked = (event: MouseEventParams<number>): void => {
    const bucket = event.logical === undefined ? undefined : this.buckets[Math.round(event.logical)];
    if (bucket) this.listener.onPick(bucket);
  };

  private seen(): Span | null {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range || !this.buckets.length) return null;
    return { from: this.ns(range.from), to: this.ns(range.to) };
  }

  /** Time at a place of the axis, where whole numbers are the middles of buckets. */
  private ns(logical: number): bigint {
    const at = Math.max(0, Math.min(this.buckets.length - 1, Math.floor(logical + 0.5)));
    return this.buckets[at]!.from + BigInt(Math.round((logical + 0.5 - at) * Number(this.step)));
  }

  /** Number of the bucket that has a time, with its part; the end of the one before, where there is none. */
  private logical(ns: bigint): number {
    let [low, high] = [0, this.buckets.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.buckets[middle]!.from <= ns) low = middle;
      else high = middle;
    }
    const part = Number(ns - this.buckets[low]!.from) / Number(this.step);
    return low + (low === this.buckets.length - 1 ? part : Math.min(1, part));
  }
}

const short = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2, minimumFractionDigits: 2 });
const MONEY = { type: "custom", minMove: 0.01, formatter: (value: number) => short.format(value).replace("-", "−") };
const SHARE = { type: "custom", minMove: 0.01, formatter: (value: number) => `${value.toFixed(2).replace("-", "−").replace(/^−0\.00$/, "0.00")} %` };
const QUANTITY = { type: "custom", minMove: 0.001, formatter: (value: number) => new Intl.NumberFormat("en-US", { maximumSignificantDigits: 5 }).format(value).replace("-", "−") };
