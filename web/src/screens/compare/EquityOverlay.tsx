import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import type { Comparison } from "../../api/compare";
import { useUrl, useZone } from "../../app/search";
import { lineColor, lineStyle } from "../../charts/colors";
import { LinesChart } from "../../charts/LinesChart";
import { Button, Panel } from "../../components/basics";
import { Empty } from "../../components/states";
import { decimal, UNKNOWN } from "../../lib/format";
import { formatNs, formatSpan } from "../../lib/ns";

/** Equity of the runs over each other: by time or from the start, as amounts, in percent, or its drawdown. */
export function EquityOverlay({ comparison, base, hidden }: { comparison: Comparison; base: string; hidden: ReadonlySet<string> }): ReactNode {
  const [search, setUrl] = useUrl();
  const zone = useZone();
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<LinesChart | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const isDrawdown = search.unit === "drawdown";
  const isShare = search.unit === "percent" || isDrawdown;
  const { curves } = comparison;
  const isElapsed = curves.align === "start";
  const times = useMemo(() => {
    const last = Math.max(-1, ...Object.values(curves.runs).map((curve) => curve.i.at(-1) ?? -1));
    return Array.from({ length: last + 1 }, (_, at) => BigInt(curves.t0_ns) + BigInt(curves.step_ns) * BigInt(at));
  }, [curves]);
  const lines = useMemo(
    () =>
      comparison.run_ids.map((id) => {
        const values: (number | null)[] = times.map(() => null);
        const curve = curves.runs[id];
        curve?.i.forEach((bucket, at) => {
          values[bucket] = isDrawdown ? (curve.drawdown.min[at] ?? null) : (curve.equity.last[at] ?? null);
        });
        if (isDrawdown) return { id, values: values.map((value) => (value === null ? null : value * 100)) };
        const first = values.find((value) => value !== null) ?? null;
        return { id, values: isShare && first ? values.map((value) => (value === null ? null : (value / first - 1) * 100)) : values };
      }),
    [comparison.run_ids, curves, times, isShare, isDrawdown],
  );
  useEffect(() => {
    if (!box.current) return;
    const lines = new LinesChart(box.current, setAt);
    chart.current = lines;
    return () => lines.remove();
  }, []);
  const hiddenText = [...hidden].join();
  useEffect(() => {
    chart.current?.setData(times, lines, hidden, base, isShare, isElapsed, zone);
    // eslint-disable-next-line
  }, [times, lines, hiddenText, base, isShare, isElapsed, zone]);
  const here = at !== null && times[at] !== undefined ? at : null;
  return (
    <Panel
      title="Equity"
      aside={
        <>
          <Group label="Align" value={isElapsed ? "start" : "time"} options={[["time", "by time"], ["start", "from the start"]]} onChange={(next) => setUrl({ align: next === "time" ? undefined : next })} />
          <Group label="Unit" value={isDrawdown ? "drawdown" : isShare ? "percent" : "amount"} options={[["amount", "amount"], ["percent", "%"], ["drawdown", "drawdown %"]]} onChange={(next) => setUrl({ unit: next === "amount" ? undefined : next })} />
        </>
      }
    >
      <div className="flex h-6 items-center gap-x-4 overflow-hidden text-[12px]">
        <span className="mono text-quiet">{here === null ? "" : isElapsed ? `+${formatSpan(times[here]!)}` : formatNs(times[here]!, zone, 0)}</span>
        {lines.map((line, index) => (hidden.has(line.id) ? null : (
          <span key={line.id} className="whitespace-nowrap">
            <span className="mr-1 inline-block w-3 border-t-2 align-middle" style={{ borderColor: lineColor(index), borderStyle: lineStyle(index) }} />
            <span className="mono text-quiet">{line.id.slice(-6)}</span> {here === null ? "" : line.values[here] === null || line.values[here] === undefined ? UNKNOWN : decimal(line.values[here], 2)}
          </span>
        )))}
      </div>
      {times.length ? (
        <div ref={box} className="h-80" role="img" aria-label={`Equity of ${lines.length} runs ${isElapsed ? "from their start" : "by time"}; the figures below say how they end.`} />
      ) : (
        <>
          <div ref={box} className="hidden" />
          <Empty title="None of these runs has an equity curve">In fast mode a run keeps its figures only.</Empty>
        </>
      )}
      {curves.missing.length > 0 && times.length > 0 && <p className="label mt-1">Without a curve (fast mode): {curves.missing.join(", ")}</p>}
    </Panel>
  );
}

function Group({ label, value, options, onChange }: { label: string; value: string; options: [string, string][]; onChange(next: string): void }): ReactNode {
  return (
    <span role="group" aria-label={label} className="flex gap-1">
      {options.map(([id, text]) => (
        <Button key={id} small aria-pressed={value === id} className={value === id ? "!border-accent !bg-accent-soft !text-accent" : ""} onClick={() => onChange(id)}>
          {text}
        </Button>
      ))}
    </span>
  );
}
