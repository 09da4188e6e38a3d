/** JSON whose numbers keep every digit: they become texts. */

type Reviver = (this: unknown, key: string, value: unknown, context?: { source?: string }) => unknown;

const parse = JSON.parse as (text: string, reviver: Reviver) => unknown;

/** Return what a text holds, with numbers as the texts that they were sent as. */
export function parseExact<T>(text: string): T {
  return parse(text, (_key, value, context) =>
    typeof value === "number" ? (context?.source ?? String(value)) : value,
  ) as T;
}
