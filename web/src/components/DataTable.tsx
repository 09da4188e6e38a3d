import { useEffect, useRef, useState, type MouseEvent, type ReactNode } from "react";
import { useKey } from "../app/keys";
import { density } from "../app/store";
import { cx } from "./basics";
import { Failure } from "./states";
import { useBlocks, useWindow, type Block } from "./useRows";

export interface Column<R> {
  id: string;
  label: string;
  /** Full name, where the label is short. */
  title?: string;
  width: number;
  numeric?: boolean;
  /** Name to sort by on the server; none: not sortable. */
  sort?: string;
  cell(row: R): ReactNode;
}

interface Props<R> {
  label: string;
  columns: readonly Column<R>[];
  queryKey: readonly unknown[];
  load(offset: number, limit: number, signal: AbortSignal): Promise<Block<R>>;
  rowId(row: R): string;
  /** "name" or "-name". */
  sort?: string;
  onSort?(sort: string): void;
  /** Row that the arrow keys are on, by id. */
  current?: string | null;
  onCurrent?(row: R, index: number): void;
  onOpen?(row: R, event?: MouseEvent): void;
  /** Rows that are selected. */
  marked?: ReadonlySet<string>;
  onMark?(row: R): void;
  empty: ReactNode;
  onTotal?(total: number): void;
  onHead?(block: Block<R>): void;
  /** Row to move to; a new object moves again. */
  reveal?: { index: number } | null;
  block?: number;
  /** Keys j k x Enter are this table's. */
  keys?: boolean;
  scope?: string;
}

const HEAD = 30;
/** Width from which on a column says which row it is. */
const NAMING = 60;

/**
 * A table of any length: rows are asked for in blocks, only those in sight are drawn.
 *
 * Sorting and filtering are the server's. Not TanStack's table and virtualizer: all that is left to
 * do here is the scaled scroll above 8,000,000 px, which they do not have.
 */
export function DataTable<R>(props: Props<R>): ReactNode {
  const { columns, queryKey, load, rowId, marked, current, keys = true, scope = "Table" } = props;
  const box = useRef<HTMLDivElement>(null);
  const rowHeight = density.use() === "roomy" ? 36 : 28;
  const [total, setTotal] = useState(0);
  const window_ = useWindow(box, total, rowHeight, HEAD);
  const rows = useBlocks(queryKey, load, window_.start, Math.max(window_.end, 1), props.block);
  const [cursor, setCursor] = useState(-1);
  const { onTotal, onHead } = props;
  const { head } = rows;
  useEffect(() => {
    if (head) onHead?.(head);
  }, [head, onHead]);
  useEffect(() => {
    setTotal(rows.total);
    if (!rows.isFirst) onTotal?.(rows.total);
  }, [rows.total, rows.isFirst, onTotal]);
  const text = JSON.stringify(queryKey);
  const before = useRef(text);
  useEffect(() => {
    if (before.current !== text) {
      before.current = text;
      setCursor(-1);
      window_.reveal(0);
    }
  });
  const { reveal } = props;
  useEffect(() => {
    if (!reveal || total === 0) return;
    window_.reveal(reveal.index, "center");
    setCursor(reveal.index);
    // Only a new target moves.
    // eslint-disable-next-line
  }, [reveal, total > 0]);

  const step = (by: number) => {
    const next = Math.max(0, Math.min(total - 1, cursor + by));
    const row = rows.at(next);
    setCursor(next);
    window_.reveal(next);
    if (row) props.onCurrent?.(row, next);
  };
  const here = cursor >= 0 ? rows.at(cursor) : undefined;
  useKey("j|ArrowDown", "Next row", () => step(1), scope, keys);
  useKey("k|ArrowUp", "Previous row", () => step(-1), scope, keys);
  useKey("PageDown", "A page down", () => step(Math.max(1, window_.end - window_.start - 20)), scope, keys);
  useKey("PageUp", "A page up", () => step(-Math.max(1, window_.end - window_.start - 20)), scope, keys);
  useKey("Home", "First row", () => step(-total), scope, keys);
  useKey("End", "Last row", () => step(total), scope, keys);
  useKey("Enter", "Open the row", () => here && props.onOpen?.(here), scope, keys && !!props.onOpen);
  useKey("x", "Select the row", () => here && props.onMark?.(here), scope, keys && !!props.onMark);

  const width = columns.reduce((sum, column) => sum + column.width, 0);
  // What names a row stays in sight when the table scrolls sideways, with the narrow columns before it.
  const kept = columns.findIndex((column) => column.width >= NAMING) + 1;
  const place = (at: number) => (at < kept ? { "data-kept": true, style: { left: columns.slice(0, at).reduce((sum, column) => sum + column.width, 0) } } : {});
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      {rows.error ? <Failure error={rows.error} retry={rows.retry} compact /> : null}
      <div ref={box} className="min-h-0 flex-1 overflow-auto [overflow-anchor:none]" tabIndex={0} role="region" aria-label={props.label}>
        <table className="grid-table" style={{ minWidth: width }} aria-rowcount={total + 1}>
          <colgroup>
            {columns.map((column) => (
              <col key={column.id} style={{ width: column.width }} />
            ))}
          </colgroup>
          <thead>
            <tr aria-rowindex={1}>
              {columns.map((column, at) => (
                <Head key={column.id} column={column} place={place(at)} {...(props.sort ? { sort: props.sort } : {})} {...(props.onSort ? { onSort: props.onSort } : {})} />
              ))}
            </tr>
          </thead>
          <tbody>
            <tr className="spacer" aria-hidden="true">
              <td colSpan={columns.length} style={{ height: window_.above }} />
            </tr>
            {Array.from({ length: Math.max(0, window_.end - window_.start) }, (_, at) => {
              const index = window_.start + at;
              const row = rows.at(index);
              if (!row) return <WaitingRow key={index} columns={columns} />;
              const id = rowId(row);
              const isCurrent = current !== undefined ? current === id : index === cursor;
              return (
                <tr
                  key={index}
                  aria-rowindex={index + 2}
                  data-current={isCurrent || undefined}
                  data-marked={marked?.has(id) || undefined}
                  aria-selected={marked ? marked.has(id) : undefined}
                  className={props.onCurrent || props.onOpen ? "cursor-pointer" : undefined}
                  onClick={(event) => {
                    if ((event.target as HTMLElement).closest("a,button,input,label")) return;
                    setCursor(index);
                    props.onCurrent?.(row, index);
                    if (!props.onCurrent) props.onOpen?.(row, event);
                  }}
                >
                  {columns.map((column, at) => (
                    <td key={column.id} className={column.numeric ? "num" : undefined} {...place(at)}>
                      {column.cell(row)}
                    </td>
                  ))}
                </tr>
              );
            })}
            <tr className="spacer" aria-hidden="true">
              <td colSpan={columns.length} style={{ height: window_.below }} />
            </tr>
            {rows.isFirst && Array.from({ length: 12 }, (_, at) => <WaitingRow key={`waiting-${at}`} columns={columns} />)}
          </tbody>
        </table>
        {!rows.isFirst && !rows.error && total === 0 && props.empty}
      </div>
    </div>
  );
}

function Head<R>({ column, place, sort, onSort }: { column: Column<R>; place: object; sort?: string; onSort?: (sort: string) => void }): ReactNode {
  const isSorted = column.sort !== undefined && sort?.replace(/^-/, "") === column.sort;
  const isDown = isSorted && sort?.startsWith("-");
  const label = column.label ? <span className="truncate">{column.label}</span> : <span className="sr-only">{column.title}</span>;
  return (
    <th
      scope="col"
      {...place}
      className={column.numeric ? "num" : undefined}
      title={column.title ?? column.label}
      aria-sort={isSorted ? (isDown ? "descending" : "ascending") : undefined}
    >
      {column.sort && onSort ? (
        <button
          type="button"
          className={cx("inline-flex max-w-full items-center gap-1 hover:text-ink", isSorted && "text-ink font-semibold")}
          // Figures are wanted highest first, names from A.
          onClick={() => onSort(isSorted ? (isDown ? column.sort! : `-${column.sort}`) : column.numeric ? `-${column.sort}` : column.sort!)}
        >
          {!column.numeric && label}
          {isSorted && <span aria-hidden="true">{isDown ? "↓" : "↑"}</span>}
          {column.numeric && label}
        </button>
      ) : (
        label
      )}
    </th>
  );
}

function WaitingRow<R>({ columns }: { columns: readonly Column<R>[] }): ReactNode {
  return (
    <tr aria-hidden="true">
      {columns.map((column) => (
        <td key={column.id}>
          <span className="skeleton block h-3 w-3/4" />
        </td>
      ))}
    </tr>
  );
}
