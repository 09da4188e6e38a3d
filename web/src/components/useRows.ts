import { useQueries, useQueryClient } from "@tanstack/react-query";
import { useLayoutEffect, useRef, useState, type RefObject } from "react";

/** Rows are asked for in blocks of so many. */
export const BLOCK = 200;

/** Browsers cut elements near 33,554,428 px: taller tables scroll scaled. */
const TALLEST = 8_000_000;
const OVERSCAN = 8;

export interface Window {
  /** First and last + 1 row to draw. */
  start: number;
  end: number;
  /** Space above and below the drawn rows, in px. */
  above: number;
  below: number;
  /** Move so that a row is seen. */
  reveal(row: number, where?: "nearest" | "center"): void;
}

/** Return which rows of a table are in sight. Above a height that a browser can have, scrolling is scaled. */
export function useWindow(box: RefObject<HTMLElement | null>, total: number, rowHeight: number, head: number): Window {
  const [at, setAt] = useState({ position: 0, height: 600 });
  const truth = total * rowHeight;
  const height = Math.min(truth, TALLEST);
  const span = Math.max(1, truth - at.height + head);
  const scale = truth > TALLEST ? span / Math.max(1, height - at.height + head) : 1;
  const own = useRef<number | null>(null);
  const position = useRef(0);
  const state = useRef({ scale, span });
  state.current = { scale, span };

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const update = () => {
      if (own.current === null || Math.abs(element.scrollTop - own.current) > 1) position.current = element.scrollTop * state.current.scale;
      own.current = null;
      setAt({ position: position.current, height: element.clientHeight });
    };
    const wheel = (event: WheelEvent) => {
      if (state.current.scale === 1 || event.ctrlKey) return;
      // A turn of the wheel moves by rows, not by thousands of them.
      event.preventDefault();
      const unit = event.deltaMode === 1 ? rowHeight : 1;
      position.current = Math.min(Math.max(0, position.current + event.deltaY * unit), state.current.span);
      own.current = position.current / state.current.scale;
      element.scrollTop = own.current;
      setAt({ position: position.current, height: element.clientHeight });
    };
    update();
    element.addEventListener("scroll", update, { passive: true });
    element.addEventListener("wheel", wheel, { passive: false });
    const observer = new ResizeObserver(update);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", update);
      element.removeEventListener("wheel", wheel);
      observer.disconnect();
    };
  }, [box, rowHeight]);

  const first = Math.floor(at.position / rowHeight);
  const start = Math.max(0, Math.min(first - OVERSCAN, total - 1));
  const end = Math.min(total, first + Math.ceil(at.height / rowHeight) + OVERSCAN);
  const drawn = (end - start) * rowHeight;
  const above = Math.max(0, Math.min(scale === 1 ? start * rowHeight : at.position / scale - (at.position - start * rowHeight), height - drawn));
  return {
    start,
    end,
    above,
    below: Math.max(0, height - above - drawn),
    reveal(row, where = "nearest") {
      const element = box.current;
      if (!element) return;
      const room = element.clientHeight - head;
      const top = row * rowHeight;
      let target = position.current;
      if (where === "center") target = top - room / 2;
      else if (top < target) target = top;
      else if (top + rowHeight > target + room) target = top + rowHeight - room;
      target = Math.max(0, Math.min(target, state.current.span));
      if (target === position.current) return;
      position.current = target;
      own.current = target / state.current.scale;
      element.scrollTop = own.current;
      setAt({ position: target, height: element.clientHeight });
    },
  };
}

export interface Block<R> {
  rows: R[];
  total: number;
}

export interface Rows<R> {
  total: number;
  /** The first block, once it is there: it stays as it was, wherever is scrolled to. */
  head: Block<R> | undefined;
  /** Undefined while it is on its way. */
  at(index: number): R | undefined;
  error: unknown;
  isFirst: boolean;
  retry(): void;
}

/** Ask for the blocks that hold the rows in sight, and keep what was there until they come. */
export function useBlocks<R>(key: readonly unknown[], load: (offset: number, limit: number, signal: AbortSignal) => Promise<Block<R>>, start: number, end: number, block = BLOCK): Rows<R> {
  const client = useQueryClient();
  const from = Math.floor(start / block);
  const to = Math.max(from, Math.floor(Math.max(0, end - 1) / block));
  const numbers = Array.from({ length: to - from + 1 }, (_, at) => from + at);
  const results = useQueries({
    queries: numbers.map((number) => ({
      queryKey: [...key, "block", number],
      queryFn: ({ signal }: { signal: AbortSignal }) => load(number * block, block, signal),
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 60_000,
    })),
  });
  const text = JSON.stringify(key);
  const known = useRef<{ text: string; total: number; kept: Block<R> | undefined }>({ text: "", total: 0, kept: undefined });
  const current = results.find((one) => one.data)?.data;
  if (current) known.current = { text, total: current.total, kept: from === 0 ? (results[0]?.data ?? known.current.kept) : known.current.kept };
  const failed = results.find((one) => one.error);
  const hasKept = known.current.kept !== undefined && known.current.text !== text;
  return {
    total: current?.total ?? known.current.total,
    head: known.current.text === text ? known.current.kept : undefined,
    at(index) {
      const number = Math.floor(index / block);
      const data = results[number - from]?.data;
      if (data) return data.rows[index - number * block];
      // Another order of the same list: the rows before, until the new ones are there.
      return hasKept && number === 0 ? known.current.kept?.rows[index] : undefined;
    },
    error: failed?.error ?? null,
    isFirst: !current && known.current.kept === undefined && !failed,
    retry: () => void client.refetchQueries({ queryKey: key }),
  };
}
