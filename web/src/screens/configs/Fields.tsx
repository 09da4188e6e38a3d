import { createContext, useContext, useEffect, useId, useState, type ReactNode } from "react";
import type { Problem } from "../../api/configs";
import { Button, cx } from "../../components/basics";
import { getAt, isSame, renamed } from "../../lib/document";
import { isObject, JsonError, parseJson, pathText, writeJson, type Json, type Path } from "../../lib/json";
import { fits, numberOf, shown, startOf, type Field } from "../../lib/schema";
import { words } from "../../lib/format";

interface Form {
  document: Json;
  /** By path, as the service says them. */
  problems: ReadonlyMap<string, readonly Problem[]>;
  change(path: Path, value: Json | undefined): void;
  replace(document: Json): void;
  disabled: boolean;
}

const Context = createContext<Form | null>(null);
export const FormContext = Context.Provider;

function useForm(): Form {
  return useContext(Context)!;
}

/** Id of a field's element, by which a problem leads to it. */
export const fieldId = (path: string) => `field ${path}`;

/** The key that a problem suggests instead of an unknown one. */
export function suggested(problem: Problem): string | null {
  return /^did you mean "(.*)"\?$/.exec(problem.allowed)?.[1] ?? null;
}

/** Fields of a section, and keys of the document that neither they nor what is drawn beside them know. */
export function Fields({ fields, path, beside = [] }: { fields: readonly Field[]; path: Path; beside?: readonly string[] }): ReactNode {
  const { document } = useForm();
  const here = getAt(document, path);
  const known = new Set([...beside, ...fields.map((field) => field.name)]);
  const strange = isObject(here) ? [...here.keys()].filter((key) => !known.has(key)) : [];
  return (
    <div className="flex flex-col gap-y-1.5">
      {fields.map((field) => (
        <Entry key={field.name} field={field} path={[...path, field.name]} />
      ))}
      {strange.map((key) => (
        <Strange key={key} path={[...path, key]} />
      ))}
    </div>
  );
}

function Entry({ field, path }: { field: Field; path: Path }): ReactNode {
  const { document } = useForm();
  const value = getAt(document, path);
  if (!fits(field.kind, value)) return <Row field={field} path={path} control={(ids) => <JsonInput path={path} {...ids} />} />;
  switch (field.kind) {
    case "section":
      return <Group field={field} path={path}><Fields fields={field.fields} path={path} /></Group>;
    case "union":
      return <Union field={field} path={path} />;
    case "rows":
      return <Rows field={field} path={path} />;
    case "pairs":
      return <Group field={field} path={path}><Pairs path={path} /></Group>;
    default:
      return <Row field={field} path={path} control={(ids) => <Control field={field} path={path} {...ids} />} />;
  }
}

/** Fields that belong together, below their name. */
function Group({ field, path, children }: { field: Field; path: Path; children: ReactNode }): ReactNode {
  return (
    <fieldset className="mt-1 min-w-0 border-l-2 border-line pl-3" id={fieldId(pathText(path))} tabIndex={-1}>
      <legend className="flex flex-wrap items-baseline gap-x-2 py-0.5">
        <span className="font-medium">{words(field.name)}</span>
        <span className="text-[12px] text-quiet">{field.help}</span>
      </legend>
      <Problems path={path} />
      {children}
    </fieldset>
  );
}

/** Characters from which on a text takes the help's width, too. */
const LONG = 32;

interface Ids {
  id: string;
  "aria-describedby": string;
  "aria-invalid": boolean;
}

function Row({ field, path, control }: { field: Field; path: Path; control(ids: Ids): ReactNode }): ReactNode {
  const { document, problems } = useForm();
  const text = pathText(path);
  const help = useId();
  const isWide = field.kind === "json" || (field.kind === "text" && (shown(getAt(document, path)).length > LONG || field.examples.some((one) => shown(one).length > LONG)));
  const ids = { id: fieldId(text), "aria-describedby": `${help} ${help}p`, "aria-invalid": problems.has(text) };
  return (
    <div className="grid grid-cols-1 items-start gap-x-3 @lg:grid-cols-[10.5rem_minmax(0,1fr)] @3xl:grid-cols-[10.5rem_minmax(0,17rem)_minmax(0,1fr)]">
      <label htmlFor={ids.id} className="breaks pt-1 leading-5" title={text}>
        {words(field.name)}
        {field.required && <span className="text-quiet" title="must be given"> *</span>}
      </label>
      <div className={cx("min-w-0", isWide && "@3xl:col-[2/-1]")}>
        {control(ids)}
        <Problems path={path} id={`${help}p`} />
      </div>
      <p id={help} className={cx("pt-1 text-[12px] leading-4.5 text-quiet", isWide ? "@lg:col-[2/-1]" : "@lg:col-start-2 @3xl:col-start-3")}>{field.help}</p>
    </div>
  );
}

/** What is wrong at a path, with a key to use instead where one is meant. */
function Problems({ path, id }: { path: Path; id?: string }): ReactNode {
  const { problems } = useForm();
  const here = problems.get(pathText(path)) ?? [];
  return (
    <div id={id}>
      {here.map((problem) => (
        <p key={problem.text} className="breaks py-0.5 text-[12px] text-bad">
          <span aria-hidden="true">✕ </span>
          {problem.found === null ? problem.text : `should be: ${problem.allowed}`}
        </p>
      ))}
    </div>
  );
}

const bad = (ids: { "aria-invalid": boolean }) => (ids["aria-invalid"] ? "border-bad" : "");

function Control({ field, path, ...ids }: { field: Field; path: Path } & Ids): ReactNode {
  const { document, change, disabled } = useForm();
  const value = getAt(document, path);
  const set = (next: Json | undefined) => change(path, next);
  if (field.kind === "json") return <JsonInput path={path} example={field.examples[0]} {...ids} />;
  if (field.kind === "choice" || field.kind === "boolean") {
    const options = field.kind === "boolean" ? ["true", "false"] : field.options;
    const now = value === undefined ? "" : value === null ? "null" : shown(value);
    const ofText = (text: string): Json => (text === "null" && field.nullable ? null : field.kind === "boolean" ? text === "true" : text);
    const all = [...options, ...(field.nullable ? ["null"] : [])];
    const ofDefault = field.default === null ? "null" : shown(field.default);
    return (
      <select className={cx("field w-full", bad(ids))} disabled={disabled} {...ids} value={now} onChange={(event) => set(event.target.value === "" ? undefined : ofText(event.target.value))}>
        {(!field.required || now === "") && <option value="">{field.required ? "choose one" : `${ofDefault} (default)`}</option>}
        {now !== "" && !all.includes(now) && <option value={now}>{now} (not allowed)</option>}
        {all.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    );
  }
  if (field.kind === "lines") {
    const lines = (value ?? []) as readonly string[];
    return (
      <Typed
        {...ids}
        rows={Math.min(8, Math.max(2, lines.length))}
        value={lines.join("\n")}
        placeholder={["One on each line", ...(field.examples[0] as readonly string[] | undefined ?? [])].join("\n")}
        disabled={disabled}
        onType={(text) => {
          const next = text.split("\n").map((line) => line.trim()).filter(Boolean);
          set(next.length ? next : undefined);
        }}
      />
    );
  }
  const isNumber = field.kind === "number";
  // What an empty field means: the default, or null where null is said by leaving it empty.
  const empty = field.nullable && (field.required || (value !== undefined && field.default === null)) ? null : undefined;
  const meansOther = field.nullable && !field.required && field.default !== null && field.default !== undefined;
  const placeholder = field.default === undefined || field.default === null ? (field.nullable ? "null" : field.examples.length ? `such as ${shown(field.examples[0])}` : "") : shown(field.default);
  return (
    <div className="flex gap-1">
      <Typed
        {...ids}
        inputMode={isNumber ? "decimal" : "text"}
        value={shown(value)}
        placeholder={value === null ? "null" : placeholder}
        disabled={disabled}
        onType={(text) => set(text === "" ? empty : isNumber ? numberOf(text) : text)}
      />
      {meansOther && (
        <Button aria-pressed={value === null} aria-label={`${words(field.name)}: null`} className={value === null ? "bg-accent-soft text-accent" : "text-quiet"} disabled={disabled} onClick={() => set(value === null ? undefined : null)}>
          null
        </Button>
      )}
    </div>
  );
}

/** A field that shows what is typed while it has the focus, and else what the document has. */
function Typed({ value, onType, rows, ...rest }: { value: string; onType(text: string): void; rows?: number; placeholder: string; disabled: boolean; inputMode?: "decimal" | "text" } & Ids): ReactNode {
  const [typed, setTyped] = useState<string | null>(null);
  const own = {
    ...rest,
    autoComplete: "off",
    spellCheck: false,
    value: typed ?? value,
    onFocus: () => setTyped(value),
    onBlur: () => setTyped(null),
    onChange: (event: { target: { value: string } }) => {
      setTyped(event.target.value);
      onType(event.target.value);
    },
  };
  const classes = cx("field w-full min-w-0", bad(rest));
  return rows ? <textarea {...own} rows={rows} className={cx(classes, "mono h-auto py-1")} /> : <input {...own} className={classes} />;
}

/** Any value, as JSON; the document changes when it can be read. */
function JsonInput({ path, example, ...ids }: { path: Path; example?: Json | undefined } & Ids): ReactNode {
  const { document, change, disabled } = useForm();
  const value = getAt(document, path);
  const text = value === undefined ? "" : writeJson(value);
  const [typed, setTyped] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    // Changed elsewhere: as text, or taken back.
    if (typed !== null && error === null && !isSame(valueOf(typed), value)) setTyped(null);
  }, [text]); // eslint-disable-line
  const type = (next: string) => {
    setTyped(next);
    try {
      change(path, next.trim() === "" ? undefined : parseJson(next).value);
      setError(null);
    } catch (problem) {
      setError((problem as Error).message);
    }
  };
  return (
    <>
      <textarea
        {...ids}
        aria-invalid={ids["aria-invalid"] || error !== null}
        className={cx("field mono h-auto w-full py-1", (error !== null || ids["aria-invalid"]) && "border-bad")}
        rows={Math.min(12, Math.max(2, (typed ?? text).split("\n").length))}
        spellCheck={false}
        disabled={disabled}
        placeholder={example === undefined ? "{}" : writeJson(example, 0)}
        value={typed ?? text}
        onChange={(event) => type(event.target.value)}
        onBlur={() => error === null && setTyped(null)}
      />
      {error !== null && <p className="text-[12px] text-bad">✕ {error}: the configuration has what was there before.</p>}
    </>
  );
}

function valueOf(text: string): Json | undefined {
  try {
    return parseJson(text).value;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** A section whose fields one of its keys decides. */
function Union({ field, path }: { field: Field; path: Path }): ReactNode {
  const { document, change, disabled } = useForm();
  const value = getAt(document, path);
  const now = shown(getAt(value, [field.tag]));
  const variant = field.variants.find((one) => one.name === now);
  const ofDefault = shown(getAt(field.default, [field.tag]));
  const tagPath = [...path, field.tag];
  return (
    <>
      <Row
        field={{ ...field, help: variant?.help ?? field.help }}
        path={tagPath}
        control={(ids) => (
          <select className={cx("field w-full", bad(ids))} disabled={disabled} {...ids} aria-label={words(field.name)} value={now} onChange={(event) => change(path, event.target.value === "" ? undefined : new Map([[field.tag, event.target.value]]))}>
            {(!field.required || now === "") && <option value="">{ofDefault ? `${ofDefault} (default)` : "not set"}</option>}
            {now !== "" && !variant && <option value={now}>{now} (not allowed)</option>}
            {field.variants.map((one) => (
              <option key={one.name}>{one.name}</option>
            ))}
          </select>
        )}
      />
      <Problems path={path} />
      {variant && (variant.fields.length > 0 || (isObject(value) && value.size > 1)) && (
        <div className="border-l-2 border-line pl-3">
          <Fields fields={variant.fields} path={path} beside={[field.tag]} />
        </div>
      )}
    </>
  );
}

const MANY = 50;
/** A target that fingers and WCAG take. */
const SMALLEST = "min-h-[24px] min-w-[24px] justify-center !px-0";

/** A list of objects: a table where they are small, else one below the other. */
export function Rows({ field, path, isBare = false }: { field: Field; path: Path; isBare?: boolean }): ReactNode {
  const { document, change, disabled } = useForm();
  const items = (getAt(document, path) ?? []) as readonly Json[];
  const [most, setMost] = useState(MANY);
  const isTable = field.fields.length <= 4;
  const one = words(field.name).replace(/s$/, "");
  const move = (from: number, to: number) => {
    const next = [...items];
    next.splice(to, 0, ...next.splice(from, 1));
    change(path, next);
  };
  const remove = (at: number) => change(path, items.length === 1 && !field.required ? undefined : items.toSpliced(at, 1));
  const buttons = (at: number) => (
    <span className="flex justify-end gap-0.5">
      <Button small kind="quiet" className={SMALLEST} disabled={disabled || at === 0} aria-label={`Move ${one} ${at + 1} up`} onClick={() => move(at, at - 1)}>↑</Button>
      <Button small kind="quiet" className={SMALLEST} disabled={disabled || at === items.length - 1} aria-label={`Move ${one} ${at + 1} down`} onClick={() => move(at, at + 1)}>↓</Button>
      <Button small kind="quiet" className={SMALLEST} disabled={disabled} aria-label={`Remove ${one} ${at + 1}`} onClick={() => remove(at)}>✕</Button>
    </span>
  );
  const content = (
    <>
      {isTable && items.length > 0 && (
        <div className="overflow-x-auto">
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">#</th>
                {field.fields.map((column) => (
                  <th key={column.name} scope="col" title={column.help}>{words(column.name)}{column.required && " *"}</th>
                ))}
                <th scope="col"><span className="sr-only">Order and removal</span></th>
              </tr>
            </thead>
            <tbody>
              {items.slice(0, most).map((_, at) => (
                <tr key={at}>
                  <td className="text-quiet">{at + 1}</td>
                  {field.fields.map((column) => (
                    <td key={column.name}><Cell field={column} path={[...path, at, column.name]} label={`${one} ${at + 1}: ${words(column.name)}`} /></td>
                  ))}
                  <td>{buttons(at)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {!isTable && items.slice(0, most).map((_, at) => (
        <fieldset key={at} className="mb-2 min-w-0 rounded border border-line px-3 pb-2">
          <legend className="flex items-center gap-2 px-1"><span className="label">{one} {at + 1}</span>{buttons(at)}</legend>
          <Fields fields={field.fields} path={[...path, at]} />
        </fieldset>
      ))}
      {items.map((item, at) => isTable && isObject(item) && [...item.keys()].filter((key) => !field.fields.some((column) => column.name === key)).map((key) => <Strange key={`${at} ${key}`} path={[...path, at, key]} />))}
      <div className="mt-1 flex items-center gap-2">
        <Button small disabled={disabled} onClick={() => change(path, [...items, startOf(field.fields)])}>+ {one}</Button>
        {items.length > most && <Button small kind="quiet" onClick={() => setMost(most + MANY)}>show {Math.min(MANY, items.length - most)} of {items.length - most} more</Button>}
        {!items.length && <span className="text-[12px] text-quiet">none</span>}
      </div>
    </>
  );
  return isBare ? <><Problems path={path} />{content}</> : <Group field={field} path={path}>{content}</Group>;
}

function Cell({ field, path, label }: { field: Field; path: Path; label: string }): ReactNode {
  const { problems } = useForm();
  const text = pathText(path);
  const id = useId();
  return (
    <>
      <label htmlFor={fieldId(text)} className="sr-only">{label}</label>
      <Control field={field} path={path} id={fieldId(text)} aria-describedby={id} aria-invalid={problems.has(text)} />
      <Problems path={path} id={id} />
    </>
  );
}

/** Texts by key. */
function Pairs({ path }: { path: Path }): ReactNode {
  const { document, change, disabled } = useForm();
  const value = getAt(document, path);
  const entries = isObject(value) ? ([...value] as [string, string][]) : [];
  const [key, setKey] = useState("");
  const [text, setText] = useState("");
  const add = () => {
    change([...path, key], text);
    setKey("");
    setText("");
  };
  return (
    <div className="flex flex-col gap-1">
      {entries.map(([name, held]) => (
        <div key={name}>
          <div className="flex items-center gap-1">
            <label className="mono w-40 shrink-0 truncate" title={name} htmlFor={fieldId(pathText([...path, name]))}>{name}</label>
            <input id={fieldId(pathText([...path, name]))} className="field w-32" value={held} disabled={disabled} onChange={(event) => change([...path, name], event.target.value)} />
            <Button small kind="quiet" className={SMALLEST} disabled={disabled} aria-label={`Remove ${name}`} onClick={() => change([...path, name], undefined)}>✕</Button>
          </div>
          <Problems path={[...path, name]} />
        </div>
      ))}
      <div className="flex items-center gap-1">
        <input className="field mono w-40" aria-label="New key" placeholder="new key" value={key} disabled={disabled} onChange={(event) => setKey(event.target.value)} />
        <input className="field w-32" aria-label="Value of the new key" placeholder="value" value={text} disabled={disabled} onChange={(event) => setText(event.target.value)} onKeyDown={(event) => event.key === "Enter" && key && add()} />
        <Button small disabled={disabled || !key || entries.some(([name]) => name === key)} onClick={add}>Add</Button>
      </div>
    </div>
  );
}

/** A key that the schema does not know. */
function Strange({ path }: { path: Path }): ReactNode {
  const { document, problems, change, replace, disabled } = useForm();
  const text = pathText(path);
  const name = String(path.at(-1));
  const meant = (problems.get(text) ?? []).map(suggested).find((one) => one !== null);
  return (
    <div id={fieldId(text)} tabIndex={-1} role="group" aria-label={`unknown key ${name}`} className="flex flex-wrap items-center gap-2 rounded border border-bad bg-bad-soft px-2 py-1">
      <span className="mono breaks">{name}: {shown(getAt(document, path)) || "null"}</span>
      <span className="text-[12px] text-bad">unknown key{meant ? `; did you mean ${meant}?` : ""}</span>
      <span className="ml-auto flex gap-1">
        {meant && <Button small disabled={disabled} onClick={() => replace(renamed(document, path, meant))}>Use {meant}</Button>}
        <Button small disabled={disabled} onClick={() => change(path, undefined)}>Remove</Button>
      </span>
    </div>
  );
}
