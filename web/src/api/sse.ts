import { request } from "./client";

/** One server-sent event. */
export interface StreamEvent {
  id: string | null;
  type: string;
  data: Record<string, unknown>;
}

/**
 * Follow a stream of the service, from an event on.
 *
 * By fetch, as EventSource cannot choose Last-Event-ID; a stream that breaks is taken up where it was.
 */
export async function follow(path: string, lastId: string | null, take: (event: StreamEvent) => void, signal: AbortSignal): Promise<void> {
  let last = lastId;
  let wait = 500;
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (last !== null) headers["Last-Event-ID"] = last;
      const response = await request(path, { headers, signal });
      wait = 500;
      for await (const event of events(response)) {
        if (event.id !== null) last = event.id;
        take(event);
        if (event.type === "complete" || event.type === "error") return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Error && "status" in error && Number(error.status) >= 400 && Number(error.status) < 500) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
    wait = Math.min(wait * 2, 10_000);
  }
}

async function* events(response: Response): AsyncGenerator<StreamEvent> {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    buffer += value.replaceAll("\r\n", "\n");
    let end = buffer.indexOf("\n\n");
    while (end >= 0) {
      const event = eventOf(buffer.slice(0, end));
      if (event) yield event;
      buffer = buffer.slice(end + 2);
      end = buffer.indexOf("\n\n");
    }
  }
}

function eventOf(block: string): StreamEvent | null {
  let id: string | null = null;
  const lines: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("id:")) id = line.slice(3).trim();
    if (line.startsWith("data:")) lines.push(line.slice(5).trimStart());
  }
  if (!lines.length) return null;
  const body = JSON.parse(lines.join("\n")) as { type?: string; data?: Record<string, unknown> };
  return { id, type: body.type ?? "message", data: body.data ?? {} };
}
