import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { loadMoment, type Moment } from "../../api/moment";
import type { WholeRun } from "../../api/runs";
import { useKey } from "../../app/keys";
import { useUrl, useZone } from "../../app/search";
import { chartColors } from "../../charts/colors";
import { drawMoment, dtOf, viewOf, type View } from "../../charts/momentDrawing";
import { Button, Copy, cx, Dash, Tag } from "../../components/basics";
import { Empty, Loaded, Skeleton } from "../../components/states";
import { decimal } from "../../lib/format";
import { formatNs, formatSpan } from "../../lib/ns";

const SPANS = [1_000_000n, 10_000_000n, 100_000_000n, 1_000_000_000n, 5_000_000_000n, 60_000_000_000n, 600_000_000_000n];
const STANDARD = 5_000_000_000n;
const MOST = 400;

/** Single ticks, five book levels and the orders' lives around a moment, in ns. */
export function MomentPanel({ run, at, precision }: { run: WholeRun; at: bigint; precision: number }): ReactNode {
  const [search, setUrl] = useUrl();
  const zone = useZone();
  const span = SPANS.find((one) => one.toString() === search.span) ?? STANDARD;
  const query = useQuery({
    queryKey: ["moment", run.run_id, run.digest, at.toString(), span.toString(), search.instrument ?? ""],
    queryFn: ({ signal }) => loadMoment(run.run_id, at, span, search.instrument, signal),
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    box.current?.scrollIntoView({ block: "start" });
  }, [at]);
  const step = (by: number) => {
    const next = SPANS[SPANS.indexOf(span) + by];
    if (next) setUrl({ span: next === STANDARD ? undefined : next.toString() });
  };
  useKey("Escape", "Close the microscope", () => setUrl({ moment: undefined, span: undefined }), "Microscope");
  useKey("<|,", "A shorter span", () => step(-1), "Microscope");
  useKey(">|.", "A longer span", () => step(1), "Microscope");
  return (
    <section ref={box} aria-label="Microscope" className="rounded border border-accent" data-testid="moment">
      <header className="flex flex-wrap items-center gap-2 px-3 py-1.5">
        <h2 className="font-semibold">Microscope</h2>
        <Copy text={at.toString()} label="ns since 1970" className="mono">
          {formatNs(at, zone)}
        </Copy>
        <span className="text-quiet">{zone}</span>
        <span role="group" aria-label="Span" className="ml-2 flex gap-1">
          {SPANS.map((one) => (
            <Button key={one.toString()} small kind="quiet" aria-pressed={one === span} className={one === span ? "!text-accent" : ""} onClick={() => setUrl({ span: one === STANDARD ? undefined : one.toString() })}>
              {formatSpan(one)}
            </Button>
          ))}
        </span>
        {query.data?.truncated.length ? <Tag tone="warn" title="Those nearest to the moment are shown">more {query.data.truncated.join(", ")}</Tag> : null}
        {query.data && query.data.source !== "same" && <Tag tone="warn" title={query.data.source_detail ?? ""}>market data {query.data.source}</Tag>}
        <Button small kind="quiet" className="ml-auto" aria-label="Close the microscope" onClick={() => setUrl({ moment: undefined, span: undefined })}>
          ✕
        </Button>
      </header>
      <div className="px-3 pb-3">
        <Loaded query={query} place={<Skeleton className="h-96" />}>
          {(moment) => <Content moment={moment} zone={zone} precision={precision} onMove={(ns) => setUrl({ moment: ns.toString() })} />}
        </Loaded>
      </div>
    </section>
  );
}

interface Happening {
  dt: number;
  order: number;
  kind: string;
  side: string | null;
  price: number | null;
  size: number | null;
  text: string;
}

function Content({ moment, zone, precision, onMove }: { moment: Moment; zone: string; precision: number; onMove(ns: bigint): void }): ReactNode {
  const base = BigInt(moment.base_ns);
  const half = Number(BigInt(moment.span_ns)) / 2;
  const all = useMemo(() => happenings(moment), [moment]);
  const [chosen, setChosen] = useState(0);
  useEffect(() => setChosen(0), [moment]);
  const near = Math.max(0, all.findIndex((one) => one.dt >= 0));
  const shown = all.slice(Math.max(0, near - MOST / 2), near + MOST / 2);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const row = list.current?.querySelector("[data-zero]");
    if (row && list.current) list.current.scrollTop = (row as HTMLElement).offsetTop - 120;
  }, [moment]);
  if (!all.length && !moment.books.dt_ns.length) return <Empty title="Nothing happened in this span">Choose a longer one with the keys . and ,</Empty>;
  let isZeroSet = false;
  return (
    <div className="grid gap-3 xl:grid-cols-[minmax(0,1fr)_250px]">
      <Drawing moment={moment} half={half} precision={precision} chosen={chosen} onChoose={setChosen} />
      <Book moment={moment} dt={chosen} precision={precision} />
      <div ref={list} className="relative max-h-72 overflow-auto xl:col-span-2" tabIndex={0} role="region" aria-label="What happened, in order">
        <table className="plain-table">
          <thead className="sticky top-0 z-10 bg-panel">
            <tr>
              <th scope="col" className="w-60">Time ({zone})</th>
              <th scope="col" className="num w-32">From t₀</th>
              <th scope="col" className="w-28">What</th>
              <th scope="col" className="w-20">Side</th>
              <th scope="col" className="num w-28">Price</th>
              <th scope="col" className="num w-28">Size</th>
              <th scope="col" className="pl-4">Detail</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((one, at) => {
              const isZero = !isZeroSet && one.dt >= 0;
              if (isZero) isZeroSet = true;
              return (
                <tr key={`${one.dt} ${at}`} data-zero={isZero || undefined} className={cx(one.dt === 0 && "bg-accent-soft", one.dt === chosen && one.dt !== 0 && "bg-raised")}>
                  <td className="mono whitespace-nowrap">
                    <button type="button" className="hover:text-accent" title="Show the book at this time; twice: move t₀ here" onClick={() => setChosen(one.dt)} onDoubleClick={() => onMove(base + BigInt(one.dt))}>
                      {formatNs(base + BigInt(one.dt), zone)}
                    </button>
                  </td>
                  <td className="mono num whitespace-nowrap">{one.dt > 0 ? "+" : ""}{formatSpan(BigInt(one.dt))}</td>
                  <td className="whitespace-nowrap">{one.kind}</td>
                  <td className={one.side === "buy" ? "text-gain" : one.side === "sell" ? "text-loss" : "text-quiet"}>{one.side === "buy" ? "▲\u00a0buy" : one.side === "sell" ? "▼\u00a0sell" : "—"}</td>
                  <td className="num">{one.price === null ? <Dash why="none" /> : decimal(one.price)}</td>
                  <td className="num">{one.size === null ? <Dash why="none" /> : decimal(one.size)}</td>
                  <td className="breaks pl-4 text-quiet">{one.text}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </div>
  );
}

/** Trades, orders' begins and ends, and fills in one order of time. */
function happenings({ trades, orders, fills }: Moment): Happening[] {
  const rows: Happening[] = [];
  trades.dt_ns.forEach((dt, at) => {
    const late = dt - (trades.event_dt_ns[at] ?? dt);
    rows.push({ dt, order: 0, kind: "trade", side: trades.side[at] ?? null, price: trades.price[at]!, size: trades.size[at]!, text: `${trades.trade_id[at] ?? ""}${late ? ` · arrived ${formatSpan(BigInt(late))} after the exchange's time` : ""}` });
  });
  orders.dt_ns.forEach((dt, at) => {
    const common = { side: orders.side[at] ?? null, price: orders.price[at] ?? null };
    rows.push({ dt, order: 1, kind: "order", ...common, size: orders.amount[at] ?? null, text: `${orders.id[at]} · ${[orders.type[at], orders.purpose[at]].filter(Boolean).join(" · ")}` });
    const end = orders.ended_dt_ns[at];
    if (end !== null && end !== undefined) rows.push({ dt: end, order: 3, kind: `order ${orders.status[at] ?? "ended"}`, ...common, size: orders.filled[at] ?? null, text: `${orders.id[at]}${orders.reason[at] ? ` · ${orders.reason[at]}` : ""}` });
  });
  fills.dt_ns.forEach((dt, at) => {
    rows.push({ dt, order: 2, kind: `fill${fills.liquidity[at] ? ` (${fills.liquidity[at]})` : ""}`, side: fills.side[at] ?? null, price: fills.price[at] ?? null, size: fills.quantity[at] ?? null, text: `${fills.order_id[at] ?? ""} · position after ${decimal(fills.position_quantity[at])} · commission ${decimal(fills.commission[at])}` });
  });
  return rows.sort((a, b) => a.dt - b.dt || a.order - b.order);
}

function Drawing({ moment, half, precision, chosen, onChoose }: { moment: Moment; half: number; precision: number; chosen: number; onChoose(dt: number): void }): ReactNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const view = useRef<View | null>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const draw = () => {
      const { clientWidth: width, clientHeight: height } = element;
      const ratio = window.devicePixelRatio || 1;
      element.width = width * ratio;
      element.height = height * ratio;
      const context = element.getContext("2d");
      if (!context || !width) return;
      context.scale(ratio, ratio);
      view.current = viewOf(moment, -half, half, width, height);
      drawMoment(context, moment, view.current, chartColors(), (dt) => `${dt > 0 ? "+" : ""}${formatSpan(BigInt(Math.round(dt)))}`, (value) => decimal(value, precision), chosen || null);
    };
    draw();
    const resized = new ResizeObserver(draw);
    resized.observe(element);
    const themed = new MutationObserver(draw);
    themed.observe(document.documentElement, { attributes: true });
    const media = matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      themed.disconnect();
      media.removeEventListener("change", draw);
    };
  }, [moment, half, precision, chosen]);
  const { trades, books, orders, fills } = moment;
  return (
    <canvas
      ref={canvas}
      role="img"
      aria-label={`${trades.dt_ns.length} trades, ${books.dt_ns.length} books, ${orders.dt_ns.length} orders and ${fills.dt_ns.length} fills within ${formatSpan(BigInt(moment.span_ns))}; the table below lists them.`}
      className="h-80 w-full cursor-crosshair"
      onClick={(event) => {
        if (!view.current) return;
        onChoose(Math.round(dtOf(view.current, event.clientX - event.currentTarget.getBoundingClientRect().left)));
      }}
    />
  );
}

/** The book that was the latest at a time. */
function Book({ moment, dt, precision }: { moment: Moment; dt: number; precision: number }): ReactNode {
  const { books } = moment;
  let at = -1;
  for (let index = 0; index < books.dt_ns.length && books.dt_ns[index]! <= dt; index += 1) at = index;
  if (at < 0) return <p className="label self-center">{books.dt_ns.length ? "No book in this span before the chosen time." : "No book data in this span."}</p>;
  const side = (prices: (number | null)[][], sizes: (number | null)[][]) => prices.map((level, depth) => ({ price: level[at] ?? null, size: sizes[depth]?.[at] ?? null })).filter((one) => one.price);
  const asks = side(books.ask_price, books.ask_size).reverse();
  const bids = side(books.bid_price, books.bid_size);
  const most = Math.max(...[...asks, ...bids].map((one) => one.size ?? 0), 1e-12);
  const row = (one: { price: number | null; size: number | null }, isBid: boolean, index: number) => (
    <tr key={`${isBid} ${index}`}>
      <td className={cx("text-right", isBid ? "text-gain" : "text-loss")}>{decimal(one.price, precision)}</td>
      <td className="relative text-right">
        <span aria-hidden="true" className={cx("absolute inset-y-0.5 right-0 opacity-20", isBid ? "bg-gain" : "bg-loss")} style={{ width: `${((one.size ?? 0) / most) * 100}%` }} />
        <span className="relative">{decimal(one.size)}</span>
      </td>
    </tr>
  );
  const spread = asks.at(-1)?.price && bids[0]?.price ? asks.at(-1)!.price! - bids[0].price : null;
  return (
    <table className="w-full self-start" aria-label="Book at the chosen time">
      <thead>
        <tr className="label">
          <th scope="col" className="num text-right font-medium">Price</th>
          <th scope="col" className="num text-right font-medium">Size</th>
        </tr>
      </thead>
      <tbody>
        {asks.map((one, index) => row(one, false, index))}
        <tr>
          <td colSpan={2} className={cx("border-y border-line py-0.5 text-center text-[12px]", spread !== null && spread <= 0 ? "text-warn" : "text-quiet")}>
            {spread === null ? "one side is empty" : spread <= 0 ? "crossed" : `spread ${decimal(spread, precision)}`} · {formatSpan(BigInt(dt - books.dt_ns[at]!))} old
          </td>
        </tr>
        {bids.map((one, index) => row(one, true, index))}
      </tbody>
    </table>
  );
}
