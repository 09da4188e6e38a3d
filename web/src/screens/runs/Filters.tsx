import { useQuery } from "@tanstack/react-query";
import { useEffect, useState, type ReactNode } from "react";
import { loadFacets } from "../../api/facets";
import { useUrl } from "../../app/search";
import { cx } from "../../components/basics";
import { shortInstrument } from "../../api/runs";
import { count, shortConfig } from "../../lib/format";
import { listOf, toggled } from "../../lib/url";
import { filterOf } from "./RunsScreen";

const STATUSES = ["succeeded", "running", "queued", "failed", "canceled"];

const TOGGLES = [
  ["flagged", "⚠", "flagged", "flagged"],
  ["star", "★", "starred", "star"],
  ["verified", "✓", "verified", "verified"],
] as const;

const chip = (isOn: boolean) => cx("inline-flex h-7 items-center gap-1 rounded-[5px] border px-2 whitespace-nowrap", isOn ? "border-accent bg-accent-soft text-accent" : "border-line bg-panel hover:bg-raised");

/** Filters of the list: each is in the address. */
export function Filters(): ReactNode {
  const [search, setUrl] = useUrl();
  const filter = filterOf(search);
  const facets = useQuery({ queryKey: ["facets", filter], queryFn: ({ signal }) => loadFacets(filter, signal), placeholderData: (before) => before, refetchInterval: 10_000 });
  const statuses = listOf(search.status);
  return (
    <>
      <SearchField />
      <div className="flex items-center gap-1" role="group" aria-label="Status">
        {STATUSES.map((status) => {
          const isOn = statuses.includes(status);
          const number = facets.data?.status.find((one) => one.value === status)?.runs;
          if (number === undefined && !isOn && facets.data) return null;
          return (
            <button
              key={status}
              type="button"
              aria-pressed={isOn}
              className={chip(isOn)}
              onClick={() => setUrl({ status: toggled(statuses, status).join(",") || undefined })}
            >
              {status} <span className="text-[12px] text-quiet">{number === undefined ? "" : count(number)}</span>
            </button>
          );
        })}
        {TOGGLES.map(([name, sign, label, field]) => {
          const isOn = search[name] === "true";
          const number = facets.data?.[field];
          if (!number && !isOn) return null;
          return (
            <button key={name} type="button" aria-pressed={isOn} className={chip(isOn)} onClick={() => setUrl({ [name]: isOn ? undefined : "true" })}>
              <span aria-hidden="true">{sign}</span> {label} <span className="text-[12px] text-quiet">{count(number)}</span>
            </button>
          );
        })}
      </div>
      <Choice label="All configs" name="config" value={search.config} options={facets.data?.config_name} short={shortConfig} />
      <Choice label="All instruments" name="instrument" value={search.instrument} options={facets.data?.instrument} short={shortInstrument} />
      <Choice label="All tags" name="tag" value={search.tag} options={facets.data?.tag} short={(one) => one} />
      {search.partition && (
        <button type="button" className={chip(true)} onClick={() => setUrl({ partition: undefined })}>
          {search.partition} <span aria-hidden="true">✕</span>
          <span className="sr-only">: remove this filter</span>
        </button>
      )}
    </>
  );
}

function SearchField(): ReactNode {
  const [search, setUrl] = useUrl();
  const [text, setText] = useState(search.q ?? "");
  useEffect(() => setText(search.q ?? ""), [search.q]);
  useEffect(() => {
    if (text === (search.q ?? "")) return;
    const timer = window.setTimeout(() => setUrl({ q: text || undefined }), 200);
    return () => window.clearTimeout(timer);
  }, [text, search.q, setUrl]);
  return (
    <input
      data-filter
      type="search"
      className="field w-56"
      placeholder="Search runs  ( / )"
      aria-label="Search runs by id, configuration, instrument or tag"
      value={text}
      onChange={(event) => setText(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter") setUrl({ q: text || undefined });
      }}
    />
  );
}

function Choice({ label, name, value, options, short }: { label: string; name: string; value: string | undefined; options: { value: string; runs: number }[] | undefined; short(one: string): string }): ReactNode {
  const [, setUrl] = useUrl();
  const known = options ?? [];
  const all = value && !known.some((one) => one.value === value) ? [{ value, runs: 0 }, ...known] : known;
  if (all.length < 2 && !value) return null;
  return (
    <select aria-label={label} className={cx("field max-w-52", value && "border-accent text-accent")} value={value ?? ""} onChange={(event) => setUrl({ [name]: event.target.value || undefined })}>
      <option value="">{label}</option>
      {all.map((one) => (
        <option key={one.value} value={one.value}>
          {short(one.value)} ({count(one.runs)})
        </option>
      ))}
    </select>
  );
}
