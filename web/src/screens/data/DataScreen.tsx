import type { ReactNode } from "react"; export function DataScreen(): ReactNode { return null; }
