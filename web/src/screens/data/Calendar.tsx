import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { shortInstrument } from "../../api/runs";
import { useUrl } from "../../app/search";
import { cx } from "../../components/basics";
import { useWidth } from "../../components/useWidth";
import { count } from "../../lib/format";
import { STATES } from "../launch/PlanPanel";
import type { Coverage } from "./DataScreen";

interface Span {
  row: number;
  from: number;
  to: number;
}

/** Width of a day with the space beside it, and what a part's names take in a narrow and a wide window, in px. */
const DAY_WIDTH = 26;
const NAMES = [310, 440] as const;
/** Inner width of a window that is wide: where data types have a column of their own. */
const WIDE = 998;

const MOVES: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Days of every series; a click opens one, a drag or Shift chooses several of one series. */
export function Calendar({ coverage }: { coverage: Coverage }): ReactNode {
  const [search, setUrl] = useUrl();
  const [table, width] = useWidth<HTMLDivElement>();
  const [drag, setDrag] = useState<Span | null>(null);
  const row = coverage.rows.findIndex((one) => one.instrument === search.instrument && one.data_type === search.type);
  const from = coverage.days.indexOf(search.day ?? "");
  const to = search.last ? coverage.days.indexOf(search.last) : from;
  const chosen: Span | null = drag ?? (row >= 0 && from >= 0 && to >= 0 ? { row, from, to } : null);

  const choose = (span: Span) => {
    const [first, last] = [Math.min(span.from, span.to), Math.max(span.from, span.to)];
    const one = coverage.rows[span.row]!;
    setUrl({ instrument: one.instrument, type: one.data_type, day: coverage.days[first], last: last > first ? coverage.days[last] : undefined });
  };
  const latest = useRef({ drag, choose });
  latest.current = { drag, choose };
  useEffect(() => {
    const end = () => {
      const { drag: span, choose: take } = latest.current;
      if (!span) return;
      setDrag(null);
      take(span);
    };
    window.addEventListener("pointerup", end);
    window.addEventListener("pointercancel", end);
    return () => {
      window.removeEventListener("pointerup", end);
      window.removeEventListener("pointercancel", end);
    };
  }, []);

  const wanted = `${row} ${from}`;
  useEffect(() => {
    table.current?.querySelector("[aria-pressed=true]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [wanted]);

  // The end that the keyboard moves; the other one stays.
  const anchor = useRef<Span | null>(null);
  const move = (event: KeyboardEvent) => {
    const step = MOVES[event.key];
    const cell = (event.target as HTMLElement).closest<HTMLElement>("[data-x]");
    if (!step || !cell || event.ctrlKey || event.metaKey || event.altKey) return;
    const [x, y] = [Number(cell.dataset.x) + step[0], Number(cell.dataset.y) + step[1]];
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey && step[1]) return;
    const next = table.current?.querySelector<HTMLElement>(`[data-x="${x}"][data-y="${y}"]`);
    if (!next) return;
    next.focus();
    if (!event.shiftKey) {
      anchor.current = null;
      return;
    }
    anchor.current ??= { row: y, from: Number(cell.dataset.x), to: x };
    choose({ row: y, from: anchor.current.from, to: x });
  };
  return (
    <div ref={table} className="flex flex-col gap-3 overflow-x-auto py-3 pr-3 select-none" tabIndex={0} role="region" aria-label="Calendar of the data" onKeyDown={move}>
      {partsOf(coverage.days.length, width).map(([start, end]) => (
        <table key={start} className="w-max border-separate border-spacing-0.5">
          <thead>
            <tr className="label">
              <th scope="col" className="sticky left-0 z-10 bg-panel pr-4 pl-3 text-left font-medium">Instrument</th>
              <th scope="col" className="pr-4 text-left font-medium max-lg:hidden">Data</th>
              {coverage.days.slice(start, end).map((day) => (
                <th key={day} scope="col" className="w-[24px] text-center font-normal" title={day}>{day.slice(8)}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {coverage.rows.map((one, y) => (
              <tr key={`${one.instrument} ${one.data_type}`}>
                <th scope="row" className="sticky left-0 z-10 max-w-[17rem] truncate bg-panel pr-4 pl-3 text-left font-normal lg:max-w-[18rem]" title={one.instrument}>
                  <span className={one.instrument === coverage.rows[y - 1]?.instrument ? "sr-only" : undefined}>{shortInstrument(one.instrument)}</span>
                  <span className="block text-[12px] leading-4 text-quiet lg:hidden">{one.data_type}</span>
                </th>
                <td className="pr-4 whitespace-nowrap text-quiet max-lg:hidden">{one.data_type}</td>
                {[...one.state].slice(start, end).map((state, at) => {
                  const x = start + at;
                  return (
                    <Cell
                      key={coverage.days[x]}
                      row={one}
                      day={coverage.days[x]!}
                      state={state}
                      x={x}
                      y={y}
                      isChosen={chosen !== null && chosen.row === y && x >= Math.min(chosen.from, chosen.to) && x <= Math.max(chosen.from, chosen.to)}
                      onDown={(isShift) => setDrag(isShift && row === y && from >= 0 ? { row, from, to: x } : { row: y, from: x, to: x })}
                      onOver={() => setDrag((before) => before && { ...before, to: x })}
                      onOpen={() => choose({ row: y, from: x, to: x })}
                    />
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      ))}
    </div>
  );
}

/** Return the first and the last + 1 day of each part that a month is drawn in: as few as fit a width. */
function partsOf(days: number, width: number): [number, number][] {
  const room = Math.max(1, Math.floor((width - NAMES[width < WIDE ? 0 : 1]) / DAY_WIDTH));
  const parts = Math.ceil(days / room);
  const length = Math.ceil(days / parts);
  return Array.from({ length: parts }, (_, at) => [at * length, Math.min(days, (at + 1) * length)]);
}

function Cell({ row, day, state, x, y, isChosen, onDown, onOver, onOpen }: {
  row: Coverage["rows"][number];
  day: string;
  state: string;
  x: number;
  y: number;
  isChosen: boolean;
  onDown(isShift: boolean): void;
  onOver(): void;
  onOpen(): void;
}): ReactNode {
  const [text, color] = STATES[state] ?? [state, ""];
  const check = row.checks[x];
  const rejected = row.rejected[x];
  const title = `${day}: ${text}${row.rows[x] == null ? "" : `, ${count(row.rows[x])} rows`}${rejected ? `, ${count(rejected)} rejected` : ""}${check ? `, checks ${check}` : ""}`;
  return (
    <td className="p-0">
      <button
        type="button"
        data-x={x}
        data-y={y}
        title={title}
        aria-label={`${shortInstrument(row.instrument)} ${row.data_type} ${title}`}
        aria-pressed={isChosen}
        className={cx("relative size-[24px] rounded text-[13px] leading-6 hover:bg-raised", color, isChosen && "bg-accent-soft outline outline-accent")}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          // Else the element keeps the pointer, and no other one is passed over.
          event.currentTarget.releasePointerCapture(event.pointerId);
          onDown(event.shiftKey);
        }}
        onPointerEnter={onOver}
        // By key: a pointer has chosen already.
        onClick={(event) => event.detail === 0 && onOpen()}
      >
        {state}
        {(check === "warned" || check === "refused") && <span aria-hidden="true" className={cx("absolute top-0 right-0 text-[9px] leading-3", check === "refused" ? "text-bad" : "text-warn")}>⚠</span>}
      </button>
    </td>
  );
}
