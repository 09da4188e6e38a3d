import { useQuery, type QueryClient } from "@tanstack/react-query";
import { request, sendJson } from "./client";
import type { components } from "./schema";

export type Note = components["schemas"]["Note"];

/** A note with the tag that is needed to replace it. */
interface Kept {
  note: Note;
  etag: string | null;
}

const path = (runId: string) => `/api/v1/runs/${encodeURIComponent(runId)}/note`;

export function useNote(runId: string) {
  return useQuery({
    queryKey: ["note", runId],
    queryFn: async ({ signal }): Promise<Kept> => {
      const response = await request(path(runId), { signal, cache: "no-store" });
      return { note: (await response.json()) as Note, etag: response.headers.get("ETag") };
    },
  });
}

/** Replace parts of a note; refused (412) where somebody else has changed it meanwhile. */
export async function saveNote(client: QueryClient, runId: string, before: Kept, change: Partial<Note>): Promise<void> {
  const { data, headers } = await sendJson<Note>("PUT", path(runId), { ...before.note, ...change }, before.etag ? { "If-Match": before.etag } : {});
  client.setQueryData<Kept>(["note", runId], { note: data, etag: headers.get("ETag") });
}
