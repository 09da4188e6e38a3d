import type { ReactNode } from "react";
import type { Row, TableName } from "../../api/result";
import { shortInstrument } from "../../api/runs";
import { Dash, Money, Num, Tag } from "../../components/basics";
import type { Column } from "../../components/DataTable";
import { fixed } from "../../lib/decimal";
import { decimal } from "../../lib/format";
import { formatNs, formatSpan, parseNs } from "../../lib/ns";

/** Column that says when a row was. */
export function timeColumn(table: TableName): string {
  return table === "trades" ? "opened" : "timestamp";
}

type Cell = (row: Row) => ReactNode;

function column(id: string, label: string, width: number, cell: Cell, more: Partial<Column<Row>> = {}): Column<Row> {
  return { id, label, width, cell, sort: id, ...more };
}

const value = (row: Row, id: string): string | null => {
  const cell = row[id];
  return cell === null || cell === undefined ? null : String(cell);
};

/** A number with all of its digits. */
const exact = (id: string, why?: string): Cell => (row) => <Num value={value(row, id)} {...(why ? { why } : {})} />;

/** An average price may have 20 digits: eight are shown, all are in the title. */
const average = (id: string, why: string): Cell => (row) => {
  const text = value(row, id);
  if (text === null) return <Dash why={why} />;
  const digits = text.split(".")[1]?.length ?? 0;
  const shown = digits > 8 ? fixed(text, 8).replace(/\.?0+$/, "") : text;
  return <span title={text}>{decimal(shown)}</span>;
};

const text = (id: string, why: string): Cell => (row) => {
  const text = value(row, id);
  return text === null ? <Dash why={why} /> : <span title={text}>{text}</span>;
};

const side: Cell = (row) => {
  const side = value(row, "side");
  if (side === null) return <Dash />;
  const isUp = side === "buy" || side === "long";
  return (
    <span className={isUp ? "text-gain" : "text-loss"}>
      <span aria-hidden="true">{isUp ? "▲" : "▼"}</span> {side}
    </span>
  );
};

const status: Cell = (row) => {
  const status = value(row, "status") ?? "";
  if (status === "denied" || status === "rejected") return <Tag tone="bad" title={value(row, "reason") ?? ""}>{status}</Tag>;
  return status || <Dash />;
};

function time(id: string, label: string, zone: string, why: string, more: Partial<Column<Row>> = {}): Column<Row> {
  return column(
    id,
    label,
    232,
    (row) => {
      const ns = parseNs(value(row, id) ?? "");
      return ns === null ? <Dash why={why} /> : <span className="mono">{formatNs(ns, zone)}</span>;
    },
    more,
  );
}

const num = { numeric: true } as const;

/** Columns of a table; of a run of several instruments each row says whose it is, of one on bars also its leg. */
export function tableColumns(table: TableName, zone: string, currency: string | null, isBars: boolean, isSeveral: boolean): Column<Row>[] {
  const columns = ownColumns(table, zone, currency);
  const more = [
    ...(isSeveral ? [column("instrument", "Instrument", 128, (row) => <span title={value(row, "instrument") ?? ""}>{shortInstrument(value(row, "instrument") ?? "")}</span>)] : []),
    ...(isBars && table !== "trades" ? [column("role", "Role", 92, text("role", "not said by the strategy")), column("leg", "Leg", 60, text("leg", "not said by the strategy"))] : []),
  ];
  return [...columns.slice(0, 1), ...more, ...columns.slice(1)];
}

function ownColumns(table: TableName, zone: string, currency: string | null): Column<Row>[] {
  const money = (id: string): Cell => (row) => {
    // Four digits stand under each other; all are in the title.
    return <Money value={value(row, id)} digits={4} />;
  };
  const unit = currency ?? "the account's currency";
  if (table === "fills") {
    return [
      time("timestamp", "Time", zone, ""),
      column("side", "Side", 74, side),
      column("price", "Price", 120, exact("price"), num),
      column("quantity", "Quantity", 110, exact("quantity"), num),
      column("liquidity", "Liquidity", 82, text("liquidity", "not said by the engine")),
      column("commission", "Commission", 120, exact("commission"), { ...num, title: `In ${unit}` }),
      column("realized_pnl", "Realized", 130, money("realized_pnl"), num),
      column("position_quantity", "Position after", 116, exact("position_quantity"), num),
      column("balance", "Balance after", 150, exact("balance"), num),
      column("order_id", "Order", 220, (row) => <span className="mono" title={value(row, "order_id") ?? ""}>{value(row, "order_id")}</span>),
    ];
  }
  if (table === "orders") {
    return [
      time("timestamp", "Time", zone, ""),
      column("side", "Side", 74, side),
      column("type", "Type", 86, text("type", "")),
      column("time_in_force", "TIF", 58, text("time_in_force", "none"), { title: "Time in force" }),
      column("price", "Price", 120, exact("price", "a market order has none"), num),
      column("amount", "Amount", 100, exact("amount"), num),
      column("filled", "Filled", 100, exact("filled"), num),
      column("avg_fill_price", "Avg fill", 130, average("avg_fill_price", "not filled"), num),
      column("status", "Status", 88, status),
      time("ended", "Ended", zone, "filled at once or still open"),
      column("purpose", "Purpose", 96, text("purpose", "an order of the strategy")),
      column("reason", "Reason", 220, text("reason", "not refused")),
      column("id", "Order", 220, (row) => <span className="mono" title={value(row, "id") ?? ""}>{value(row, "id")}</span>),
    ];
  }
  return [
    time("opened", "Opened", zone, ""),
    column("side", "Side", 74, side),
    column("net_pnl", "Net PnL", 140, money("net_pnl"), num),
    column("realized_pnl", "Realized", 130, money("realized_pnl"), num),
    column("commissions", "Commissions", 124, (row) => <Num value={value(row, "commissions")} digits={4} />, num),
    column("peak_quantity", "Peak quantity", 110, exact("peak_quantity"), num),
    column("avg_entry_price", "Entry", 132, average("avg_entry_price", ""), num),
    column("avg_exit_price", "Exit", 132, average("avg_exit_price", "still open"), num),
    column("fills", "Fills", 66, exact("fills"), num),
    {
      id: "held", label: "Held", width: 96, numeric: true,
      cell: (row) => {
        const [from, to] = [parseNs(value(row, "opened") ?? ""), parseNs(value(row, "closed") ?? "")];
        return from === null || to === null ? <Dash why="still open" /> : formatSpan(to - from);
      },
    },
    time("closed", "Closed", zone, "still open"),
    column("status", "Status", 74, status),
    column("position_id", "Position", 300, text("position_id", "")),
  ];
}
