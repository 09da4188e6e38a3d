import { useSyncExternalStore } from "react";

/** A choice that this browser keeps: how things look, never what they are. */
export interface Choice<T extends string> {
  get(): T;
  set(value: T): void;
  use(): T;
}

/** Return a choice kept under a name; where storage is switched off it lasts as long as the page. */
export function choice<T extends string>(name: string, initial: T, apply?: (value: T) => void): Choice<T> {
  const key = `odum.${name}`;
  let current = initial;
  try {
    current = (localStorage.getItem(key) as T | null) ?? initial;
  } catch {
    // Kept in memory only.
  }
  const listeners = new Set<() => void>();
  const self: Choice<T> = {
    get: () => current,
    set(value) {
      current = value;
      try {
        localStorage.setItem(key, value);
      } catch {
        // Kept in memory only.
      }
      apply?.(value);
      for (const listener of listeners) listener();
    },
    use: () =>
      useSyncExternalStore(
        (listener) => {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
        () => current,
      ),
  };
  return self;
}

const onRoot = (name: "theme" | "sides" | "density", none: string) => (value: string) => {
  if (value === none) delete document.documentElement.dataset[name];
  else document.documentElement.dataset[name] = value;
};

export const theme = choice<"system" | "light" | "dark">("theme", "system", onRoot("theme", "system"));
export const sides = choice<"blue" | "green">("sides", "blue", onRoot("sides", "blue"));
export const density = choice<"dense" | "roomy">("density", "dense", onRoot("density", "dense"));
export const letters = choice<"on" | "off">("letters", "on");
/** Saved views of the list of runs, as JSON: name to address. */
export const views = choice<string>("views", "{}");
