import { parseJson, type Json } from "../lib/json";
import { getJson, request } from "./client";
import type { components } from "./schema";

export type Configs = components["schemas"]["Configs"];
export type Problem = components["schemas"]["ConfigProblem"];
export type Validity = components["schemas"]["ConfigValidity"];

/** A configuration as it is stored: its text, and the tag that is needed to replace it. */
export interface Stored {
  text: string;
  etag: string;
}

const pathOf = (name: string) => `/api/configs/${encodeURIComponent(name)}`;

export const configsQuery = { queryKey: ["configs"], queryFn: ({ signal }: { signal: AbortSignal }) => getJson<Configs>("/api/configs", signal) };

export const schemaQuery = {
  queryKey: ["config-schema"],
  queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Json> => parseJson(await (await request("/api/configs/schema", { signal })).text()).value,
  staleTime: Infinity,
};

export async function loadConfig(name: string, signal?: AbortSignal): Promise<Stored> {
  const response = await request(pathOf(name), { cache: "no-cache", ...(signal ? { signal } : {}) });
  return { text: await response.text(), etag: response.headers.get("ETag") ?? "" };
}

/** Send a configuration's own text within a body: its numbers keep every digit. */
function send(path: string, name: string, text: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
  const body = `{"name": ${JSON.stringify(name)}, "config": ${text}}`;
  return request(path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body, ...(signal ? { signal } : {}) });
}

export async function validate(name: string, text: string, signal?: AbortSignal): Promise<Validity> {
  return (await (await send("/api/configs/validate", name, text, {}, signal)).json()) as Validity;
}

/** Store a configuration in place of the one with a tag, or as a new one (null); 412 where it is another. */
export async function saveConfig(name: string, text: string, etag: string | null): Promise<void> {
  await send("/api/configs", name, text, etag === null ? { "If-None-Match": "*" } : { "If-Match": etag });
}

export async function deleteConfig(name: string, etag: string): Promise<void> {
  await request(pathOf(name), { method: "DELETE", headers: { "If-Match": etag } });
}
