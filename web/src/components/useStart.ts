import { useRef, useState } from "react";
import { sendJson } from "../api/client";
import { useKey } from "../app/keys";

/** A start that may be tried: how it goes, and what it was refused with. */
export interface Start {
  start(): Promise<void>;
  isStarting: boolean;
  /** Of the request as it is now; null where there is none. */
  problem: unknown;
}

/** What is started: the call, its name for the keyboard's help, and what follows. */
interface Started<T> {
  path: string;
  name: string;
  group: string;
  then(reply: T): void;
}

/** Return how something is started with a body; null says that the form is not complete. */
export function useStart<T>(body: object | null, { path, name, group, then }: Started<T>): Start {
  const key = useRef({ text: "", key: "" });
  const [refusal, setRefusal] = useState<{ text: string; error: unknown } | null>(null);
  const [isStarting, setStarting] = useState(false);
  const text = JSON.stringify(body);
  const start = async () => {
    if (!body || isStarting) return;
    // The same request with the same key starts nothing twice.
    if (key.current.text !== text) key.current = { text, key: crypto.randomUUID() };
    setRefusal(null);
    setStarting(true);
    try {
      const { data } = await sendJson<T>("POST", path, body, { "Idempotency-Key": key.current.key });
      key.current = { text: "", key: "" };
      then(data);
    } catch (error) {
      setRefusal({ text, error });
    } finally {
      setStarting(false);
    }
  };
  useKey("mod+Enter", name, () => void start(), group, body !== null);
  return { start, isStarting, problem: refusal?.text === text ? refusal.error : null };
}
