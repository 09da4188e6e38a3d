import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useMemo, type ReactNode } from "react";
import { getJson } from "../../api/client";
import { isActive, shortInstrument } from "../../api/runs";
import type { components } from "../../api/schema";
import { useKey } from "../../app/keys";
import { useUrl, useZone } from "../../app/search";
import { Button, Dash, Money, Num, Panel, Percent, ScreenHead, Status, Tag, useTitle } from "../../components/basics";
import { Empty, Loaded, Skeleton } from "../../components/states";
import { count, shortConfig, words } from "../../lib/format";
import { formatNs, parseNs } from "../../lib/ns";
import { listOf, toggled } from "../../lib/url";

type Sweeps = components["schemas"]["Sweeps"];
type Sweep = components["schemas"]["Sweep"];
type Variant = components["schemas"]["SweepVariant"];

/** Sweeps: all of them, or one with its variants. */
export function SweepsScreen(): ReactNode {
  const { sweepId } = useParams({ strict: false }) as { sweepId?: string };
  return sweepId ? <One id={sweepId} /> : <All />;
}

function All(): ReactNode {
  useTitle("Sweeps");
  const zone = useZone();
  const query = useQuery({
    queryKey: ["sweeps"],
    queryFn: ({ signal }) => getJson<Sweeps>("/api/v1/sweeps?limit=200", signal),
    refetchInterval: ({ state }) => (state.data?.sweeps.some(isActive) ? 2_000 : 15_000),
  });
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title="Sweeps" command={`curl ${window.location.origin}/api/v1/sweeps`} />
      <Loaded query={query} place={<Skeleton className="h-64" />}>
        {({ sweeps, total }) => (
          <Panel>
            {sweeps.length ? (
              <table className="plain-table">
                <thead>
                  <tr>
                    <th scope="col">Sweep</th>
                    <th scope="col">Config</th>
                    <th scope="col">Instrument</th>
                    <th scope="col">Day</th>
                    <th scope="col">Status</th>
                    <th scope="col" className="num">Variants</th>
                    <th scope="col">Created</th>
                  </tr>
                </thead>
                <tbody>
                  {sweeps.map((one) => (
                    <tr key={one.id}>
                      <td>
                        <Link to="/sweeps/$sweepId" params={{ sweepId: one.id }} className="mono text-accent hover:underline">
                          {one.id}
                        </Link>{" "}
                        {one.kind === "vectorized" && <Tag title="The Numba kernel ran it over bars">vectorized</Tag>}
                      </td>
                      <td title={one.config}>{shortConfig(one.config)}</td>
                      <td>{shortInstrument(one.instrument)}</td>
                      <td>{one.partition ?? <Dash why="over several sessions" />}</td>
                      <td><Status status={one.status} /></td>
                      <td className="num">{count(one.variants)}</td>
                      <td>{one.created_at ? formatNs(parseNs(one.created_at) ?? 0n, zone, 0) : <Dash />}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            ) : (
              <Empty title="There are no sweeps yet" command="odum sweep --help">A sweep runs variants of one configuration over the same day.</Empty>
            )}
            {total > sweeps.length && <p className="label pt-2">The newest {count(sweeps.length)} of {count(total)}.</p>}
          </Panel>
        )}
      </Loaded>
    </div>
  );
}

const SHARES = /return|drawdown$|win_rate|volatility|cagr/;
const FIRST = ["pnl", "total_return", "max_drawdown", "sharpe_ratio", "orders", "fills", "total_trades", "win_rate", "profit_factor"];

function One({ id }: { id: string }): ReactNode {
  useTitle(`Sweep ${id}`);
  const [search, setUrl] = useUrl();
  const navigate = useNavigate();
  const query = useQuery({
    queryKey: ["sweep", id, search.sort ?? ""],
    queryFn: ({ signal }) => getJson<Sweep>(`/api/v1/sweeps/${encodeURIComponent(id)}?limit=2000${search.sort ? `&sort=${encodeURIComponent(search.sort)}` : ""}`, signal),
    refetchInterval: ({ state }) => (state.data && isActive(state.data) ? 1_500 : false),
  });
  const selected = useMemo(() => listOf(search.sel), [search.sel]);
  const compare = () => selected.length > 1 && void navigate({ to: "/compare", search: { ids: selected.slice(0, 20).join(",") } as never });
  useKey("c", "Compare the selected variants", compare, "Sweep");
  const open = (variant: Variant, isShift: boolean) => {
    if (!variant.run_id) return;
    if (isShift) setUrl({ sel: toggled(selected, variant.run_id).join(",") || undefined });
    else void navigate({ to: "/runs/$runId", params: { runId: variant.run_id } });
  };
  return (
    <div className="flex flex-col gap-3 p-3">
      <ScreenHead title={`Sweep ${id}`} command={`curl ${window.location.origin}/api/v1/sweeps/${id}`}>
        {query.data && <Status status={query.data.status} />}
        {query.data && <span className="text-quiet">{shortConfig(query.data.config)} · {query.data.partition ?? ""} · {Object.entries(query.data.by_status).map(([status, number]) => `${count(number)} ${status}`).join(", ")}</span>}
        <Button small disabled={selected.length < 2} onClick={compare}>Compare {selected.length || ""}</Button>
      </ScreenHead>
      <Loaded query={query} place={<Skeleton className="h-96" />}>
        {(sweep) => (
          <Panel title="Variants" aside={<span className="label">click opens, shift-click selects</span>}>
            <Variants sweep={sweep} sort={search.sort ?? ""} selected={selected} onSort={(sort) => setUrl({ sort })} onOpen={open} />
          </Panel>
        )}
      </Loaded>
    </div>
  );
}

function Variants({ sweep, sort, selected, onSort, onOpen }: { sweep: Sweep; sort: string; selected: string[]; onSort(sort: string): void; onOpen(variant: Variant, isShift: boolean): void }): ReactNode {
  const figures = [...FIRST.filter((name) => sweep.figures.includes(name)), ...sweep.figures.filter((name) => !FIRST.includes(name))].slice(0, 10);
  return (
    <div className="max-h-[calc(100dvh-11rem)] overflow-auto" tabIndex={0} role="region" aria-label="Variants">
      <table className="plain-table">
        <thead className="sticky top-0 bg-panel">
          <tr>
            <th scope="col" className="num">#</th>
            {sweep.axes.map((axis) => <th key={axis.path} scope="col" title={axis.path}>{axis.name}</th>)}
            <th scope="col">Status</th>
            {figures.map((name) => (
              <th key={name} scope="col" className="num">
                <button type="button" className="hover:text-ink" onClick={() => onSort(sort === `-${name}` ? name : `-${name}`)}>
                  {words(name)} {sort === `-${name}` ? "↓" : sort === name ? "↑" : ""}
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sweep.rows.map((row) => (
            <tr key={row.number} className={row.run_id ? "cursor-pointer hover:bg-raised" : ""} aria-selected={row.run_id ? selected.includes(row.run_id) : undefined} onClick={(event) => onOpen(row, event.shiftKey)}>
              <td className="num">{selected.includes(row.run_id ?? "-") ? <span className="text-accent">✓</span> : row.run_id ? <Link to="/runs/$runId" params={{ runId: row.run_id }} className="text-accent hover:underline">{row.number}</Link> : row.number}</td>
              {sweep.axes.map((axis) => <td key={axis.path}>{text(row.varied[axis.path])}</td>)}
              <td><span title={row.error ?? ""}><Status status={row.status} /></span>{row.flags.length > 0 && <Tag tone="warn" title={row.flags.join("\n")}>⚠ {row.flags.length}</Tag>}</td>
              {figures.map((name) => <td key={name} className="num"><Figure name={name} value={row.figures[name] ?? null} /></td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function text(value: unknown): string {
  return value === undefined ? "—" : typeof value === "string" ? value : JSON.stringify(value);
}

function Figure({ name, value }: { name: string; value: number | null }): ReactNode {
  if (value === null) return <Dash />;
  if (name === "pnl") return <Money value={value} />;
  if (SHARES.test(name)) return <Percent value={value} tinted={/return|drawdown/.test(name)} />;
  return Number.isInteger(value) ? count(value) : <Num value={value} digits={2} />;
}
