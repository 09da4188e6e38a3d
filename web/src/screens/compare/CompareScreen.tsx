import type { ReactNode } from "react"; export function CompareScreen(): ReactNode { return null; }
