import type { ReactNode } from "react";
import type { WholeRun } from "../../api/runs";
export function MomentPanel(_: { run: WholeRun; at: bigint }): ReactNode {
  return null;
}
