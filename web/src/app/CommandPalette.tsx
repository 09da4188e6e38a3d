import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { loadRuns } from "../api/runs";
import { cx } from "../components/basics";
import { Modal } from "../components/overlays";
import { shortConfig } from "../lib/format";
import { SCREENS } from "./screens";

interface Item {
  id: string;
  label: string;
  note: string;
  go(): void;
}

/** Type a part of a run's id or of a screen's name, press Enter. */
export function CommandPalette({ onClose }: { onClose(): void }): ReactNode {
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const wanted = text.trim();
  const runsQuery = useQuery({
    queryKey: ["palette", wanted],
    queryFn: ({ signal }) => loadRuns({ ...(wanted ? { q: wanted } : {}), limit: 8 }, signal),
    placeholderData: (before) => before,
  });
  const screens: Item[] = SCREENS.filter((screen) => screen.label.toLowerCase().includes(wanted.toLowerCase())).map((screen) => ({
    id: screen.to,
    label: screen.label,
    note: `g ${screen.key}`,
    go: () => void navigate({ to: screen.to }),
  }));
  const runs: Item[] = (runsQuery.data?.runs ?? []).map((run) => ({
    id: run.run_id,
    label: run.run_id,
    note: `${shortConfig(run.config_name)} · ${run.status}`,
    go: () => void navigate({ to: "/runs/$runId", params: { runId: run.run_id } }),
  }));
  const items = wanted ? [...runs, ...screens] : [...screens, ...runs];
  const chosen = Math.min(at, items.length - 1);
  const choose = (item: Item | undefined) => {
    if (!item) return;
    onClose();
    item.go();
  };
  return (
    <Modal open onOpenChange={(open) => !open && onClose()} title="Go to a run or screen" isTitleHidden className="p-0">
      <input
        autoFocus
        className="h-11 w-full border-b border-line bg-transparent px-4 text-[15px] outline-none"
        placeholder="Run id, configuration, instrument or screen"
        aria-label="Go to a run or screen"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={items[chosen] ? `palette-${chosen}` : undefined}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            setAt((before) => Math.max(0, Math.min(items.length - 1, before + (event.key === "ArrowDown" ? 1 : -1))));
          } else if (event.key === "Enter") {
            choose(items[chosen]);
          }
        }}
      />
      <ul id="palette-list" role="listbox" aria-label="Results" className="py-1">
        {items.map((item, index) => (
          <li
            key={item.id}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === chosen}
            className={cx("flex cursor-pointer items-baseline gap-3 px-4 py-1.5", index === chosen && "bg-accent-soft")}
            onMouseEnter={() => setAt(index)}
            onClick={() => choose(item)}
          >
            <span className={cx("truncate", item.id.startsWith("/") ? "" : "mono")}>{item.label}</span>
            <span className="ml-auto truncate text-[12px] text-quiet">{item.note}</span>
          </li>
        ))}
        {items.length === 0 && !runsQuery.isFetching && <li className="px-4 py-2 text-quiet">Nothing fits “{wanted}”.</li>}
      </ul>
    </Modal>
  );
}
