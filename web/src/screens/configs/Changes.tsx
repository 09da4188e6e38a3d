import { useState, type ReactNode } from "react";
import { Button, Copy, Panel, Tag } from "../../components/basics";
import { briefly, changesOf, merge, settled, type Change } from "../../lib/document";
import { parseJson, pathText, type Json } from "../../lib/json";

/** What differs between two documents, by path. */
export function ChangeTable({ changes, names = ["Saved", "Yours"], onUndo }: { changes: readonly Change[]; names?: [string, string]; onUndo?: (change: Change) => void }): ReactNode {
  return (
    <div className="max-h-[45vh] overflow-auto" tabIndex={0} role="region" aria-label="Changes">
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Setting</th>
            <th scope="col">{names[0]}</th>
            <th scope="col">{names[1]}</th>
            {onUndo && <th scope="col"><span className="sr-only">Undo</span></th>}
          </tr>
        </thead>
        <tbody>
          {changes.map((change) => (
            <tr key={pathText(change.path)}>
              <th scope="row" className="mono breaks !text-ink">{pathText(change.path)}</th>
              <Value value={change.before} sign="−" />
              <Value value={change.after} sign="+" />
              {onUndo && (
                <td className="text-right">
                  <Button small kind="quiet" aria-label={`Undo the change of ${pathText(change.path)}`} onClick={() => onUndo(change)}>Undo</Button>
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Value({ value, sign }: { value: Json | undefined; sign: "−" | "+" }): ReactNode {
  if (value === undefined) return <td className="text-quiet">not set</td>;
  return (
    <td className={`mono breaks ${sign === "−" ? "text-loss" : "text-gain"}`}>
      {sign} {briefly(value)}
    </td>
  );
}

/** What somebody else saved meanwhile; null: deleted. */
export interface Theirs {
  text: string;
  etag: string;
}

/** Somebody else has saved: theirs beside ours, merged setting by setting; nothing is lost. */
export function ConflictPanel({ base, mine, mineText, theirs, onMerge, onTake }: {
  base: Json;
  mine: Json;
  mineText: string;
  theirs: Theirs;
  onMerge(value: Json, theirs: Theirs): void;
  onTake(theirs: Theirs): void;
}): ReactNode {
  const [taken, setTaken] = useState<ReadonlySet<string>>(new Set());
  const other = parseJson(theirs.text).value;
  const merged = merge(base, mine, other);
  const conflicts = new Set(merged.conflicts.map((one) => pathText(one.path)));
  const incoming = changesOf(base, other).filter((change) => !conflicts.has(pathText(change.path)));
  const choose = (path: string, isTheirs: boolean) => setTaken((before) => new Set(isTheirs ? [...before, path] : [...before].filter((one) => one !== path)));
  return (
    <Panel className="border-warn" title={<span role="alert" className="text-warn">⚠ Somebody else has saved this configuration meanwhile</span>}>
      <p className="mb-2 max-w-[90ch]">
        {merged.conflicts.length
          ? `${merged.conflicts.length === 1 ? "One setting was" : `${merged.conflicts.length} settings were`} changed by both: choose one value of each. All other changes of both are kept.`
          : "Both of you changed other settings: the changes fit together."}{" "}
        Nothing is saved before you save it.
      </p>
      {merged.conflicts.length > 0 && (
        <div className="overflow-x-auto">
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">Changed by both</th>
                <th scope="col">Was</th>
                <th scope="col">Yours</th>
                <th scope="col">Theirs</th>
              </tr>
            </thead>
            <tbody>
              {merged.conflicts.map((one) => {
                const path = pathText(one.path) || "the whole document";
                return (
                  <tr key={path}>
                    <th scope="row" className="mono breaks !text-ink">{path}</th>
                    <td className="mono breaks text-quiet">{briefly(one.base)}</td>
                    {[false, true].map((isTheirs) => (
                      <td key={String(isTheirs)}>
                        <label className="flex items-baseline gap-1.5">
                          <input type="radio" className="accent-accent" name={`conflict ${path}`} aria-label={`${path}: ${isTheirs ? "theirs" : "yours"}`} checked={taken.has(path) === isTheirs} onChange={() => choose(path, isTheirs)} />
                          <span className="mono breaks">{briefly(isTheirs ? one.theirs : one.mine)}</span>
                        </label>
                      </td>
                    ))}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {incoming.length > 0 && (
        <details className="mt-2" open={incoming.length <= 8}>
          <summary className="cursor-pointer text-quiet">Their other {incoming.length === 1 ? "change" : `${incoming.length} changes`}</summary>
          <ChangeTable changes={incoming} names={["Was", "Theirs"]} />
        </details>
      )}
      <div className="mt-3 flex flex-wrap items-center gap-2">
        <Button kind="primary" onClick={() => onMerge(settled(merged, (one) => taken.has(pathText(one.path) || "the whole document")), theirs)}>Merge into what I edit</Button>
        <Button onClick={() => onTake(theirs)}>Load theirs instead</Button>
        <Copy text={mineText} label="my version as JSON" className="text-quiet">Copy my version</Copy>
        <span className="text-[12px] text-quiet">Undo brings yours back.</span>
      </div>
    </Panel>
  );
}

/** Number of changes, as a tag. */
export function ChangeCount({ count }: { count: number }): ReactNode {
  return count ? <Tag tone="accent">{count === 1 ? "1 unsaved change" : `${count} unsaved changes`}</Tag> : null;
}
