/** A sweep once more: its values in the form of a new one. */

import type { Search } from "../../lib/url";
import { textOf, type Sweep } from "./state";

/** Return the address's state with which the form of a new sweep has the values of an earlier one. */
export function againOf(sweep: Pick<Sweep, "kind" | "config" | "partition" | "axes" | "facts">): Search {
  const vary = (written: (value: unknown) => string) => sweep.axes.map((axis) => `${axis.path}=${axis.values.map(written).join(",")}`).join(";");
  const ofDay = { config: sweep.config, day: sweep.partition ?? undefined };
  if (sweep.kind === "runs") return { ...ofDay, vary: vary((value) => JSON.stringify(value)) };
  // A file of figures has values as they are written.
  if (sweep.facts.kind === "ticks") return { ...ofDay, engine: "kernel", keep: "figures", vary: vary(textOf) };
  const values = Object.fromEntries(sweep.axes.map((axis) => [axis.name, axis.values.map(textOf).join(",")]));
  const day = (name: string) => (typeof sweep.facts[name] === "string" ? sweep.facts[name].slice(0, 10) : undefined);
  return { kind: "vectorized", config: sweep.config, ...values, first: day("first_close"), last: day("last_close") };
}
