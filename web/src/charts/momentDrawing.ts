import type { Moment } from "../api/moment";
import type { ChartColors } from "./colors";

/** What of a moment is drawn where. */
export interface View {
  /** ns after the moment. */
  from: number;
  to: number;
  low: number;
  high: number;
  width: number;
  height: number;
}

const AXIS = 22;
const RIGHT = 74;

/** Return the view of a span, with the prices that it has. */
export function viewOf(moment: Moment, from: number, to: number, width: number, height: number): View {
  const prices: number[] = [];
  const take = (values: readonly (number | null)[], times: readonly number[]) => values.forEach((value, at) => value !== null && value > 0 && times[at]! >= from && times[at]! <= to && prices.push(value));
  take(moment.trades.price, moment.trades.dt_ns);
  take(moment.fills.price, moment.fills.dt_ns);
  for (const side of [moment.books.bid_price, moment.books.ask_price]) for (const level of side) take(level, moment.books.dt_ns);
  take(moment.bars.h, moment.bars.dt_ns);
  take(moment.bars.l, moment.bars.dt_ns);
  if (!prices.length) for (const price of [...(moment.books.bid_price[0] ?? []), ...moment.trades.price]) if (price) prices.push(price);
  const low = Math.min(...(prices.length ? prices : [0]));
  const high = Math.max(...(prices.length ? prices : [1]));
  const margin = (high - low) * 0.08 || Math.max(high * 1e-5, 1e-9);
  return { from, to, low: low - margin, high: high + margin, width, height };
}

export function xOf(view: View, dt: number): number {
  return ((dt - view.from) / (view.to - view.from)) * (view.width - RIGHT);
}

export function dtOf(view: View, x: number): number {
  return view.from + (x / (view.width - RIGHT)) * (view.to - view.from);
}

function yOf(view: View, price: number): number {
  return (1 - (price - view.low) / (view.high - view.low)) * (view.height - AXIS);
}

/** Draw ticks, five levels of each side, orders from begin to end, fills; t₀ in the middle. */
export function drawMoment(context: CanvasRenderingContext2D, moment: Moment, view: View, colors: ChartColors, tick: (dt: number) => string, price: (value: number) => string, chosen: number | null): void {
  const { width, height } = view;
  context.clearRect(0, 0, width, height);
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  axes(context, view, colors, tick, price);
  context.save();
  context.beginPath();
  context.rect(0, 0, width - RIGHT, height - AXIS);
  context.clip();
  const { books, trades, orders, fills } = moment;
  levels(context, view, books.dt_ns, books.bid_price, colors.gain);
  levels(context, view, books.dt_ns, books.ask_price, colors.loss);
  for (let at = 0; at < trades.dt_ns.length; at += 1) {
    context.fillStyle = trades.side[at] === "buy" ? colors.gain : trades.side[at] === "sell" ? colors.loss : colors.quiet;
    context.beginPath();
    context.arc(xOf(view, trades.dt_ns[at]!), yOf(view, trades.price[at]!), 2.5, 0, 7);
    context.fill();
  }
  for (let at = 0; at < moment.bars.dt_ns.length; at += 1) bar(context, view, moment, at, colors);
  context.lineWidth = 1.5;
  for (let at = 0; at < orders.dt_ns.length; at += 1) {
    const value = orders.price[at] ?? orders.avg_fill_price[at];
    if (value === null || value === undefined) continue;
    const y = yOf(view, value);
    const from = xOf(view, orders.dt_ns[at]!);
    const end = orders.ended_dt_ns[at];
    context.strokeStyle = orders.side[at] === "buy" ? colors.gain : colors.loss;
    context.setLineDash([5, 3]);
    line(context, from, y, Math.max(from + 2, end === null || end === undefined ? width : xOf(view, end)), y);
    context.setLineDash([]);
    line(context, from, y - 4, from, y + 4);
  }
  for (let at = 0; at < fills.dt_ns.length; at += 1) {
    if (fills.price[at] === null) continue;
    triangle(context, xOf(view, fills.dt_ns[at]!), yOf(view, fills.price[at]!), fills.side[at] === "buy", fills.side[at] === "buy" ? colors.gain : colors.loss, colors.panel);
  }
  context.strokeStyle = colors.ink;
  context.setLineDash([2, 3]);
  line(context, xOf(view, 0), 0, xOf(view, 0), height);
  if (chosen !== null) {
    context.strokeStyle = colors.accent;
    context.setLineDash([]);
    line(context, xOf(view, chosen), 0, xOf(view, chosen), height);
  }
  context.restore();
}

function line(context: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** A level holds until the next snapshot; the best one is the strongest. */
function levels(context: CanvasRenderingContext2D, view: View, times: readonly number[], prices: readonly (readonly (number | null)[])[], color: string): void {
  prices.forEach((level, depth) => {
    context.strokeStyle = color;
    context.globalAlpha = depth === 0 ? 0.9 : 0.38 - depth * 0.06;
    context.lineWidth = depth === 0 ? 1.5 : 1;
    context.beginPath();
    let isDown = false;
    for (let at = 0; at < times.length; at += 1) {
      const price = level[at];
      const x = xOf(view, times[at]!);
      const next = at + 1 < times.length ? xOf(view, times[at + 1]!) : view.width;
      if (price === null || price === undefined || price <= 0) {
        isDown = false;
        continue;
      }
      const y = yOf(view, price);
      if (isDown) context.lineTo(x, y);
      else context.moveTo(x, y);
      context.lineTo(next, y);
      isDown = true;
    }
    context.stroke();
  });
  context.globalAlpha = 1;
}

function bar(context: CanvasRenderingContext2D, view: View, moment: Moment, at: number, colors: ChartColors): void {
  const { dt_ns, o, h, l, c } = moment.bars;
  const x = xOf(view, dt_ns[at]!);
  context.strokeStyle = colors.quiet;
  context.lineWidth = 1;
  line(context, x, yOf(view, h[at]!), x, yOf(view, l[at]!));
  line(context, x - 5, yOf(view, o[at]!), x, yOf(view, o[at]!));
  line(context, x, yOf(view, c[at]!), x + 5, yOf(view, c[at]!));
}

function triangle(context: CanvasRenderingContext2D, x: number, y: number, isBuy: boolean, color: string, rim: string): void {
  const way = isBuy ? 1 : -1;
  context.fillStyle = color;
  context.strokeStyle = rim;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - 6, y + 11 * way);
  context.lineTo(x + 6, y + 11 * way);
  context.closePath();
  context.fill();
  context.stroke();
}

const STEPS = [1, 2, 5];

function axes(context: CanvasRenderingContext2D, view: View, colors: ChartColors, tick: (dt: number) => string, price: (value: number) => string): void {
  const { width, height } = view;
  context.strokeStyle = `${colors.line}99`;
  context.fillStyle = colors.quiet;
  context.lineWidth = 1;
  const size = round((view.to - view.from) / Math.max(2, (width - RIGHT) / 110));
  context.textAlign = "center";
  for (let dt = Math.ceil(view.from / size) * size; dt <= view.to; dt += size) {
    const x = Math.round(xOf(view, dt)) + 0.5;
    line(context, x, 0, x, height - AXIS);
    context.fillText(tick(dt), x, height - 7);
  }
  const step = round((view.high - view.low) / 7);
  context.textAlign = "left";
  for (let value = Math.ceil(view.low / step) * step; value <= view.high; value += step) {
    const y = Math.round(yOf(view, value)) + 0.5;
    line(context, 0, y, width - RIGHT, y);
    context.fillText(price(value), width - RIGHT + 6, y + 4);
  }
}

function round(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size));
  return (STEPS.find((one) => one * power >= size) ?? 10) * power;
}
