/** The address is the state: plain texts, differences from the defaults only. */

export type Search = Record<string, string | undefined>;

const LONGEST = 2_000;

/** Return the texts of an address; numbers stay texts, so that ns keep their digits. */
export function parseSearch(text: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(text));
}

/** Return an address's part from ?; what is empty is left out. */
export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    if (value !== undefined && value !== null && value !== "") params.set(name, String(value));
  }
  const text = params.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return text && text.length <= LONGEST ? `?${text}` : "";
}

/** Return the parts of a comma-separated text. */
export function listOf(text: string | undefined): string[] {
  return text ? text.split(",").filter(Boolean) : [];
}

/** Return a list with a value added, or removed where it is there. */
export function toggled(list: readonly string[], value: string): string[] {
  return list.includes(value) ? list.filter((one) => one !== value) : [...list, value];
}
