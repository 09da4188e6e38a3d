import { Dialog } from "@base-ui/react/dialog";
import { Popover } from "@base-ui/react/popover";
import type { ReactNode } from "react";
import { cx } from "./basics";
import type { ModalProps, PopProps } from "./overlays";

/** A small panel beside what opens it. */
export function FloatingPanel({ trigger, title, children, className, open, onOpenChange }: PopProps & { open: boolean; onOpenChange(open: boolean): void }): ReactNode {
  return (
    <Popover.Root open={open} onOpenChange={onOpenChange}>
      <Popover.Trigger render={trigger} />
      <Popover.Portal>
        <Popover.Positioner sideOffset={4} align="start" className="z-30">
          <Popover.Popup aria-label={title} className={cx("panel max-h-[70vh] max-w-[92vw] overflow-auto p-3 shadow-lg", className)}>
            {children}
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}

/** A dialog over the page. */
export function FloatingDialog({ open, onOpenChange, title, children, className, isTitleHidden = false }: ModalProps): ReactNode {
  return (
    <Dialog.Root open={open} onOpenChange={onOpenChange}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-black/40" />
        <Dialog.Popup className={cx("panel fixed top-[10vh] left-1/2 z-50 max-h-[80vh] w-[min(640px,94vw)] -translate-x-1/2 overflow-auto p-4 shadow-xl", className)}>
          <Dialog.Title className={isTitleHidden ? "sr-only" : "mb-3 text-[15px] font-semibold"}>{title}</Dialog.Title>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
