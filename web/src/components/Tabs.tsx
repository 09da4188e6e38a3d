import { Tabs as Base } from "@base-ui/react/tabs";
import type { ReactNode } from "react";
import { useKey } from "../app/keys";

export interface TabItem {
  id: string;
  label: string;
  /** Small count or sign behind the label. */
  note?: ReactNode;
}

/** Tabs whose choice is in the address; [ and ] step through them. */
export function Tabs({ items, value, onChange, children, label }: { items: readonly TabItem[]; value: string; onChange(id: string): void; children: ReactNode; label: string }): ReactNode {
  const step = (by: number) => {
    const at = items.findIndex((item) => item.id === value);
    onChange(items[(at + by + items.length) % items.length]!.id);
  };
  useKey("[", "Previous tab", () => step(-1), "Tabs");
  useKey("]", "Next tab", () => step(1), "Tabs");
  return (
    <Base.Root value={value} onValueChange={(next) => onChange(String(next))} className="flex min-h-0 flex-1 flex-col">
      <Base.List aria-label={label} className="no-print flex shrink-0 gap-1 overflow-x-auto border-b border-line px-1">
        {items.map((item) => (
          <Base.Tab
            key={item.id}
            value={item.id}
            className="-mb-px inline-flex h-8 items-center gap-1.5 border-b-2 border-transparent px-2.5 whitespace-nowrap text-quiet hover:text-ink data-[active]:border-accent data-[active]:font-medium data-[active]:text-ink"
          >
            {item.label}
            {item.note !== undefined && <span className="text-[12px] text-quiet">{item.note}</span>}
          </Base.Tab>
        ))}
      </Base.List>
      <Base.Panel value={value} className="flex min-h-0 flex-1 flex-col pt-3" key={value}>
        {children}
      </Base.Panel>
    </Base.Root>
  );
}
