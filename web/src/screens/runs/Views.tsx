import { useLocation, useNavigate } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";
import { views } from "../../app/store";
import { Button, cx } from "../../components/basics";
import { Pop } from "../../components/overlays";
import { parseSearch } from "../../lib/url";

/** Addresses of this list under names, kept in this browser. */
export function Views(): ReactNode {
  const kept = JSON.parse(views.use()) as Record<string, string>;
  const { searchStr } = useLocation();
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [isOpen, setOpen] = useState(false);
  const save = (next: Record<string, string>) => views.set(JSON.stringify(next));
  const current = Object.keys(kept).find((one) => kept[one] === searchStr);
  return (
    <Pop title="Saved views" trigger={<Button className="max-w-48"><span className="truncate">{current ? `View: ${current}` : "Views"}</span></Button>} open={isOpen} onOpenChange={setOpen}>
      <div className="flex w-72 flex-col gap-2">
        {Object.entries(kept).map(([one, address]) => (
          <div key={one} className="flex items-center gap-2">
            <button
              type="button"
              aria-current={one === current || undefined}
              className={cx("min-w-0 flex-1 truncate rounded px-1 py-0.5 text-left hover:bg-raised", one === current && "font-semibold text-accent")}
              onClick={() => {
                void navigate({ to: "/", search: parseSearch(address.replace(/^\?/, "")) as never });
                setOpen(false);
              }}
            >
              {one}
            </button>
            <Button small kind="quiet" aria-label={`Remove the view ${one}`} onClick={() => save(Object.fromEntries(Object.entries(kept).filter(([key]) => key !== one)))}>
              ✕
            </Button>
          </div>
        ))}
        {Object.keys(kept).length === 0 && <p className="text-quiet">A view keeps filters, sorting and columns under a name.</p>}
        <form
          className="flex gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            if (!name.trim()) return;
            save({ ...kept, [name.trim()]: searchStr });
            setName("");
          }}
        >
          <input className="field min-w-0 flex-1" placeholder="Name of this view" aria-label="Name of this view" value={name} onChange={(event) => setName(event.target.value)} />
          <Button type="submit" disabled={!name.trim()}>
            Save
          </Button>
        </form>
      </div>
    </Pop>
  );
}
