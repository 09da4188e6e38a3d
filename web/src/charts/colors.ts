/** Colors of the page as charts take them: six hex digits. */
export interface ChartColors {
  ink: string;
  quiet: string;
  line: string;
  panel: string;
  raised: string;
  accent: string;
  gain: string;
  loss: string;
  warn: string;
  bad: string;
}

const NAMES = ["ink", "quiet", "line", "panel", "raised", "accent", "gain", "loss", "warn", "bad"] as const;

/** Return the colors of the theme that is on. */
export function chartColors(): ChartColors {
  const probe = document.createElement("span");
  document.body.append(probe);
  const colors = Object.fromEntries(
    NAMES.map((name) => {
      probe.style.color = `var(--${name})`;
      const parts = getComputedStyle(probe).color.match(/\d+/g) ?? ["0", "0", "0"];
      return [name, `#${parts.slice(0, 3).map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`];
    }),
  );
  probe.remove();
  return colors as unknown as ChartColors;
}

/** Hues that differ for who cannot tell red from green; then the same, dashed. */
const LIGHT = ["#1a5ab8", "#b3540a", "#00795c", "#9c3587", "#7a6200", "#0f7fa8", "#b02a37", "#4b4f58"];
const DARK = ["#7db1ff", "#f5a35c", "#4fd1a5", "#e08fd0", "#d9c14b", "#66cbef", "#ff8a80", "#b9bfc9"];

/** Return the color of the run at a place, for chart and list alike. */
export function lineColor(at: number): string {
  const isDark = parseInt(chartColors().panel.slice(1, 3), 16) < 128;
  return (isDark ? DARK : LIGHT)[at % LIGHT.length]!;
}

export function lineStyle(at: number): "solid" | "dashed" | "dotted" {
  return (["solid", "dashed", "dotted"] as const)[Math.floor(at / LIGHT.length) % 3]!;
}
