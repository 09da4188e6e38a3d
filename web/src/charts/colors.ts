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
