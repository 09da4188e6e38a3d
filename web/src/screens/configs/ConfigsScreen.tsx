import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { configsQuery, loadConfig, schemaQuery, type Configs } from "../../api/configs";
import { shortInstrument } from "../../api/runs";
import { useKey } from "../../app/keys";
import { useUrl } from "../../app/search";
import { Button, buttonClass, Dash, Hash, Panel, ScreenHead, Tag, useTitle } from "../../components/basics";
import { Empty, Failure, Loaded, Skeleton } from "../../components/states";
import { writeJson } from "../../lib/json";
import { formOf, startOf } from "../../lib/schema";
import { Editor } from "./Editor";

/** Run configurations: which there are and what is wrong with them; one of them, to edit. */
export function ConfigsScreen(): ReactNode {
  const { name } = useParams({ strict: false }) as { name?: string };
  const [search] = useUrl();
  if (name) return <One key={name} name={name} />;
  return search.new === "1" ? <New /> : <All />;
}

const FEW = 3;

function All(): ReactNode {
  useTitle("Configs");
  const [search, setUrl] = useUrl();
  const query = useQuery(configsQuery);
  useKey("a", "A new configuration", () => setUrl({ new: "1" }, { push: true }), "Configurations");
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="Configs" command="odum config validate">
        <Button kind="primary" small onClick={() => setUrl({ new: "1" }, { push: true })}>New configuration…</Button>
      </ScreenHead>
      <Loaded query={query} place={<Skeleton className="h-64" />}>
        {({ configs, problems }) => {
          const shown = configs.filter((one) => `${one.name} ${one.instrument ?? ""}`.toLowerCase().includes((search.q ?? "").toLowerCase()));
          return (
            <Panel flush>
              {problems.map((one) => (
                <p key={one} className="breaks px-3 pt-2 text-warn">⚠ {one}</p>
              ))}
              {configs.length > 0 && (
                <div className="flex items-center gap-3 px-3 pt-3 pb-1">
                  <input data-filter className="field w-72 max-w-full" aria-label="Filter by name or instrument" placeholder="Filter by name or instrument  /" value={search.q ?? ""} onChange={(event) => setUrl({ q: event.target.value || undefined })} />
                  <span className="label">{shown.length === configs.length ? "" : `${shown.length} of `}{configs.length === 1 ? "1 configuration" : `${configs.length} configurations`}</span>
                </div>
              )}
              {configs.length ? (
                <div className="overflow-x-auto px-3 pb-3" tabIndex={0} role="region" aria-label="Configurations">
                  <ConfigTable configs={shown} />
                  {!shown.length && <Empty title={`No configuration has "${search.q}" in its name or instrument`} />}
                </div>
              ) : (
                <Empty title="There are no configurations" command="odum init ." />
              )}
            </Panel>
          );
        }}
      </Loaded>
    </div>
  );
}

function ConfigTable({ configs }: { configs: Configs["configs"] }): ReactNode {
  return (
    <table className="plain-table">
      <thead>
        <tr>
          <th scope="col">Configuration</th>
          <th scope="col">Instrument</th>
          <th scope="col">Valid</th>
          <th scope="col" className="max-lg:hidden">Hash</th>
          <th scope="col"><span className="sr-only">Actions</span></th>
        </tr>
      </thead>
      <tbody>
        {configs.map((one) => (
          <tr key={one.name}>
            <td>
              <Link to="/configs/$name" params={{ name: one.name }} className="breaks text-accent hover:underline">{one.name}</Link>
            </td>
            <td className="whitespace-nowrap">{one.instrument ? <span title={one.instrument}>{shortInstrument(one.instrument)}</span> : <Dash why="of several instruments, or not readable" />}</td>
            <td>
              {one.valid ? <span className="whitespace-nowrap text-good">✓ valid</span> : <Tag tone="bad">invalid</Tag>}
              {one.problems.slice(0, FEW).map((problem) => (
                <p key={problem} className="breaks text-bad">{problem}</p>
              ))}
              {one.problems.length > FEW && <p className="text-quiet">and {one.problems.length - FEW} more</p>}
            </td>
            <td className="max-lg:hidden"><Hash value={one.hash} /></td>
            <td className="text-right whitespace-nowrap">
              <Link to="/" search={{ config: one.name } as never} className={buttonClass("quiet", true)}>Runs</Link>
              <Link to="/configs" search={{ new: "1", from: one.name } as never} className={buttonClass("quiet", true)}>Duplicate…</Link>
              {one.valid ? (
                <Link to="/launch" search={{ config: one.name } as never} className={buttonClass("plain", true)}>Launch…</Link>
              ) : (
                <Link to="/configs/$name" params={{ name: one.name }} className={buttonClass("plain", true)}>Fix…</Link>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function One({ name }: { name: string }): ReactNode {
  useTitle(name);
  const query = useQuery({ queryKey: ["config-file", name], queryFn: ({ signal }) => loadConfig(name, signal), staleTime: 0, gcTime: 0, refetchOnReconnect: false });
  // Kept over a new login, which has everything asked again: what is typed must not go.
  const [first, setFirst] = useState(query.data);
  if (query.data && !first) setFirst(query.data);
  if (first) return <Editor name={name} stored={first} initial={first.text} />;
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title={<span className="breaks">{name}</span>} />
      {query.error ? <Failure error={query.error} retry={() => void query.refetch()} /> : <Skeleton className="h-96" />}
    </div>
  );
}

const KINDS = { ticks: "trades and books, from the schema", bars: "bars, from the schema" } as const;
const NAME = /^[a-z0-9_]{1,120}$/;

/** A new configuration: its name, and what it starts from; then it is edited like any other. */
function New(): ReactNode {
  useTitle("New configuration");
  const [search, setUrl] = useUrl();
  const configs = useQuery(configsQuery);
  const schema = useQuery(schemaQuery);
  const kind = search.from ? null : search.kind === "bars" ? "bars" : "ticks";
  const copied = useQuery({ queryKey: ["config-file", search.from], queryFn: ({ signal }) => loadConfig(search.from!, signal), enabled: !!search.from });
  const [name, setName] = useState(search.from ? `${search.from}_copy` : "");
  const [initial, setInitial] = useState<string | null>(null);
  // What was edited under another name goes on under the next one.
  const [kept, setKept] = useState<string | null>(null);
  if (initial !== null) {
    const rename = (text: string) => {
      setKept(text === initial ? kept : text);
      setInitial(null);
    };
    return <Editor name={name} stored={null} initial={initial} onRename={rename} />;
  }
  const isTaken = configs.data?.configs.some((one) => one.name === name) ?? false;
  const why = name && !NAME.test(name) ? "Small letters, digits and _, up to 120." : isTaken ? "There is one of this name." : null;
  const source = kind ? (schema.data === undefined ? null : writeJson(startOf(formOf(schema.data, kind === "bars" ? new Map([["kind", "bars"]]) : new Map()))) + "\n") : (copied.data?.text ?? null);
  const error = schema.error ?? copied.error ?? configs.error;
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="New configuration" command="odum config schema" />
      {error ? <Failure error={error} retry={() => void (schema.refetch(), configs.refetch(), search.from && copied.refetch())} /> : null}
      <Panel className="max-w-[640px]">
        <form
          className="flex flex-col gap-3 pt-2"
          onSubmit={(event) => {
            event.preventDefault();
            if (source !== null && name && !why) setInitial(kept ?? source);
          }}
        >
          <label className="flex flex-col gap-1">
            <span className="label">Name</span>
            <input className="field" autoFocus autoComplete="off" spellCheck={false} value={name} placeholder="my_config" aria-invalid={why !== null} aria-describedby="name-problem" onChange={(event) => setName(event.target.value)} />
            <span id="name-problem" className="min-h-4 text-[12px] text-bad">{why}</span>
          </label>
          {kept !== null ? <p className="text-quiet">What you have edited is kept. <button type="button" className="underline hover:text-ink" onClick={() => setKept(null)}>Start again instead</button></p> : <label className="flex flex-col gap-1">
            <span className="label">Starts from</span>
            <select className="field" value={search.from ?? `:${kind}`} onChange={(event) => setUrl(event.target.value.startsWith(":") ? { from: undefined, kind: event.target.value === ":bars" ? "bars" : undefined } : { from: event.target.value, kind: undefined })}>
              <optgroup label="Nothing but what must be given">
                {Object.entries(KINDS).map(([id, label]) => (
                  <option key={id} value={`:${id}`}>{label}</option>
                ))}
              </optgroup>
              <optgroup label="A copy of">
                {configs.data?.configs.map((one) => (
                  <option key={one.name}>{one.name}</option>
                ))}
              </optgroup>
            </select>
          </label>}
          <div className="flex items-center gap-2">
            <Button type="submit" kind="primary" disabled={!name || why !== null || source === null}>Edit it</Button>
            <Link to="/configs" className={buttonClass("plain")}>Cancel</Link>
            <span className="label">Nothing is stored before you save it.</span>
          </div>
        </form>
      </Panel>
    </div>
  );
}
