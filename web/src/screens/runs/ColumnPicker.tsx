import type { ReactNode } from "react";
import { useUrl } from "../../app/search";
import { Button } from "../../components/basics";
import { Pop } from "../../components/overlays";
import { toggled } from "../../lib/url";
import type { RunColumn } from "./columns";

/** Which columns there are: kept in the address, so that a link shows the same. */
export function ColumnPicker({ all, chosen, standard, differing }: { all: readonly RunColumn[]; chosen: readonly RunColumn[]; standard: readonly RunColumn[]; differing: boolean }): ReactNode {
  const [, setUrl] = useUrl();
  const names = chosen.map((column) => column.id);
  const set = (next: string[]) => {
    const inOrder = all.filter((column) => next.includes(column.id)).map((column) => column.id);
    const usual = standard.map((column) => column.id).join();
    setUrl({ cols: inOrder.join() === usual || !inOrder.length ? undefined : inOrder.join(",") });
  };
  const groups = Object.entries(Object.groupBy(all, (column) => column.group));
  return (
    <Pop title="Columns" trigger={<Button>Columns{differing && " · only differing"}</Button>}>
      <label className="flex cursor-pointer items-center gap-2 border-b border-line pb-2">
        <input type="checkbox" className="accent-accent" checked={differing} onChange={() => setUrl({ diff: differing ? undefined : "1" })} />
        Only columns whose values differ in the first 200 runs
      </label>
      <div className="grid grid-cols-3 gap-x-6 gap-y-3 pt-2">
        {groups.map(([group, columns]) => (
          <fieldset key={group}>
            <legend className="label mb-1">{group}</legend>
            {columns?.map((column) => (
              <label key={column.id} className="flex cursor-pointer items-center gap-2 py-0.5 whitespace-nowrap">
                <input type="checkbox" className="accent-accent" checked={names.includes(column.id)} disabled={column.id === "run_id"} onChange={() => set(toggled(names, column.id))} />
                {column.label}
              </label>
            ))}
          </fieldset>
        ))}
      </div>
      <Button small kind="quiet" className="mt-2" onClick={() => setUrl({ cols: undefined, diff: undefined })}>
        Standard columns
      </Button>
    </Pop>
  );
}
