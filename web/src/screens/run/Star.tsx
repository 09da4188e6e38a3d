import { useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { saveNote, useNote } from "../../api/notes";
import { useKey } from "../../app/keys";

/** Marks a run; kept beside its result. */
export function Star({ runId }: { runId: string }): ReactNode {
  const client = useQueryClient();
  const query = useNote(runId);
  const isOn = query.data?.note.star ?? false;
  const toggle = () => {
    if (query.data) saveNote(client, runId, query.data, { star: !isOn }).catch(() => void query.refetch());
  };
  useKey("s", "Star the run", toggle, "Run");
  return (
    <button type="button" aria-pressed={isOn} aria-label="Star this run" title="Star (s)" disabled={!query.data} className={isOn ? "text-[16px] text-warn" : "text-[16px] text-quiet hover:text-warn"} onClick={toggle}>
      {isOn ? "★" : "☆"}
    </button>
  );
}
