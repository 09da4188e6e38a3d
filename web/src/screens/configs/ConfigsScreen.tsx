import type { ReactNode } from "react"; export function ConfigsScreen(): ReactNode { return null; }
