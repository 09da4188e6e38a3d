import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useBlocker, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { ApiError } from "../../api/client";
import { deleteConfig, loadConfig, saveConfig, schemaQuery, validate, type Problem, type Stored, type Validity } from "../../api/configs";
import { useKey } from "../../app/keys";
import { useUrl } from "../../app/search";
import { Button, buttonClass, Copy, cx, Panel, ScreenHead, Tag, useTitle } from "../../components/basics";
import { Modal } from "../../components/overlays";
import { Failure, Skeleton } from "../../components/states";
import { useSettled } from "../../components/useSettled";
import { changesOf, getAt, renamed, setAt } from "../../lib/document";
import { words } from "../../lib/format";
import { isObject, JsonError, parseJson, type Json } from "../../lib/json";
import { formOf, type Field } from "../../lib/schema";
import { ChangeCount, ChangeTable, ConflictPanel, type Theirs } from "./Changes";
import { fieldId, Fields, FormContext, Rows, suggested } from "./Fields";
import { JsonView } from "./JsonView";
import { useDraft, type Draft } from "./useDraft";

const ASKED_EVERY_MS = 15_000;
const NO_PROBLEMS: readonly Problem[] = [];

function valueOf(text: string): Json {
  try {
    return parseJson(text).value;
  } catch (error) {
    if (error instanceof JsonError) return new Map();
    throw error;
  }
}

/** What the service says of the text as it is now; of an older text while it is asked. */
function useValidity(name: string, draft: Draft): { validity: Validity | undefined; isOfNow: boolean; error: unknown } {
  const settled = useSettled(draft.text);
  const query = useQuery({
    queryKey: ["validity", name, settled],
    queryFn: ({ signal }) => validate(name, settled, signal),
    enabled: draft.error === null,
    placeholderData: (before) => before,
    staleTime: 5_000,
    gcTime: 10_000,
  });
  return { validity: query.data, isOfNow: settled === draft.text && query.isSuccess && !query.isPlaceholderData && draft.error === null, error: query.error };
}

/** A configuration that is edited: as fields and as JSON, both the same document. */
export function Editor({ name, stored, initial, onRename }: { name: string; stored: Stored | null; initial: string; onRename?(text: string): void }): ReactNode {
  useTitle(stored ? name : `New: ${name}`);
  const client = useQueryClient();
  const navigate = useNavigate();
  const [search, setUrl] = useUrl();
  const draft = useDraft(initial);
  const [base, setBase] = useState<Stored | null>(stored);
  const [theirs, setTheirs] = useState<Theirs | null>(null);
  const [isGone, setGone] = useState(false);
  const [review, setReview] = useState(false);
  const [isDeleting, setDeleting] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const leaves = useRef(false);
  const schema = useQuery(schemaQuery);
  const { validity, isOfNow, error: unchecked } = useValidity(name, draft);
  const baseValue = useMemo(() => (base ? valueOf(base.text) : undefined), [base]);
  const isDirty = base === null || draft.text !== base.text;
  const changes = useMemo(() => (draft.error ? [] : changesOf(baseValue ?? new Map(), draft.value)), [baseValue, draft.value, draft.error]);

  // Another's save is noticed while this one is open.
  const latest = useQuery({ queryKey: ["config-now", name], queryFn: ({ signal }) => loadConfig(name, signal), enabled: base !== null, refetchInterval: ASKED_EVERY_MS, refetchOnWindowFocus: true, staleTime: 0, retry: false });
  const state = useRef({ base, isDirty });
  state.current = { base, isDirty };
  const adopt = (stored: Stored) => {
    setBase(stored);
    setTheirs(null);
    setGone(false);
    setProblem(null);
    draft.setText(stored.text);
  };
  useEffect(() => {
    const stored = latest.data;
    if (!stored || !state.current.base || stored.etag === state.current.base.etag) return;
    if (state.current.isDirty) setTheirs(stored);
    else adopt(stored);
  }, [latest.data]); // eslint-disable-line
  useEffect(() => {
    if (latest.error instanceof ApiError && latest.error.status === 404 && state.current.base) setGone(true);
  }, [latest.error]);

  const blocker = useBlocker({
    shouldBlockFn: ({ current, next }) => isDirty && !leaves.current && current.pathname !== next.pathname,
    enableBeforeUnload: () => isDirty && !leaves.current,
    withResolver: true,
  });

  const after = async (sent: string) => {
    const stored = await loadConfig(name);
    client.setQueryData(["config-now", name], stored);
    client.setQueryData(["config-file", name], stored);
    void client.invalidateQueries({ queryKey: ["configs"] });
    setBase(stored);
    setGone(false);
    setTheirs(null);
    setReview(false);
    // What was typed since is kept.
    if (draft.text === sent) draft.setText(stored.text);
    if (!stored) {
      leaves.current = true;
      await navigate({ to: "/configs/$name", params: { name }, replace: true });
    }
  };
  const save = async () => {
    if (isBusy || draft.error) return;
    setBusy(true);
    setProblem(null);
    try {
      await saveConfig(name, draft.text, base && !isGone ? base.etag : null);
      await after(draft.text);
    } catch (error) {
      const isChanged = error instanceof ApiError && (error.status === 412 || error.status === 428);
      if (isChanged && base) {
        setReview(false);
        await seeTheirs();
      } else setProblem(isChanged ? new Error(`There is a configuration ${name} already: keep editing, and choose another name.`) : error);
    } finally {
      setBusy(false);
    }
  };
  const seeTheirs = async () => {
    try {
      setTheirs(await loadConfig(name));
      setGone(false);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) setGone(true);
      else setProblem(error);
    }
  };
  const remove = async () => {
    if (!base) return;
    setBusy(true);
    setProblem(null);
    try {
      await deleteConfig(name, base.etag);
      leaves.current = true;
      void client.invalidateQueries({ queryKey: ["configs"] });
      await navigate({ to: "/configs" });
    } catch (error) {
      if (error instanceof ApiError && error.status === 412) {
        setDeleting(false);
        await seeTheirs();
      } else setProblem(error);
    } finally {
      setBusy(false);
    }
  };

  useKey("mod+s", "Look through the changes and save", () => (review ? void save() : isDirty && setReview(true)), "Configuration");
  useKey("u", "Undo", () => draft.undo?.(), "Configuration", draft.undo !== null);
  useKey("U", "Redo", () => draft.redo?.(), "Configuration", draft.redo !== null);
  const view = search.view ?? "both";
  const show = (next: string) => setUrl({ view: next === "both" ? undefined : next });
  const problems = draft.error ? NO_PROBLEMS : (validity?.problems ?? NO_PROBLEMS);
  const fields = useMemo(() => (schema.data === undefined ? null : formOf(schema.data, draft.value)), [schema.data, draft.value]);
  const cannotSave = draft.error ? "The JSON text cannot be read." : isOfNow && validity && !validity.valid ? "The service stores valid configurations only." : null;

  return (
    <div className="flex min-h-full shrink-0 flex-col gap-3 p-3">
      <ScreenHead title={<span className="breaks">{name}</span>} command={base ? `odum config validate ${name}` : "odum config schema"}>
        <State draft={draft} validity={validity} isOfNow={isOfNow} error={unchecked} />
        {base === null ? <Tag tone="accent">new, not saved yet</Tag> : isDirty && (changes.length || draft.error ? <ChangeCount count={changes.length} /> : <Tag>spelled otherwise</Tag>)}
      </ScreenHead>
      <div className="no-print sticky top-0 z-20 -mx-3 -my-1 flex flex-wrap items-center gap-2 bg-page px-3 py-1" role="toolbar" aria-label="Configuration">
        <Button kind="primary" disabled={!isDirty || draft.error !== null} onClick={() => setReview(true)}>Save…</Button>
        <span className="flex">
          <Button kind="quiet" disabled={!draft.undo} title="Undo (u)" onClick={() => draft.undo?.()}>↶ Undo</Button>
          <Button kind="quiet" disabled={!draft.redo} title="Redo (U)" onClick={() => draft.redo?.()}>↷ Redo</Button>
        </span>
        <Views value={view} onChange={show} />
        <span className="ml-auto flex flex-wrap items-center gap-1">
          <Copy text={draft.text} label="the configuration as JSON" className="px-2 text-quiet">Copy JSON</Copy>
          {base === null && onRename && <Button kind="quiet" onClick={() => onRename(draft.text)}>Other name…</Button>}
          {base && (
            <>
              <Link to="/configs" search={{ new: "1", from: name } as never} className={buttonClass("quiet")}>Duplicate…</Link>
              <Button kind="quiet" onClick={() => { setProblem(null); setDeleting(true); }}>Delete…</Button>
              <Link to="/" search={{ config: name } as never} className={buttonClass("plain")}>Its runs</Link>
              <Link to="/launch" search={{ config: name } as never} className={buttonClass("plain")} title={isDirty ? "Runs what is saved, without the unsaved changes" : undefined}>Launch…</Link>
            </>
          )}
        </span>
      </div>
      {problem && !review && !isDeleting ? <Failure error={problem} /> : null}
      {isGone && base && (
        <Panel className="border-warn" title={<span role="alert" className="text-warn">⚠ Somebody has deleted this configuration</span>}>
          <p className="mb-2">What you see is kept here until you leave.</p>
          <div className="flex gap-2">
            <Button onClick={() => setReview(true)}>Save it again…</Button>
            <Link to="/configs" className={buttonClass("plain")}>To the list</Link>
          </div>
        </Panel>
      )}
      {theirs && base && !draft.error && (
        <ConflictPanel
          key={theirs.etag}
          base={baseValue!}
          mine={draft.value}
          mineText={draft.text}
          theirs={theirs}
          onMerge={(value, of) => {
            setBase(of);
            setTheirs(null);
            draft.replace(value);
          }}
          onTake={adopt}
        />
      )}
      <ProblemList problems={problems} draft={draft} onShow={() => view === "json" && show("both")} />
      {validity?.notes.length && isOfNow ? (
        <details className="text-quiet">
          <summary className="cursor-pointer">{validity.notes.length === 1 ? "1 note" : `${validity.notes.length} notes`}</summary>
          {validity.notes.map((note) => <p key={note} className="breaks">{note}</p>)}
        </details>
      ) : null}
      <div className={cx("grid min-h-0 flex-1 gap-3", view === "both" && "lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]")}>
        {view !== "json" && (
          <div className="@container min-w-0">
            {schema.error ? <Failure error={schema.error} retry={() => void schema.refetch()} /> : null}
            {fields ? (
              <FormContext value={{ document: draft.value, problems: byPath(problems), change: draft.change, replace: draft.replace, disabled: draft.error !== null }}>
                <Form fields={fields} problems={problems} document={draft.value} />
              </FormContext>
            ) : schema.error ? null : <Skeleton className="h-96" />}
          </div>
        )}
        {view !== "form" && (
          <section aria-label="JSON" className={cx("flex min-h-80 min-w-0 flex-col gap-1 lg:sticky lg:top-10 lg:h-[calc(100dvh-11rem)]", view === "both" && "max-lg:hidden")}>
            {draft.error && <p id="json-error" role="alert" className="breaks rounded border border-bad bg-bad-soft px-2 py-1">✕ {draft.error.message}. The form waits until it can be read.</p>}
            <JsonView draft={draft} problems={problems} />
          </section>
        )}
      </div>
      <Modal open={review} onOpenChange={setReview} title={base === null ? `Save the new configuration ${name}?` : `Save the changes of ${name}?`} className="!w-[min(860px,94vw)]">
        <div className="flex flex-col gap-3">
          {changes.length ? (
            <ChangeTable changes={changes} {...(base && { onUndo: (change) => draft.replace(setAt(draft.value, change.path, change.before) ?? new Map()) })} />
          ) : (
            <p className="text-quiet">{isDirty ? "The same values, spelled otherwise: the service stores its own spelling." : "Nothing differs from what is saved."}</p>
          )}
          {cannotSave && <p className="text-bad">✕ {cannotSave} {problems.length > 0 && `${problems[0]!.path || "all"}: ${problems[0]!.text}${problems.length > 1 ? ` (and ${problems.length - 1} more)` : ""}`}</p>}
          {problem ? <Failure error={problem} /> : null}
          <div className="flex items-center gap-2">
            <Button kind="primary" autoFocus disabled={isBusy || !isDirty || cannotSave !== null} onClick={() => void save()}>{isBusy ? "Saving…" : "Save"}</Button>
            <Button onClick={() => setReview(false)}>Keep editing</Button>
            <span className="label ml-auto">⌘/Ctrl S</span>
          </div>
        </div>
      </Modal>
      <Modal open={isDeleting} onOpenChange={setDeleting} title={`Delete ${name}?`}>
        <p className="mb-3">Its results stay, each with its own copy of the configuration. New runs of it can no longer be started.</p>
        {problem ? <Failure error={problem} /> : null}
        <div className="mt-3 flex gap-2">
          <Button kind="danger" disabled={isBusy} onClick={() => void remove()}>Delete</Button>
          <Button autoFocus onClick={() => setDeleting(false)}>Keep it</Button>
        </div>
      </Modal>
      <Modal open={blocker.status === "blocked"} onOpenChange={(open) => !open && blocker.reset?.()} title="Leave without saving?">
        <p className="mb-3">{changes.length === 1 ? "One change" : `${changes.length} changes`} of {name} would be lost.</p>
        <div className="flex gap-2">
          <Button autoFocus onClick={() => blocker.reset?.()}>Stay</Button>
          <Button kind="danger" onClick={() => blocker.proceed?.()}>Leave</Button>
        </div>
      </Modal>
    </div>
  );
}

function byPath(problems: readonly Problem[]): ReadonlyMap<string, readonly Problem[]> {
  return new Map(Object.entries(Object.groupBy(problems, (problem) => problem.path)) as [string, Problem[]][]);
}

function State({ draft, validity, isOfNow, error }: { draft: Draft; validity: Validity | undefined; isOfNow: boolean; error: unknown }): ReactNode {
  const count = validity?.problems.length ?? 0;
  const text = draft.error
    ? <Tag tone="bad">not JSON</Tag>
    : error && !isOfNow ? <Tag tone="warn" title={String(error)}>not checked</Tag>
    : validity === undefined ? <Tag>checking…</Tag>
    : validity.valid ? <Tag tone="good">✓ valid</Tag> : <Tag tone="bad">{count === 1 ? "1 problem" : `${count} problems`}</Tag>;
  return <span role="status" data-testid="validity" data-checked={isOfNow} className={isOfNow ? undefined : "opacity-60"}>{text}</span>;
}

function Views({ value, onChange }: { value: string; onChange(value: string): void }): ReactNode {
  return (
    <span role="group" aria-label="View" className="flex rounded-[5px] border border-line">
      {[["form", "Form"], ["both", "Both"], ["json", "JSON"]].map(([id, label]) => (
        <button key={id} type="button" aria-pressed={value === id} className={cx("h-6.5 px-2", value === id ? "bg-accent-soft text-accent" : "text-quiet hover:text-ink", id === "both" && "max-lg:hidden")} onClick={() => onChange(id!)}>
          {label}
        </button>
      ))}
    </span>
  );
}

const FEW = 6;

/** All that is wrong; each leads to its field. */
function ProblemList({ problems, draft, onShow }: { problems: readonly Problem[]; draft: Draft; onShow(): void }): ReactNode {
  const [all, setAll] = useState(false);
  if (!problems.length) return null;
  const go = (path: string) => {
    onShow();
    // After the form is there, and its section open.
    requestAnimationFrame(() => reveal(path));
  };
  return (
    <ul aria-label="Problems" className="flex flex-col rounded-[6px] border border-bad bg-bad-soft px-3 py-1.5">
      {(all ? problems : problems.slice(0, FEW)).map((problem, at) => {
        const meant = suggested(problem);
        const path = pathOfProblem(problem.path, draft);
        return (
          <li key={at} className="flex min-h-6 flex-wrap items-center gap-x-2">
            {problem.path ? <button type="button" className="mono breaks min-h-6 text-left text-bad underline" onClick={() => go(problem.path)}>{problem.path}</button> : null}
            <span className="breaks min-w-0">{problem.text}</span>
            {meant && path && <Button small onClick={() => draft.replace(renamed(draft.value, path, meant))}>Use {meant}</Button>}
          </li>
        );
      })}
      {problems.length > FEW && <li><button type="button" className="text-quiet underline" onClick={() => setAll(!all)}>{all ? "show fewer" : `show all ${problems.length}`}</button></li>}
    </ul>
  );
}

/** Return the keys of a problem's path: those of the document, which may have dots themselves. */
function pathOfProblem(text: string, draft: Draft): (string | number)[] | null {
  const find = (value: Json, rest: string): (string | number)[] | null => {
    if (rest === "") return [];
    if (Array.isArray(value)) {
      const match = /^\[(\d+)\]\.?/.exec(rest);
      const inner = match && value[Number(match[1])];
      const path = inner === null || inner === undefined ? null : find(inner as Json, rest.slice(match![0].length));
      return path && [Number(match![1]), ...path];
    }
    if (!isObject(value)) return null;
    for (const [key, inner] of value) {
      if (!rest.startsWith(key)) continue;
      const after = rest.slice(key.length);
      const path = after === "" || after.startsWith("[") ? find(inner, after) : after.startsWith(".") ? find(inner, after.slice(1)) : null;
      if (path) return [key, ...path];
    }
    return null;
  };
  return find(draft.value, text);
}

/** Move to the field of a path, or the nearest that it is in. */
function reveal(path: string): void {
  for (let part = path; part; part = part.replace(/(\.[^.[]*|\[\d+\]|^[^.[]*)$/, "")) {
    const element = document.getElementById(fieldId(part));
    if (!element) continue;
    const section = element.closest("details");
    if (section) section.open = true;
    element.focus();
    element.scrollIntoView({ block: "center" });
    return;
  }
}

const GENERAL = "general";

/** The fields by section; those that are used or have problems are open. */
function Form({ fields, problems, document }: { fields: readonly Field[]; problems: readonly Problem[]; document: Json }): ReactNode {
  const isSection = (field: Field) => field.kind === "section" || field.kind === "rows";
  const sections = fields.filter(isSection);
  const rest = fields.filter((field) => !isSection(field));
  return (
    <form className="flex flex-col gap-2" onSubmit={(event) => event.preventDefault()}>
      {sections.map((field) => (
        <Section key={field.name} name={field.name} help={field.help} problems={problems.filter((one) => one.path === field.name || one.path.startsWith(`${field.name}.`) || one.path.startsWith(`${field.name}[`)).length} isSet={getAt(document, [field.name]) !== undefined} isRequired={field.required}>
          {field.kind === "rows" ? <Rows field={field} path={[field.name]} isBare /> : <Fields fields={field.fields} path={[field.name]} />}
        </Section>
      ))}
      <Section name={GENERAL} help="What is beside the sections." problems={0} isSet isRequired={false}>
        <Fields fields={rest} path={[]} beside={sections.map((one) => one.name)} />
      </Section>
    </form>
  );
}

function Section({ name, help, problems, isSet, isRequired, children }: { name: string; help: string; problems: number; isSet: boolean; isRequired: boolean; children: ReactNode }): ReactNode {
  const [open, setOpen] = useState(isSet || isRequired);
  return (
    <details className="panel min-w-0" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="flex cursor-pointer flex-wrap items-baseline gap-x-3 px-3 py-1.5 [&::-webkit-details-marker]:hidden" id={open ? undefined : fieldId(name)}>
        <span aria-hidden="true" className={cx("inline-block w-2 text-quiet transition-transform", open && "rotate-90")}>›</span>
        <h2 className="text-[13px] font-semibold">{words(name)}</h2>
        <span className="min-w-0 flex-1 truncate text-[12px] text-quiet" title={help}>{help}</span>
        {problems > 0 ? <Tag tone="bad">{problems === 1 ? "1 problem" : `${problems} problems`}</Tag> : !isSet && <span className="text-[12px] text-quiet">all defaults</span>}
      </summary>
      {open && <div className="px-3 pb-3">{children}</div>}
    </details>
  );
}
