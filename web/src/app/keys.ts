import { useEffect, useRef } from "react";
import { letters } from "./store";

/** A key of this screen, as the help shows it. */
export interface Key {
  keys: string;
  label: string;
  scope: string;
}

interface Entry extends Key {
  run: (event: KeyboardEvent) => void;
}

const entries: Entry[] = [];
let prefix: { key: string; until: number } | null = null;

/** Return the keys that work now, the latest screen's first. */
export function keysNow(): Key[] {
  return [...entries].reverse();
}

function isTyping(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  if (!element || (element instanceof HTMLInputElement && /^(checkbox|radio)$/.test(element.type))) return false;
  return element.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName);
}

function nameOf(event: KeyboardEvent): string {
  const held = event.metaKey || event.ctrlKey ? "mod+" : "";
  return held + event.key;
}

function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.altKey) return;
  const name = nameOf(event);
  const single = name.length === 1;
  if (isTyping(event.target) && !name.startsWith("mod+") && name !== "Escape") return;
  if (document.querySelector("[role=dialog][data-open]") && !name.startsWith("mod+")) return;
  if (single && letters.get() === "off" && name !== "?") return;
  const spoken = prefix && prefix.until > Date.now() ? `${prefix.key} ${name}` : name;
  prefix = null;
  const entry = entries.findLast((one) => one.keys.split("|").includes(spoken));
  if (entry) {
    // Enter on a button or link is that element's own.
    if (name === "Enter" && (event.target as HTMLElement).closest("a,button,[role=tab],[role=option]")) return;
    event.preventDefault();
    entry.run(event);
  } else if (single && entries.some((one) => one.keys.split("|").some((key) => key.startsWith(`${name} `)))) {
    prefix = { key: name, until: Date.now() + 1_200 };
  }
}

let listening = false;

/** Have a key do something while a component is there. `keys`: "j", "g r", "mod+k", or several as "[|ArrowLeft". */
export function useKey(keys: string, label: string, run: (event: KeyboardEvent) => void, scope = "Everywhere", enabled = true): void {
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    if (!enabled) return;
    if (!listening) {
      window.addEventListener("keydown", onKey);
      listening = true;
    }
    const entry: Entry = { keys, label, scope, run: (event) => latest.current(event) };
    entries.push(entry);
    return () => {
      entries.splice(entries.indexOf(entry), 1);
    };
  }, [keys, label, scope, enabled]);
}
