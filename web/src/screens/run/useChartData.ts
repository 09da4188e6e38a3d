import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { loadBars, loadCurve } from "../../api/charts";
import { resultQuery, type Result } from "../../api/result";
import type { WholeRun } from "../../api/runs";
import { useUrl } from "../../app/search";
import { loadedSpan, type Span } from "../../charts/window";
import { wholeSpan } from "./wholeSpan";

/** Return a number of ns that the address has. */
export function numberOf(text: string | undefined): bigint | null {
  return text && /^\d{1,20}$/.test(text) ? BigInt(text) : null;
}

/** Return the window and instrument that the address names, and what the chart shows of them. */
export function useChartData(run: WholeRun) {
  const [search] = useUrl();
  const whole = useMemo(() => wholeSpan(run), [run]);
  const seen = useMemo<Span>(() => {
    const [from, to] = [numberOf(search.t0), numberOf(search.t1)];
    return from !== null && to !== null && to > from ? { from, to } : whole;
  }, [search.t0, search.t1, whole]);
  const load = useMemo(() => loadedSpan(seen, whole), [seen, whole]);
  const key = [run.run_id, run.digest, load.from.toString(), load.to.toString(), load.points];
  const result = useQuery(resultQuery(run));
  const instruments = instrumentsOf(run, result.data);
  const instrument = instruments.includes(search.instrument ?? "") ? search.instrument! : instruments[0]!;
  /** Whose equity and position: of the whole account, unless it is asked for one instrument. */
  const account = search.account === "one" && instruments.length > 1 ? instrument : undefined;
  const bars = useQuery({ queryKey: ["bars", ...key, search.instrument ?? ""], queryFn: ({ signal }) => loadBars(run.run_id, load, search.instrument, signal), staleTime: Number.POSITIVE_INFINITY, placeholderData: keepPreviousData });
  const curve = useQuery({ queryKey: ["curve", ...key, account ?? ""], queryFn: ({ signal }) => loadCurve(run.run_id, load, account, signal), staleTime: Number.POSITIVE_INFINITY, placeholderData: keepPreviousData });
  return { whole, seen, load, result, instruments, instrument, account, bars, curve };
}

/** The run's instruments as its result names them; before that is there, the one of the list. */
function instrumentsOf(run: WholeRun, result: Result | undefined): string[] {
  const keys = result?.metadata.instrument_keys;
  return Array.isArray(keys) && keys.length ? keys.map(String) : [run.instrument];
}
