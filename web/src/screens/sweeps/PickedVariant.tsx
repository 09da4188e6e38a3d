import type { ReactNode } from "react";
import { Status } from "../../components/basics";
import { figureName, figureText } from "./figures";
import { around, labelOf, type Columns, type Shown } from "./state";

interface Props {
  columns: Columns;
  shown: Shown;
  cells: readonly (readonly number[])[];
  at: number;
  row: number;
  column: number;
  figures: readonly string[];
}

/** The variant that the pointer or the keys are on: exact value, and how its neighbors do. */
export function PickedVariant({ columns, shown, cells, at, row, column, figures }: Props): ReactNode {
  const number = columns.number[at];
  if (number === undefined) {
    return (
      <Frame>
        <span className="text-quiet">{row >= 0 ? "There is no variant here." : "Point at a variant, or move with the arrow keys: its exact value stands here."}</span>
      </Frame>
    );
  }
  const value = columns.values[shown.figure]?.[at] ?? null;
  const status = columns.variant_status[at]!;
  const near = row >= 0 && shown.y !== null ? around(cells, columns.values[shown.figure] ?? [], row, column) : null;
  const error = columns.errors[String(number)];
  return (
    <Frame>
      <span>
        <b>#{number}</b>{" "}
        {columns.axes.map((axis, index) => (
          <span key={axis.path} className="mr-2">
            <span className="text-quiet">{axis.name}</span> {labelOf(columns.at[index]![at] === null ? null : axis.values[columns.at[index]![at]!])}
          </span>
        ))}
      </span>
      {status === "succeeded" ? (
        <>
          <span>
            <span className="text-quiet">{figureName(shown.figure)}</span> <b>{figureText(shown.figure, value)}</b> {value === null ? <span className="text-quiet">null</span> : <span className="mono text-quiet">{String(value)}</span>}
          </span>
          {figures.filter((name) => name !== shown.figure).map((name) => (
            <span key={name}>
              <span className="text-quiet">{figureName(name)}</span> {figureText(name, columns.values[name]?.[at])}
            </span>
          ))}
          {near && (
            <span>
              <span className="text-quiet">{near.known} neighbors</span> {figureText(shown.figure, near.low)} to {figureText(shown.figure, near.high)}
            </span>
          )}
          {columns.flags[at]! > 0 && <span className="text-warn">⚠ {columns.flags[at]} warnings</span>}
        </>
      ) : (
        <>
          <Status status={status} />
          {error && <span className="text-bad">{error}</span>}
        </>
      )}
    </Frame>
  );
}

function Frame({ children }: { children: ReactNode }): ReactNode {
  return (
    <div role="status" aria-live="polite" data-testid="picked" className="mb-1.5 flex min-h-11 flex-wrap content-start items-baseline gap-x-4 gap-y-0.5 rounded bg-raised px-2 py-1">
      {children}
    </div>
  );
}
