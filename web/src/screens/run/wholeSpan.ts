import type { WholeRun } from "../../api/runs";
import type { Span } from "../../charts/window";
import { parseNs } from "../../lib/ns";

const DAY = 86_400_000_000_000n;

/** The whole span of a run, from its window or its first and last trade. */
export function wholeSpan(run: WholeRun): Span {
  const window = run.provenance.window as { start_ns?: string; end_ns?: string; first_trade_ns?: string; last_trade_ns?: string } | undefined;
  const from = window?.start_ns ? BigInt(window.start_ns) : (parseNs(run.window_start ?? "") ?? 0n);
  const to = window?.end_ns ? BigInt(window.end_ns) : (parseNs(run.window_end ?? "") ?? DAY);
  return { from, to };
}
