import type { ReactNode } from "react"; export function LaunchScreen(): ReactNode { return null; }
