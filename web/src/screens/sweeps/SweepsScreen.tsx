import type { ReactNode } from "react"; export function SweepsScreen(): ReactNode { return null; }
