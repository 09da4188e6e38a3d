import createClient, { type Middleware } from "openapi-fetch";
import { parseExact } from "../lib/exact";
import type { paths } from "./schema";

/** What the service refused, or that it did not answer at all (status 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly kind: string;
  readonly requestId: string | null;
  readonly problems: readonly unknown[];
  readonly retryAfter: number | null;

  constructor(status: number, detail: string, kind = "", requestId: string | null = null, problems: readonly unknown[] = [], retryAfter: number | null = null) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.kind = kind;
    this.requestId = requestId;
    this.problems = problems;
    this.retryAfter = retryAfter;
  }

  /** Whether nobody answers: worth asking again, unlike a refusal. */
  get isAway(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 504;
  }
}

type Listener = (away: boolean) => void;
const listeners = new Set<Listener>();
let isAway = false;

/** Call a function when the service goes away and when it is back. */
export function watchService(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function setAway(away: boolean): void {
  if (away === isAway) return;
  isAway = away;
  for (const listener of listeners) listener(away);
}

export function serviceIsAway(): boolean {
  return isAway;
}

const refusals = new Set<() => void>();

/** Call a function when the service wants its token. */
export function watchRefusals(listener: () => void): () => void {
  refusals.add(listener);
  return () => refusals.delete(listener);
}

async function problemOf(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("X-Request-Id");
  const after = Number(response.headers.get("Retry-After")) || null;
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { detail?: string; type?: string; errors?: unknown[] };
    const kind = (body.type ?? "").split(":").pop() ?? "";
    return new ApiError(response.status, body.detail ?? response.statusText, kind, requestId, body.errors ?? [], after);
  } catch {
    return new ApiError(response.status, text.slice(0, 300) || response.statusText, "", requestId, [], after);
  }
}

/** Fetch, with refusals and silence as ApiError. */
export async function request(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(input, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    setAway(true);
    throw new ApiError(0, "The service does not answer.", "unreachable");
  }
  setAway(false);
  if (response.status === 401 && !String(input).includes("/api/session")) for (const listener of refusals) listener();
  if (response.ok || response.status === 304) return response;
  throw await problemOf(response);
}

const refused: Middleware = {
  async onResponse({ response }) {
    if (!response.ok) throw await problemOf(response);
  },
};

/** Typed calls of the service. */
export const api = createClient<paths>({ baseUrl: "/", fetch: (input) => request(input) });
api.use(refused);

/** Return a reply whose numbers are texts with every digit. */
export async function getExact<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {});
  return parseExact<T>(await response.text());
}

/** Return a reply as it is. */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {});
  return (await response.json()) as T;
}

/** Send JSON and return the reply with its headers. */
export async function sendJson<T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<{ data: T; headers: Headers; status: number }> {
  const response = await request(path, {
    method,
    headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  const text = await response.text();
  return { data: (text ? JSON.parse(text) : null) as T, headers: response.headers, status: response.status };
}

/** Return a query text of what is given; lists repeat their name. */
export function queryOf(values: Record<string, string | number | boolean | readonly string[] | null | undefined>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === null || value === "") continue;
    if (Array.isArray(value)) for (const one of value) params.append(name, one);
    else params.set(name, String(value));
  }
  const text = params.toString();
  return text ? `?${text}` : "";
}
