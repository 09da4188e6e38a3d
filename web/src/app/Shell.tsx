import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { useEffect, useState, useSyncExternalStore, type ReactNode } from "react";
import { getJson, serviceIsAway, watchService } from "../api/client";
import { Button, cx } from "../components/basics";
import { Modal, Pop } from "../components/overlays";
import { CommandPalette } from "./CommandPalette";
import { Login, LogOut } from "./Login";
import { keysNow, useKey } from "./keys";
import { SCREENS } from "./screens";
import { useUrl, useZone } from "./search";
import { density, letters, sides, theme, type Choice } from "./store";

export function Shell(): ReactNode {
  const navigate = useNavigate();
  const [help, setHelp] = useState(false);
  const [palette, setPalette] = useState(false);
  const [{ tz }] = useUrl();
  useKey("?", "Keys of this screen", () => setHelp(true));
  useKey("mod+k", "Go to a run or screen", () => setPalette(true));
  useKey("n", "Launch a run", () => void navigate({ to: "/launch" }));
  for (const screen of SCREENS) {
    // The list never changes: the order of hooks stays.
    // eslint-disable-next-line
    useKey(`g ${screen.key}`, `Go to ${screen.label}`, () => void navigate({ to: screen.to }));
  }
  useKey("/", "Filter", () => document.querySelector<HTMLInputElement>("[data-filter]")?.focus());
  useKey("Escape", "Leave a field, close", () => (document.activeElement as HTMLElement | null)?.blur());
  return (
    <>
      <a href="#main" className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-panel focus:p-2">
        Skip to the content
      </a>
      <header className="no-print flex h-11 shrink-0 items-center gap-1 border-b border-line bg-panel px-3">
        <Link to="/" search={{ tz } as never} className="mr-3 flex items-center gap-2 font-semibold">
          <img src="/icon.svg" alt="" width={20} height={20} />
          <span className="sr-only lg:not-sr-only">Odum Assets</span>
        </Link>
        <nav aria-label="Screens" className="flex items-center gap-0.5">
          {SCREENS.map((screen) => (
            <Link
              key={screen.to}
              to={screen.to}
              search={{ tz } as never}
              activeOptions={{ exact: screen.to === "/", includeSearch: false }}
              className="rounded px-2 py-1 text-quiet hover:bg-raised hover:text-ink"
              activeProps={{ className: "!text-ink font-medium bg-raised", "aria-current": "page" }}
            >
              {screen.label}
            </Link>
          ))}
        </nav>
        <div className="ml-auto flex items-center gap-1">
          <Button kind="quiet" onClick={() => setPalette(true)} title="Go to a run or screen">
            <span className="hidden md:inline">Go to…</span> <kbd className="mono rounded border border-line px-1">⌘K</kbd>
          </Button>
          <ZoneChoice />
          <Settings />
          <LogOut />
          <Button kind="quiet" onClick={() => setHelp(true)} aria-label="Keys of this screen">
            ?
          </Button>
        </div>
      </header>
      <Away />
      <main id="main" tabIndex={-1} className="relative flex min-h-0 flex-1 flex-col overflow-auto">
        <Outlet />
      </main>
      <footer className="no-print flex h-6 shrink-0 items-center gap-4 border-t border-line bg-panel px-3 text-[11px] text-quiet">
        <a href="/docs" className="hover:text-ink">
          API
        </a>
        <a href="/dagster" className="hover:text-ink">
          Dagster
        </a>
        <span className="ml-auto hidden truncate md:inline">
          Charts: Lightweight Charts™, Copyright (c) 2025 TradingView, Inc.{" "}
          <a href="https://www.tradingview.com/" rel="noreferrer" className="underline hover:text-ink">
            tradingview.com
          </a>
        </span>
      </footer>
      <Modal open={help} onOpenChange={setHelp} title="Keys of this screen">
        {help && <Keys />}
      </Modal>
      <Login />
      {palette && <CommandPalette onClose={() => setPalette(false)} />}
    </>
  );
}

/** Says that the service does not answer, and asks until it does. */
function Away(): ReactNode {
  const away = useSyncExternalStore(watchService, serviceIsAway);
  useEffect(() => {
    if (!away) return;
    let wait = 1_000;
    let timer = 0;
    const ask = () => {
      wait = Math.min(wait * 1.6, 15_000);
      getJson("/api/health").catch(() => {
        timer = window.setTimeout(ask, wait);
      });
    };
    timer = window.setTimeout(ask, wait);
    return () => window.clearTimeout(timer);
  }, [away]);
  if (!away) return null;
  return (
    <div role="alert" className="shrink-0 border-b border-warn bg-warn-soft px-3 py-1 text-warn">
      The service does not answer. What you see is from before; it is asked again until it is back. Started with:{" "}
      <code className="mono">odum serve</code>
    </div>
  );
}

const ZONES = ["UTC", "local", "Europe/London", "Europe/Berlin", "America/New_York", "America/Chicago", "Asia/Tokyo", "Asia/Singapore"];

function ZoneChoice(): ReactNode {
  const [{ tz }, setUrl] = useUrl();
  const zone = useZone();
  const options = ZONES.includes(tz ?? "UTC") ? ZONES : [...ZONES, zone];
  return (
    <label className="flex items-center">
      <span className="sr-only">Time zone</span>
      <select className="field border-transparent bg-transparent text-quiet [field-sizing:content]" value={tz ?? "UTC"} onChange={(event) => setUrl({ tz: event.target.value === "UTC" ? undefined : event.target.value })}>
        {options.map((one) => (
          <option key={one} value={one}>
            {one === "local" ? "Local time" : one}
          </option>
        ))}
      </select>
    </label>
  );
}

function Settings(): ReactNode {
  return (
    <Pop
      title="Display"
      trigger={
        <Button kind="quiet" aria-label="Display settings">
          ◐
        </Button>
      }
    >
      <div className="flex w-64 flex-col gap-3">
        <Radio label="Theme" of={theme} options={[["system", "System"], ["light", "Light"], ["dark", "Dark"]]} />
        <Radio label="Gain and loss" of={sides} options={[["blue", "Blue, orange"], ["green", "Green, red"]]} />
        <Radio label="Rows" of={density} options={[["dense", "Dense"], ["roomy", "Roomy"]]} />
        <Radio label="Single-letter keys" of={letters} options={[["on", "On"], ["off", "Off"]]} />
      </div>
    </Pop>
  );
}

function Radio<T extends string>({ label, of, options }: { label: string; of: Choice<T>; options: readonly (readonly [T, string])[] }): ReactNode {
  const value = of.use();
  return (
    <fieldset>
      <legend className="label mb-1">{label}</legend>
      <div className="flex rounded-[5px] border border-line">
        {options.map(([id, text]) => (
          <label key={id} className={cx("flex-1 cursor-pointer rounded-[4px] px-2 py-1 text-center has-focus-visible:outline-2", value === id && "bg-accent-soft text-accent")}>
            <input type="radio" className="sr-only" name={label} checked={value === id} onChange={() => of.set(id)} />
            {text}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function Keys(): ReactNode {
  const groups = Object.entries(Object.groupBy(keysNow(), (key) => key.scope));
  return (
    <div className="grid gap-5 sm:grid-cols-2">
      {groups.map(([scope, keys]) => (
        <section key={scope}>
          <h3 className="label mb-1">{scope}</h3>
          <dl className="grid grid-cols-[7rem_1fr] gap-y-1">
            {keys?.map((key) => (
              <div key={key.keys} className="contents">
                <dt className="flex flex-wrap gap-1">
                  {key.keys.split("|").map((one) => (
                    <kbd key={one} className="mono rounded border border-line bg-raised px-1">
                      {one.replace("mod+", "⌘/Ctrl ").replace("Arrow", "")}
                    </kbd>
                  ))}
                </dt>
                <dd>{key.label}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </div>
  );
}
