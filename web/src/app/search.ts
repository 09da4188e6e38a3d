import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";
import type { Search } from "../lib/url";

/**
 * Return the address's state and how to change it.
 *
 * A change replaces the entry of the history unless it is a step that Back should undo.
 */
export function useUrl(): [Search, (change: Search, options?: { push?: boolean }) => void] {
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const change = useCallback(
    (changes: Search, options?: { push?: boolean }) => {
      void navigate({
        to: ".",
        search: ((before: Search) => ({ ...before, ...changes })) as never,
        replace: !options?.push,
        resetScroll: false,
      });
    },
    [navigate],
  );
  return [search, change];
}

/** Return the zone that times are shown in: UTC unless the address names one that exists. */
export function useZone(): string {
  const [{ tz }] = useUrl();
  return zoneOf(tz);
}

export function zoneOf(tz: string | undefined): string {
  if (!tz || tz === "UTC") return "UTC";
  const zone = tz === "local" ? Intl.DateTimeFormat().resolvedOptions().timeZone : tz;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return zone;
  } catch {
    return "UTC";
  }
}
