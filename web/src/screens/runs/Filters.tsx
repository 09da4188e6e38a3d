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
          const number = facets.data?.status?.[status];
          if (number === undefined && !isOn && facets.data) return null;
          return (
            <button
              key={status}
              type="button"
              aria-pressed={isOn}
              className={cx("inline-flex h-7 items-center gap-1 rounded-[5px] border px-2", isOn ? "border-accent bg-accent-soft text-accent" : "border-line bg-panel hover:bg-raised")}
              onClick={() => setUrl({ status: toggled(statuses, status).join(",") || undefined })}
            >
              {status} <span className="text-[12px] text-quiet">{number === undefined ? "" : count(number)}</span>
            </button>
          );
        })}
        <button
          type="button"
          aria-pressed={search.flagged === "true"}
          className={cx("inline-flex h-7 items-center gap-1 rounded-[5px] border px-2", search.flagged ? "border-accent bg-accent-soft text-accent" : "border-line bg-panel hover:bg-raised")}
          onClick={() => setUrl({ flagged: search.flagged ? undefined : "true" })}
        >
          <span aria-hidden="true">⚠</span> flagged
        </button>
      </div>
      <Choice label="All configs" name="config" value={search.config} options={facets.data?.config_name} short={shortConfig} />
      <Choice label="All instruments" name="instrument" value={search.instrument} options={facets.data?.instrument} short={shortInstrument} />
      <Choice label="All days" name="partition" value={search.partition} options={facets.data?.partition} short={(one) => one} />
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

function Choice({ label, name, value, options, short }: { label: string; name: string; value: string | undefined; options: Record<string, number> | undefined; short(one: string): string }): ReactNode {
  const [, setUrl] = useUrl();
  const names = Object.keys(options ?? {});
  if (value && !names.includes(value)) names.unshift(value);
  if (names.length < 2 && !value) return null;
  return (
    <select aria-label={label} className={cx("field max-w-52", value && "border-accent text-accent")} value={value ?? ""} onChange={(event) => setUrl({ [name]: event.target.value || undefined })}>
      <option value="">{label}</option>
      {names.map((one) => (
        <option key={one} value={one}>
          {short(one)}
          {options?.[one] === undefined ? "" : ` (${count(options[one])})`}
        </option>
      ))}
    </select>
  );
}
