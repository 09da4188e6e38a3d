import type { ReactNode } from "react";
import { fillOf, strokeOf, type ColorScale } from "../../charts/scales";
import { edgeText, figureName } from "./figures";

/** Pattern of failed variants; one per drawing. */
export function Hatch({ id }: { id: string }): ReactNode {
  return (
    <pattern id={id} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <rect width="6" height="6" style={{ fill: "var(--bad-soft)" }} />
      <rect width="2" height="6" style={{ fill: "var(--bad)" }} />
    </pattern>
  );
}

/** What the colors and signs of a drawing mean. */
export function Legend({ figure, scale, counts, isWorst, isLines = false }: { figure: string; scale: ColorScale | null; counts: Readonly<Record<string, number>>; isWorst: boolean; isLines?: boolean }): ReactNode {
  const kinds = [
    ["failed", "failed", <Sample key="f" fill="url(#legend-hatch)" />],
    ["unknown", "null", <Sample key="n" fill="none" sign="—" />],
    ["pending", "not there yet", <Sample key="p" fill="none" dashed />],
  ] as const;
  return (
    <div className="flex flex-wrap items-end gap-x-5 gap-y-2 pt-2 text-[12px]" role="group" aria-label="Legend">
      {scale && (
        <div>
          <p className="label mb-0.5">{isWorst ? `worst ${figureName(figure)} of a cell and its neighbors` : figureName(figure)}</p>
          <ol className="flex">
            {scale.shades.map((shade, at) => (
              <li key={at} title={`${edgeText(figure, scale.edges[at]!)} to ${edgeText(figure, scale.edges[at + 1]!)}`} className="w-11 min-[900px]:w-14">
                <span className="block h-3 border-r border-panel" style={{ background: isLines ? strokeOf(shade) : fillOf(shade) }} />
                <span className="flex justify-between text-[11px] text-quiet">
                  <span className="whitespace-nowrap">
                    {at === 0 && scale.beyond.low && "≤ "}
                    {at % 2 === 0 ? edgeText(figure, scale.edges[at]!) : ""}
                  </span>
                  {at === scale.shades.length - 1 && (
                    <span className="whitespace-nowrap">
                      {scale.beyond.high && "≥ "}
                      {edgeText(figure, scale.edges[at + 1]!)}
                    </span>
                  )}
                </span>
              </li>
            ))}
          </ol>
        </div>
      )}
      <svg width="0" height="0" className="absolute" aria-hidden="true">
        <defs>
          <Hatch id="legend-hatch" />
        </defs>
      </svg>
      {kinds.map(([kind, label, sample]) =>
        counts[kind] ? (
          <span key={kind} className="inline-flex items-center gap-1.5 pb-0.5">
            {sample} {counts[kind]} {label}
          </span>
        ) : null,
      )}
    </div>
  );
}

function Sample({ fill, sign, dashed = false }: { fill: string; sign?: string; dashed?: boolean }): ReactNode {
  return (
    <svg width="18" height="14" aria-hidden="true">
      <rect x="0.5" y="0.5" width="17" height="13" style={{ fill, stroke: "var(--quiet)", ...(dashed ? { strokeDasharray: "2 2" } : {}) }} />
      {sign && (
        <text x="9" y="10.5" textAnchor="middle" fontSize="10" style={{ fill: "var(--quiet)" }}>
          {sign}
        </text>
      )}
    </svg>
  );
}
