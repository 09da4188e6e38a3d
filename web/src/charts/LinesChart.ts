import { ColorType, createChartEx, CrosshairMode, LineSeries, LineStyle, type IChartApiBase, type ISeriesApi, type MouseEventParams, type SeriesType } from "lightweight-charts";
import { chartColors, lineColor, lineStyle } from "./colors";
import { NsScale } from "./timeAxis";

export interface Line {
  id: string;
  values: (number | null)[];
}

const STYLES = { solid: LineStyle.Solid, dashed: LineStyle.Dashed, dotted: LineStyle.Dotted };

/** Several lines over one time axis. */
export class LinesChart {
  private readonly chart: IChartApiBase<number>;
  private readonly scale = new NsScale();
  private lines: ISeriesApi<SeriesType, number>[] = [];
  private readonly themes: MediaQueryList;
  private readonly observer: MutationObserver;
  private data: { times: bigint[]; lines: Line[]; hidden: ReadonlySet<string>; base: string; isShare: boolean } | null = null;

  constructor(element: HTMLElement, onHover: (index: number | null) => void) {
    this.chart = createChartEx<number, NsScale>(element, this.scale, {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 11, fontFamily: getComputedStyle(element).fontFamily },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, minimumWidth: 84 },
      timeScale: { borderVisible: false, minBarSpacing: 0.1 },
    } as never) as unknown as IChartApiBase<number>;
    this.chart.subscribeCrosshairMove((event: MouseEventParams<number>) => onHover(event.logical === undefined ? null : Math.round(event.logical)));
    this.themes = matchMedia("(prefers-color-scheme: dark)");
    this.themes.addEventListener("change", this.paint);
    this.observer = new MutationObserver(this.paint);
    this.observer.observe(document.documentElement, { attributes: true });
    this.paint();
  }

  setData(times: bigint[], lines: Line[], hidden: ReadonlySet<string>, base: string, isShare: boolean, isElapsed: boolean, zone: string): void {
    const isFirst = !this.data || this.data.times.length !== times.length || this.data.times[0] !== times[0];
    this.data = { times, lines, hidden, base, isShare };
    const origin = isElapsed ? 0n : (times[0] ?? 0n) - ((times[0] ?? 0n) % 86_400_000_000_000n);
    this.scale.origin = origin;
    this.scale.zone = isElapsed ? "UTC" : zone;
    this.scale.isElapsed = isElapsed;
    this.scale.digits = 0;
    for (const line of this.lines) this.chart.removeSeries(line);
    const offsets = times.map((time) => Number(time - origin));
    this.lines = lines.map((line, at) => {
      const series = this.chart.addSeries(LineSeries, {
        color: lineColor(at), lineStyle: STYLES[lineStyle(at)], lineWidth: line.id === base ? 3 : 1.5, visible: !hidden.has(line.id), priceLineVisible: false, lastValueVisible: false,
        priceFormat: { type: "custom", minMove: 0.0001, formatter: (value: number) => (isShare ? `${value.toFixed(2)} %` : new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 }).format(value)).replace("-", "−") },
      } as never) as unknown as ISeriesApi<SeriesType, number>;
      series.setData(offsets.map((time, index) => ({ time, ...(line.values[index] === null ? {} : { value: line.values[index] }) })) as never);
      return series;
    });
    if (isFirst) this.chart.timeScale().fitContent();
  }

  remove(): void {
    this.themes.removeEventListener("change", this.paint);
    this.observer.disconnect();
    this.chart.remove();
  }

  private readonly paint = (): void => {
    const { ink, quiet, line, panel } = chartColors();
    this.chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: panel }, textColor: quiet },
      grid: { vertLines: { color: `${line}66` }, horzLines: { color: `${line}66` } },
      crosshair: { vertLine: { color: quiet, labelBackgroundColor: ink }, horzLine: { color: quiet, labelBackgroundColor: ink } },
    } as never);
    this.lines.forEach((series, at) => series.applyOptions({ color: lineColor(at) } as never));
  };
}
