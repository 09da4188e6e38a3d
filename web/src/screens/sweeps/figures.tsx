import type { ReactNode } from "react";
import { Dash, Money, Num, Percent } from "../../components/basics";
import { count, decimal, percent, signed, words } from "../../lib/format";
import { isShare } from "./state";

const WHOLE = /^(orders|fills|total_trades|flag_count)$/;
const MONEY = /^(pnl|realized|funding|expectancy|drawdown_amount)$/;

/** A figure of a variant. */
export function Figure({ name, value }: { name: string; value: number | null | undefined }): ReactNode {
  if (value === null || value === undefined) return <Dash why="null: not known for this variant" />;
  if (MONEY.test(name)) return <Money value={value} />;
  if (isShare(name)) return <Percent value={value} tinted={/return|cagr|drawdown/.test(name)} />;
  return WHOLE.test(name) ? count(value) : <Num value={value} digits={2} />;
}

/** A figure as text, short where there is little space. */
export function figureText(name: string, value: number | null | undefined, isShort = false): string {
  if (value === null || value === undefined) return "—";
  if (isShare(name)) return percent(value, isShort && Math.abs(value) >= 0.1 ? 1 : 2, !isShort && !/win_rate|volatility/.test(name));
  if (WHOLE.test(name)) return isShort ? compact(value) : count(value);
  if (isShort) return compact(value);
  return MONEY.test(name) ? signed(value) : decimal(value, 2);
}

/** An edge of a scale: as many digits as it has. */
export function edgeText(name: string, value: number): string {
  if (!isShare(name)) return compact(value);
  const digits = (Number((value * 100).toPrecision(6)).toString().split(".")[1] ?? "").length;
  return percent(value, Math.min(digits, 3));
}

function compact(value: number): string {
  const size = Math.abs(value);
  const text = size >= 10_000 ? new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }).format(value) : String(Number(value.toPrecision(size >= 1000 ? 5 : 3)).toLocaleString("en-US", { maximumFractionDigits: 20 }));
  return text.replace("-", "−");
}

const NAMES: Record<string, string> = { pnl: "net PnL", total_return: "return", max_drawdown: "drawdown", sharpe_ratio: "Sharpe", sortino_ratio: "Sortino", calmar_ratio: "Calmar", total_trades: "trades", final_value: "final equity", drawdown_amount: "drawdown, amount", flag_count: "warnings" };

export function figureName(name: string): string {
  return NAMES[name] ?? words(name);
}
