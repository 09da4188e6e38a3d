import type { ReactNode } from "react"; export function RunScreen(): ReactNode { return null; }
