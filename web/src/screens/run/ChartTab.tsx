import { lazy, Suspense, useEffect, useRef, useState, type ReactNode } from "react";
import type { Bars, Curve } from "../../api/charts";
import { loadRows, type Result } from "../../api/result";
import { shortInstrument, type WholeRun } from "../../api/runs";
import { useKey } from "../../app/keys";
import { useUrl, useZone } from "../../app/search";
import { gridOf, type Bucket } from "../../charts/buckets";
import { RunChart } from "../../charts/RunChart";
import type { Span } from "../../charts/window";
import { Button, Num, Tag } from "../../components/basics";
import { Failure, Skeleton } from "../../components/states";
import { plain } from "../../lib/decimal";
import { count, decimal, percent, signed, UNKNOWN } from "../../lib/format";
import { formatNs, formatSpan, isoNs, parseNs } from "../../lib/ns";
import { BucketTable } from "./BucketTable";
import { numberOf, useChartData } from "./useChartData";

const MomentPanel = lazy(() => import("./MomentPanel").then((module) => ({ default: module.MomentPanel })));

const DAY = 86_400_000_000_000n;
const SPANS: [string, bigint | null][] = [["All", null], ["1 d", DAY], ["4 h", DAY / 6n], ["1 h", DAY / 24n], ["10 min", 600_000_000_000n], ["1 min", 60_000_000_000n], ["1 s", 1_000_000_000n]];
/** What can be seen at most near: below, the microscope shows single ticks. */
const NEAREST = 200_000_000n;

/** Price with fills, equity with drawdown, position; near enough, single ticks. */
export function ChartTab({ run }: { run: WholeRun }): ReactNode {
  const [search, setUrl] = useUrl();
  const zone = useZone();
  const { whole, seen, load, result, instruments, instrument, account, bars, curve } = useChartData(run);

  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<RunChart | null>(null);
  const [bucket, setBucket] = useState<Bucket | null>(null);
  const [asTable, setAsTable] = useState(false);
  /** Window that this chart itself put into the address: it is there already. */
  const own = useRef<string>("");

  const toUrl = (span: Span) => {
    const from = span.from < whole.from ? whole.from : span.from;
    const to = span.to > whole.to ? whole.to : span.to;
    const isAll = from <= whole.from && to >= whole.to;
    return isAll ? { t0: undefined, t1: undefined } : { t0: from.toString(), t1: (to > from ? to : from + NEAREST).toString() };
  };
  const actions = useRef({ window: (_: Span) => {}, pick: (_: Bucket) => {} });
  actions.current = {
    window: (span) => {
      const next = toUrl(span);
      own.current = `${next.t0}-${next.t1}`;
      setUrl(next);
    },
    pick: (one) => setUrl({ at: one.from.toString() }),
  };
  const origin = whole.from - (whole.from % DAY);
  useEffect(() => {
    if (!box.current) return;
    const created = new RunChart(box.current, origin, zone, {
      onWindow: (span) => actions.current.window(span),
      onAll: () => actions.current.window(whole),
      onHover: setBucket,
      onPick: (one) => {
        setBucket(one);
        actions.current.pick(one);
      },
    });
    chart.current = created;
    return () => {
      chart.current = null;
      created.remove();
    };
  }, [origin, zone, asTable, whole]);

  const hasSessions = result.data?.metadata.config?.kind === "bars";
  const precision = pricePrecision(result.data, instruments.indexOf(instrument));
  useEffect(() => {
    if (!bars.data && !curve.data) return;
    const isOwn = own.current === `${search.t0}-${search.t1}`;
    chart.current?.setData(bars.data ?? null, curve.data ?? null, precision, hasSessions, load.to, isOwn ? null : seen);
    // Only new data are set; moves are below.
    // eslint-disable-next-line
  }, [bars.data, curve.data, zone, asTable, precision, hasSessions]);
  useEffect(() => {
    if (own.current !== `${search.t0}-${search.t1}`) chart.current?.show(seen);
  }, [seen, search.t0, search.t1]);

  const around = (width: bigint | null) => {
    if (width === null) return setUrl({ t0: undefined, t1: undefined });
    const at = numberOf(search.at);
    const middle = at !== null && at >= seen.from && at <= seen.to ? at : bucket && bucket.from >= seen.from && bucket.to <= seen.to ? bucket.from : seen.from + (seen.to - seen.from) / 2n;
    let from = middle - width / 2n;
    if (from < whole.from) from = whole.from;
    setUrl(toUrl({ from, to: from + width }));
  };
  const microscope = async () => {
    const at = numberOf(search.at) ?? bucket?.from ?? seen.from + (seen.to - seen.from) / 2n;
    setUrl({ moment: (await nearestFill(run.run_id, at)).toString() }, { push: true });
  };
  const zoomBy = (factor: number) => {
    const width = BigInt(Math.round(Number(seen.to - seen.from) * factor));
    around(width >= whole.to - whole.from ? null : width < NEAREST ? NEAREST : width);
  };
  useKey("+|=", "Zoom in", () => zoomBy(0.5), "Chart");
  useKey("-", "Zoom out", () => zoomBy(2), "Chart");
  useKey("0", "All of the run", () => around(null), "Chart");
  const moveBy = (direction: bigint) => {
    const width = seen.to - seen.from;
    if (width >= whole.to - whole.from) return;
    let from = seen.from + (direction * width) / 2n;
    if (from < whole.from) from = whole.from;
    if (from + width > whole.to) from = whole.to - width;
    setUrl(toUrl({ from, to: from + width }));
  };
  useKey("ArrowLeft", "Crosshair to the left; with Shift it marks a range", (event) => chart.current?.stepCrosshair(-1, event.shiftKey), "Chart");
  useKey("ArrowRight", "Crosshair to the right; with Shift it marks a range", (event) => chart.current?.stepCrosshair(1, event.shiftKey), "Chart");
  useKey("PageUp", "Half a window earlier", () => moveBy(-1n), "Chart");
  useKey("PageDown", "Half a window later", () => moveBy(1n), "Chart");
  useKey("Enter", "Zoom to the marked range, or choose the bar under the crosshair", () => chart.current?.zoomToRange() || chart.current?.pick(), "Chart");
  useKey("m", "Microscope on the chosen moment", () => void microscope(), "Chart");
  useKey("t", "As a table", () => setAsTable((before) => !before), "Chart");

  const shown = bucket;
  const step = bars.data?.step_ns ?? curve.data?.step_ns;
  const error = curve.error ?? bars.error;
  return (
    <div className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center gap-2 px-1">
        <div className="flex items-center gap-1" role="group" aria-label="Span">
          {SPANS.filter(([, width]) => width === null || width < whole.to - whole.from).map(([label, width]) => (
            <Button key={label} small kind="quiet" className={width === null && !search.t0 ? "!text-accent" : ""} onClick={() => around(width)}>
              {label}
            </Button>
          ))}
        </div>
        {instruments.length > 1 && (
          <>
            <select className="field h-6 text-[12px]" aria-label="Instrument" value={instrument} onChange={(event) => setUrl({ instrument: event.target.value === instruments[0] ? undefined : event.target.value })}>
              {instruments.map((one) => (
                <option key={one} value={one}>
                  {shortInstrument(one)}
                </option>
              ))}
            </select>
            <select className="field h-6 text-[12px]" aria-label="Equity of" value={account ? "one" : ""} onChange={(event) => setUrl({ account: event.target.value || undefined })}>
              <option value="">Equity of all {instruments.length}</option>
              <option value="one">Equity of this one</option>
            </select>
          </>
        )}
        <Goto onGo={(ns) => setUrl({ at: ns.toString(), ...toUrl({ from: ns - 300_000_000_000n, to: ns + 300_000_000_000n }) })} />
        <span className="text-[12px] text-quiet">
          {formatNs(seen.from, zone, 0)} – {formatNs(seen.to, zone, 0, seen.to - seen.from > DAY)} {zone} · {formatSpan(seen.to - seen.from)}
          {step && ` · one bar ${formatSpan(BigInt(step))}`}
        </span>
        <span className="ml-auto flex items-center gap-2">
          {(bars.isFetching || curve.isFetching) && <span className="label" role="status">loading…</span>}
          {bars.data && bars.data.source !== "same" && <Tag tone="warn" title={bars.data.source_detail ?? ""}>market data {bars.data.source}</Tag>}
          <Button small onClick={() => setAsTable(!asTable)} aria-pressed={asTable}>
            {asTable ? "As chart" : "As table"}
          </Button>
          <Button small onClick={() => void microscope()} title="Single ticks, five book levels, the order's life (m)">
            Microscope
          </Button>
        </span>
      </div>
      {bars.data && bars.data.source !== "same" && bars.data.source_detail && (
        <p role="status" className="mx-1 rounded border border-warn bg-warn-soft px-3 py-1.5">
          {bars.data.source_detail}
        </p>
      )}
      {error ? <Failure error={error} retry={() => void Promise.all([bars.refetch(), curve.refetch()])} compact /> : null}
      <Legend bucket={shown} zone={zone} {...(run.currency ? { currency: run.currency } : {})} pick={(one) => setUrl({ tab: "fills", at: one.from.toString(), row: `${UNKNOWN}@${one.from}` }, { push: true })} />
      {asTable ? (
        <BucketTable buckets={bucketsIn(bars.data, curve.data, seen)} zone={zone} />
      ) : (
        <div className="relative">
          <div
            ref={box}
            tabIndex={0}
            role="application"
            aria-roledescription="chart"
            aria-label={summary(run)}
            className="relative h-[max(440px,calc(100dvh-13rem))] w-full"
          />
          <PaneNames />
        </div>
      )}
      {search.moment && numberOf(search.moment) !== null && <Suspense fallback={<Skeleton className="h-96" />}><MomentPanel run={run} at={numberOf(search.moment)!} precision={precision} /></Suspense>}
    </div>
  );
}

const PANES: [string, number][] = [["Price · fills ▲ buy ▼ sell", 0], ["Equity, with its range", 0.55], ["Drawdown", 0.75], ["Position", 0.87]];

/** Names of the panes, at their shares of the height without the time axis. */
function PaneNames(): ReactNode {
  return (
    <div aria-hidden="true" className="pointer-events-none absolute inset-x-0 top-0 bottom-7 z-10 text-[11px] text-quiet">
      {PANES.map(([name, top]) => (
        <span key={name} className="absolute left-1 rounded bg-panel/80 px-1" style={{ top: `calc(${top * 100}% + 3px)` }}>
          {name}
        </span>
      ))}
    </div>
  );
}

/** What the crosshair is on, in words and figures. */
function Legend({ bucket, zone, currency, pick }: { bucket: Bucket | null; zone: string; currency?: string; pick(bucket: Bucket): void }): ReactNode {
  if (!bucket) return <div className="flex h-6 items-center px-1 text-[12px] text-quiet">Drag to zoom, double-click for all; Shift and drag to move. A click chooses a bar. Keys: ← → + − 0, ? for all.</div>;
  const { candle, equity } = bucket;
  const item = (label: string, value: ReactNode, className?: string) => (
    <span className="whitespace-nowrap">
      <span className="text-quiet">{label}</span> <span className={className}>{value}</span>
    </span>
  );
  return (
    <div className="flex h-6 items-center gap-x-3 overflow-hidden px-1 text-[12px]" data-testid="legend">
      <span className="mono whitespace-nowrap">{formatNs(bucket.from, zone, bucket.to - bucket.from < 1_000_000_000n ? 3 : 0)}</span>
      {candle && (
        <>
          {item("O", <Num value={candle.o} />)}
          {item("H", <Num value={candle.h} />)}
          {item("L", <Num value={candle.l} />)}
          {item("C", <Num value={candle.c} />)}
          {item("Vol", decimal(candle.v, 3))}
          {item("Ticks", count(candle.n))}
        </>
      )}
      {bucket.buys && item("▲", `${count(bucket.buys.n)} × ${decimal(bucket.buys.qty, 3)} @ ${decimal(bucket.buys.vwap, 2)}`, "text-gain")}
      {bucket.sells && item("▼", `${count(bucket.sells.n)} × ${decimal(bucket.sells.qty, 3)} @ ${decimal(bucket.sells.vwap, 2)}`, "text-loss")}
      {bucket.refused > 0 && item("refused", count(bucket.refused), "text-bad")}
      {equity && item("Equity", `${decimal(equity.last, 2)} ${currency ?? ""}`)}
      {bucket.drawdown !== null && item("DD", percent(bucket.drawdown))}
      {bucket.position !== null && item("Position", signed(bucket.position, 3))}
      {(bucket.buys || bucket.sells) && (
        <button type="button" className="text-accent hover:underline" onClick={() => pick(bucket)}>
          fills
        </button>
      )}
    </div>
  );
}

function Goto({ onGo }: { onGo(ns: bigint): void }): ReactNode {
  const [text, setText] = useState("");
  const ns = parseNs(text);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ns !== null) onGo(ns);
      }}
    >
      <input className="field h-6 w-64 text-[12px]" placeholder="Go to 2024-01-01 12:00 (UTC)" aria-label="Go to a time in UTC, or ns" aria-invalid={text !== "" && ns === null} value={text} onChange={(event) => setText(event.target.value)} />
    </form>
  );
}

async function nearestFill(runId: string, at: bigint): Promise<bigint> {
  try {
    const page = await loadRows(runId, "fills", { start: isoNs(at), limit: 1 });
    return parseNs(String(page.rows[0]?.timestamp ?? "")) ?? at;
  } catch {
    return at;
  }
}

/** Decimals of an instrument's prices: those of its configuration, or of its tick. */
function pricePrecision(result: Result | undefined, at: number): number {
  const config = result?.metadata.config as { instrument?: { price_precision?: unknown }; instruments?: { tick_size?: unknown }[] } | undefined;
  const tick = config?.instruments?.[at]?.tick_size;
  const digits = Number(tick === undefined ? config?.instrument?.price_precision : (plain(String(tick)).split(".")[1]?.replace(/0+$/, "").length ?? 0));
  return Number.isInteger(digits) && digits >= 0 && digits <= 16 ? digits : 2;
}

function summary(run: WholeRun): string {
  return `Price, fills, equity, drawdown and position of ${run.run_id}: net PnL ${signed(run.pnl)} ${run.currency ?? ""}, largest drawdown ${percent(run.max_drawdown)}, ${count(run.fills)} fills. Arrow keys move the crosshair, plus and minus zoom, t shows a table.`;
}

function bucketsIn(bars: Bars | undefined, curve: Curve | undefined, seen: Span): Bucket[] {
  return gridOf(bars ?? null, curve ?? null).buckets.filter((one) => one.to > seen.from && one.from < seen.to && (one.candle || one.equity));
}
