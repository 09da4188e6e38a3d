import { useRef, type ReactNode } from "react";
import type { Problem } from "../../api/configs";
import type { Draft } from "./useDraft";

const LINE = 18;

/** The document as text, with its lines numbered and those with problems marked. */
export function JsonView({ draft, problems }: { draft: Draft; problems: readonly Problem[] }): ReactNode {
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const { text, error } = draft;
  const lines = text.split("\n");
  const marked = new Map<number, { text: string; offset: number }>();
  const mark = (offset: number, what: string) => {
    const line = text.slice(0, offset).split("\n").length;
    marked.set(line, { text: [marked.get(line)?.text, what].filter(Boolean).join("\n"), offset: marked.get(line)?.offset ?? offset });
  };
  if (error) mark(error.offset, error.message);
  else for (const problem of problems) mark(offsetOf(problem.path, draft.at), problem.path ? `${problem.path}: ${problem.text}` : problem.text);
  const show = (offset: number) => {
    const end = text.indexOf("\n", offset);
    area.current?.focus();
    area.current?.setSelectionRange(offset, end < 0 ? text.length : end);
  };
  return (
    <div className="flex min-h-0 flex-1 overflow-hidden rounded border border-line has-focus-visible:border-accent">
      <div ref={gutter} className="mono shrink-0 overflow-hidden border-r border-line bg-raised py-1 text-right leading-[18px] text-quiet select-none" data-testid="gutter">
        {lines.map((_, at) => {
          const problem = marked.get(at + 1);
          return problem ? (
            <button key={at} type="button" className="block w-full bg-bad-soft px-1.5 text-right text-bad" title={problem.text} aria-label={`Line ${at + 1}: ${problem.text}`} onClick={() => show(problem.offset)}>
              {at + 1}
            </button>
          ) : (
            <div key={at} className="px-1.5" aria-hidden="true">{at + 1}</div>
          );
        })}
        <div style={{ height: LINE }} />
      </div>
      <textarea
        ref={area}
        aria-label="Configuration as JSON"
        aria-invalid={error !== null}
        aria-describedby={error ? "json-error" : undefined}
        className="mono min-w-0 flex-1 resize-none overflow-auto bg-panel px-2 py-1 leading-[18px] whitespace-pre text-ink outline-none"
        wrap="off"
        spellCheck={false}
        autoComplete="off"
        value={text}
        onChange={(event) => draft.setText(event.target.value, "text")}
        onScroll={(event) => {
          if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop;
        }}
      />
    </div>
  );
}

/** Return where a path is written, or the nearest of what it is in. */
function offsetOf(path: string, at: ReadonlyMap<string, number>): number {
  for (let part = path; part; part = part.replace(/(\.[^.[]*|\[\d+\]|^[^.[]*)$/, "")) {
    const known = at.get(part);
    if (known !== undefined) return known;
  }
  return 0;
}
