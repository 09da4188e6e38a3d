import { useCallback, useMemo, useState } from "react";
import { setAt } from "../../lib/document";
import { JsonError, parseJson, writeJson, type Json, type Parsed, type Path } from "../../lib/json";

interface State {
  text: string;
  past: string[];
  future: string[];
  /** What the last change was of: changes of one field in a row are one step back. */
  of: string;
  at: number;
}

const MOST_STEPS = 200;
const ONE_STEP_MS = 1_500;

export interface Draft {
  text: string;
  /** What the text holds; while it is not JSON, what it held before. */
  value: Json;
  at: ReadonlyMap<string, number>;
  error: JsonError | null;
  setText(text: string, of?: string): void;
  change(path: Path, value: Json | undefined): void;
  replace(value: Json): void;
  undo: (() => void) | null;
  redo: (() => void) | null;
}

/** A document that is edited as text and as fields, with what it was before. */
export function useDraft(initial: string): Draft {
  const [state, setState] = useState<State>({ text: initial, past: [], future: [], of: "", at: 0 });
  const [good, setGood] = useState<Parsed>(() => ({ value: new Map(), at: new Map() }));
  const read = useMemo((): Parsed | JsonError => {
    try {
      return parseJson(state.text);
    } catch (error) {
      if (error instanceof JsonError) return error;
      throw error;
    }
  }, [state.text]);
  const isGood = !(read instanceof JsonError);
  if (isGood && read !== good) setGood(read);
  const { value, at } = isGood ? read : good;
  const setText = useCallback((text: string, of = "") => {
    const now = performance.now();
    setState((before) => {
      if (before.text === text) return before;
      const isSameStep = of !== "" && of === before.of && now - before.at < ONE_STEP_MS;
      const past = isSameStep ? before.past : [...before.past.slice(-MOST_STEPS), before.text];
      return { text, past, future: [], of, at: now };
    });
  }, []);
  const replace = useCallback((next: Json) => setText(writeJson(next) + "\n"), [setText]);
  const undo = () =>
    setState((before) => ({ text: before.past.at(-1) ?? before.text, past: before.past.slice(0, -1), future: [before.text, ...before.future], of: "", at: 0 }));
  const redo = () =>
    setState((before) => ({ text: before.future[0] ?? before.text, past: [...before.past, before.text], future: before.future.slice(1), of: "", at: 0 }));
  return {
    text: state.text,
    value,
    at,
    error: isGood ? null : read,
    setText,
    change: (path, next) => {
      if (isGood) setText(writeJson(setAt(value, path, next) ?? new Map()) + "\n", JSON.stringify(path));
    },
    replace,
    undo: state.past.length ? undo : null,
    redo: state.future.length ? redo : null,
  };
}
