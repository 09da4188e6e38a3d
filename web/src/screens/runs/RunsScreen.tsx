import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { loadRun, loadRuns, type Run, type RunFilter, type Runs } from "../../api/runs";
import { useKey } from "../../app/keys";
import { useUrl, useZone } from "../../app/search";
import { Button, cx, ScreenHead, useTitle } from "../../components/basics";
import { DataTable, type Column } from "../../components/DataTable";
import { Empty } from "../../components/states";
import type { Block } from "../../components/useRows";
import { useWidth } from "../../components/useWidth";
import { count } from "../../lib/format";
import { listOf, toggled, type Search } from "../../lib/url";
import { ColumnPicker } from "./ColumnPicker";
import { runColumns, standardColumns, type RunColumn } from "./columns";
import { Filters } from "./Filters";
import { GroupChoice, GROUPS, groupOf, GroupsTable } from "./Groups";
import { Views } from "./Views";

const NEWEST = "-executed_at";
const MOST_COMPARED = 20;
const CHECKBOX = 34;
/** What the table's width is needed for beside columns: checkboxes and the scroll bar, in px. */
const BESIDE = CHECKBOX + 16;

/** Return what the service is asked for by the address. */
export function filterOf(search: Search): RunFilter {
  return {
    q: search.q,
    status: listOf(search.status),
    config_name: search.config,
    instrument: search.instrument,
    partition: search.partition,
    detail: search.mode,
    sweep_id: search.sweep,
    flagged: search.flagged,
    star: search.star,
    verified: search.verified,
    tag: search.tag,
    executed_from: search.from && day(search.from, 0),
    executed_to: search.to && day(search.to, 1),
  };
}

function day(text: string, later: number): string | undefined {
  const ms = Date.parse(text.length === 10 ? `${text}T00:00:00Z` : text);
  return Number.isNaN(ms) ? undefined : new Date(ms + later * 86_400_000).toISOString();
}

/** All runs: filtered and sorted by the service, drawn row by row. */
export function RunsScreen(): ReactNode {
  useTitle("Runs");
  const [search, setUrl] = useUrl();
  const zone = useZone();
  const navigate = useNavigate();
  const client = useQueryClient();
  const sort = search.sort ?? NEWEST;
  const filter = useMemo(() => filterOf(search), [search]);
  const group = groupOf(search.group);
  const [total, setTotal] = useState<number | null>(null);
  const [groups, setGroups] = useState<number | null>(null);
  useEffect(() => setGroups(null), [group]);
  const [head, setHead] = useState<Block<Run>>({ rows: [], total: Number.POSITIVE_INFINITY });
  const key = ["runs", filter, sort];
  const { fresh, overlay } = useNews(filter, head.total);

  const load = useCallback(
    async (offset: number, limit: number, signal: AbortSignal) => {
      const page = await loadRuns({ ...filter, sort, offset, limit }, signal);
      return { rows: page.runs, total: page.total };
    },
    [filter, sort],
  );

  const selected = useMemo(() => new Set(listOf(search.sel)), [search.sel]);
  const mark = (run: Run) => setUrl({ sel: toggled([...selected], run.run_id).join(",") || undefined });
  const all = useMemo(() => runColumns(zone), [zone]);
  const [box, width] = useWidth<HTMLDivElement>();
  const standard = useMemo(() => standardColumns(all, width - BESIDE), [all, width]);
  const chosen = useMemo(() => chosenColumns(all, standard, search.cols), [all, standard, search.cols]);
  const shown = useMemo(() => {
    const differing = search.diff ? chosen.filter((column) => column.id === "run_id" || differs(column, head.rows)) : chosen;
    return [checkbox(selected, mark), ...differing.map((column) => live(column, overlay))];
    // `mark` follows from what is selected.
    // eslint-disable-next-line
  }, [chosen, search.diff, head, overlay, selected]);

  const compare = () => {
    const ids = [...selected];
    if (ids.length >= 2) void navigate({ to: "/compare", search: { ids: ids.slice(0, MOST_COMPARED).join(","), tz: search.tz } as never });
  };
  const [reveal, setReveal] = useState<{ index: number } | null>(null);
  const showNew = () => {
    void client.resetQueries({ queryKey: ["runs"] });
    setReveal({ index: 0 });
  };
  useKey("c", "Compare the selected runs", compare, "Runs");
  useKey("r", "Show new runs", showNew, "Runs");
  const isFiltered = Object.values(filter).some((value) => (Array.isArray(value) ? value.length : value));
  return (
    <div className="flex min-h-0 flex-1 flex-col gap-2 p-3 pb-0">
      <ScreenHead title="Runs" command={group ? command({ ...filter, by: GROUPS[group].column }, NEWEST, "runs/groups") : command(filter, sort)}>
        <span className="text-quiet" role="status">
          {group ? (groups === null ? "…" : `${count(groups)} ${groups === 1 ? "group" : "groups"} by ${GROUPS[group].label.toLowerCase()}`) : total === null ? "…" : `${count(total)} ${total === 1 ? "run" : "runs"}`}
        </span>
        <Button small kind="primary" className={cx(!fresh && "invisible")} onClick={showNew}>
          {count(fresh)} new
        </Button>
      </ScreenHead>
      <div className="flex flex-wrap items-center gap-2">
        <Filters />
        <span className="ml-auto flex items-center gap-2">
          <Button disabled={selected.size < 2 || selected.size > MOST_COMPARED} onClick={compare} title={selected.size > MOST_COMPARED ? `up to ${MOST_COMPARED} runs` : "select two or more runs with x"}>
            Compare{selected.size > 0 && ` ${selected.size}`}
          </Button>
          {selected.size > 0 && (
            <Button kind="quiet" onClick={() => setUrl({ sel: undefined })}>
              Clear selection
            </Button>
          )}
          <GroupChoice />
          <Views />
          {!group && <ColumnPicker all={all} chosen={chosen} standard={standard} differing={!!search.diff} />}
        </span>
      </div>
      <div ref={box} className="panel flex min-h-0 flex-1 flex-col overflow-hidden rounded-b-none border-b-0">
        {group ? <GroupsTable key={group} by={group} filter={filter} onTotal={setGroups} /> : (
        <DataTable
          label="Runs"
          columns={shown}
          queryKey={key}
          load={load}
          rowId={(run) => run.run_id}
          sort={sort}
          onSort={(next) => setUrl({ sort: next === NEWEST ? undefined : next })}
          marked={selected}
          onMark={mark}
          onOpen={(run) => void navigate({ to: "/runs/$runId", params: { runId: run.run_id }, search: (search.tz ? { tz: search.tz } : {}) as never })}
          onTotal={setTotal}
          onHead={setHead}
          reveal={reveal}
          scope="Runs"
          empty={
            isFiltered ? (
              <Empty title="No run fits these filters">
                <Button className="mt-1" onClick={() => setUrl(Object.fromEntries(FILTERS.map((name) => [name, undefined])))}>
                  Remove the filters
                </Button>
              </Empty>
            ) : (
              <Empty title="There are no runs yet" command="odum demo">
                Sample data with eight runs come with the command below, in this folder. Or launch one of your own: press n.
              </Empty>
            )
          }
        />
        )}
      </div>
    </div>
  );
}

const FILTERS = ["q", "status", "config", "instrument", "partition", "mode", "sweep", "flagged", "star", "verified", "tag", "from", "to"] as const;

function chosenColumns(all: RunColumn[], standard: RunColumn[], cols: string | undefined): RunColumn[] {
  const names = listOf(cols);
  return names.length ? all.filter((column) => names.includes(column.id)) : standard;
}

function differs(column: RunColumn, runs: Run[]): boolean {
  return runs.some((run) => column.value(run) !== column.value(runs[0]!));
}

/** A column that shows an active run as it stands now. */
function live(column: RunColumn, overlay: ReadonlyMap<string, Run>): Column<Run> {
  return { ...column, cell: (run) => column.cell(overlay.get(run.run_id) ?? run) };
}

function checkbox(selected: ReadonlySet<string>, mark: (run: Run) => void): Column<Run> {
  return {
    id: "select",
    label: "",
    title: "Selected",
    width: CHECKBOX,
    cell: (run) => (
      <input type="checkbox" className="size-3.5 accent-accent align-middle" aria-label={`Select ${run.run_id}`} checked={selected.has(run.run_id)} onChange={() => mark(run)} />
    ),
  };
}

/** Ask, while the tab is seen, how many runs came meanwhile, and where active ones stand. */
function useNews(filter: RunFilter, listed: number): { fresh: number; overlay: ReadonlyMap<string, Run> } {
  const active = useQuery({
    queryKey: ["active"],
    queryFn: ({ signal }) => loadRuns({ status: ["queued", "running"], limit: 200 }, signal),
    refetchInterval: 2_000,
    staleTime: 0,
  });
  const newest = useQuery({
    queryKey: ["newest", filter],
    queryFn: ({ signal }) => loadRuns({ ...filter, limit: 1 }, signal),
    refetchInterval: 4_000,
    // The list has just been asked for: none is newer.
    initialData: { total: 0 } as Runs,
    staleTime: 3_000,
  });
  const [overlay, setOverlay] = useState<ReadonlyMap<string, Run>>(new Map());
  const before = useRef<ReadonlySet<string>>(new Set());
  useEffect(() => {
    if (!active.data) return;
    const now = new Map(active.data.runs.map((run) => [run.run_id, run]));
    const ended = [...before.current].filter((id) => !now.has(id));
    before.current = new Set(now.keys());
    if (now.size || ended.length) setOverlay((old) => new Map([...old, ...now]));
    for (const id of ended) {
      loadRun(id).then(
        (run) => setOverlay((old) => new Map([...old, [id, run]])),
        () => undefined,
      );
    }
  }, [active.data]);
  const fresh = Math.max(0, newest.data.total - listed);
  return { fresh, overlay };
}

function command(filter: RunFilter, sort: string, path = "runs"): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries({ ...filter, ...(sort === NEWEST ? {} : { sort }) })) {
    for (const one of Array.isArray(value) ? value : [value]) if (one) parts.push(`${name}=${encodeURIComponent(String(one))}`);
  }
  return parts.length ? `curl '${window.location.origin}/api/v1/${path}?${parts.join("&")}'` : "odum results list";
}
