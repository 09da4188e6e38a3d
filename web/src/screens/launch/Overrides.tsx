import { useQuery } from "@tanstack/react-query";
import { useMemo, type ReactNode } from "react";
import { loadConfig, schemaQuery } from "../../api/configs";
import { useUrl } from "../../app/search";
import { Button, cx } from "../../components/basics";
import { parseJson } from "../../lib/json";
import { formOf } from "../../lib/schema";
import type { Vary } from "../sweeps/vary";
import { isText, nowText, overrideRows, overridesText, problemOf, settingsOf, shownText, written, type Setting } from "./overrides";

/** Values of this run in place of the configuration's: a path and a value for each. */
export function Overrides({ config, refused }: { config: string; refused: Readonly<Record<string, string>> }): ReactNode {
  const [search, setUrl] = useUrl();
  const schema = useQuery(schemaQuery);
  const stored = useQuery({ queryKey: ["config-file", config], queryFn: ({ signal }) => loadConfig(config, signal), retry: false });
  const settings = useMemo(() => {
    if (schema.data === undefined || stored.data === undefined) return [];
    const document = parseJson(stored.data.text).value;
    return settingsOf(formOf(schema.data, document), document);
  }, [schema.data, stored.data]);
  const known = useMemo(() => new Map(settings.map((one) => [one.path, one])), [settings]);
  const rows = overrideRows(search);
  const setRows = (next: readonly Vary[]) => setUrl({ set: overridesText(next) });
  const change = (at: number, next: Partial<Vary>) => setRows(rows.map((row, index) => (index === at ? { ...row, ...next } : row)));
  const free = settings.find(({ path, field, now }) => field === null && now !== undefined && !rows.some((row) => row.path === path)) ?? settings.find(({ path }) => !rows.some((row) => row.path === path));
  return (
    <fieldset className="flex min-w-0 flex-col gap-2">
      <legend className="label mb-1">In place of the configuration's values, for this run</legend>
      <datalist id="override-paths">
        {settings.map((one) => (
          <option key={one.path} value={one.path} label={nowText(one)} />
        ))}
      </datalist>
      {rows.map((row, at) => (
        <Row
          key={at}
          at={at}
          row={row}
          setting={known.get(row.path)}
          isTwice={rows.findIndex((one) => one.path === row.path) < at}
          problem={problemOf(refused, row.path)}
          isKnown={settings.length > 0}
          onChange={(next) => change(at, next)}
          onRemove={() => setRows(rows.filter((_, index) => index !== at))}
        />
      ))}
      <span>
        <Button small disabled={!free} onClick={() => free && setRows([...rows, { path: free.path, text: "" }])}>
          + Replace {rows.length ? "another value" : "a value"}
        </Button>
      </span>
    </fieldset>
  );
}

interface RowProps {
  at: number;
  row: Vary;
  setting: Setting | undefined;
  isTwice: boolean;
  problem: string | undefined;
  /** Whether it is known which settings there are. */
  isKnown: boolean;
  onChange(next: Partial<Vary>): void;
  onRemove(): void;
}

function Row({ at, row, setting, isTwice, problem, isKnown, onChange, onRemove }: RowProps): ReactNode {
  const id = `override-${at}-says`;
  const wrong = isTwice ? "this path is there twice: the last value counts" : row.text === "" ? undefined : problem;
  const kind = setting?.field?.kind;
  const options = kind === "boolean" ? ["true", "false"] : kind === "choice" ? setting!.field!.options : null;
  const props = {
    "aria-label": `Value of ${row.path}`,
    "aria-describedby": id,
    "aria-invalid": wrong !== undefined,
    className: cx("field mono w-full min-w-0", wrong !== undefined && "border-bad"),
  };
  const typed = shownText(row.text, setting);
  return (
    <div className="grid grid-cols-[minmax(0,3fr)_minmax(0,2fr)_auto] items-start gap-x-2 gap-y-0.5">
      <input list="override-paths" className="field mono w-full min-w-0" aria-label={`Path ${at + 1}`} spellCheck={false} title={row.path} value={row.path} onChange={(event) => onChange({ path: event.target.value.replace(/[=;\s]/g, "") })} />
      {options ? (
        <select {...props} value={typed} onChange={(event) => onChange({ text: event.target.value })}>
          <option value="">as configured</option>
          {typed !== "" && typed !== "null" && !options.includes(typed) && <option value={typed}>{typed} (not allowed)</option>}
          {[...options, ...(setting?.field?.nullable ? ["null"] : [])].map((one) => <option key={one}>{one}</option>)}
        </select>
      ) : (
        <input {...props} inputMode={kind === "number" ? "decimal" : "text"} spellCheck={false} autoComplete="off" placeholder={setting ? nowText(setting) : "a value"} value={typed} onChange={(event) => onChange({ text: written(event.target.value, setting) })} />
      )}
      <Button kind="quiet" aria-label={`Remove ${row.path}`} onClick={onRemove}>✕</Button>
      <p id={id} className={cx("breaks col-span-3 text-[12px] leading-4", wrong ? "text-bad" : "text-quiet")}>
        {wrong ? `✕ ${wrong}` : setting ? <>now {nowText(setting)}{row.text === "" && ", no other value yet"}{isText(setting) && " · a text"}{setting.field?.help && ` · ${setting.field.help}`}</> : !isKnown ? "…" : row.text === "" ? "no value yet" : "not in the schema: the service says whether there is such a path"}
      </p>
    </div>
  );
}
