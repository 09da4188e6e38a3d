import type { IPrimitivePaneRenderer, IPrimitivePaneView, ISeriesPrimitive, SeriesAttachedParameter } from "lightweight-charts";
import type { ChartColors } from "./colors";

interface Band {
  kind: string;
  from: number;
  to: number;
}

/** Spans behind the candles where the data have a gap or a crossed book. */
export class Bands implements ISeriesPrimitive<number> {
  private bands: Band[] = [];
  private colors: Record<string, string> = {};
  private attachedTo: SeriesAttachedParameter<number> | null = null;

  attached(parameter: SeriesAttachedParameter<number>): void {
    this.attachedTo = parameter;
  }

  detached(): void {
    this.attachedTo = null;
  }

  set(bands: Band[]): void {
    this.bands = bands;
    this.attachedTo?.requestUpdate();
  }

  paint(colors: ChartColors): void {
    this.colors = { gap: `${colors.quiet}30`, crossed: `${colors.warn}40` };
  }

  paneViews(): readonly IPrimitivePaneView[] {
    const scale = this.attachedTo?.chart.timeScale();
    if (!scale || !this.bands.length) return [];
    const spans = this.bands.map((band) => ({
      color: band.kind.includes("crossed") ? this.colors.crossed : this.colors.gap,
      from: scale.logicalToCoordinate(band.from as never),
      to: scale.logicalToCoordinate(band.to as never),
    }));
    const renderer: IPrimitivePaneRenderer = {
      draw: (target) =>
        target.useMediaCoordinateSpace(({ context, mediaSize }) => {
          for (const { color, from, to } of spans) {
            if (from === null || to === null || !color) continue;
            context.fillStyle = color;
            context.fillRect(from, 0, Math.max(1, to - from), mediaSize.height);
          }
        }),
    };
    return [{ zOrder: () => "bottom", renderer: () => renderer }];
  }
}
