import { cloneElement, lazy, Suspense, useEffect, useState, type ReactElement, type ReactNode } from "react";

export interface PopProps {
  trigger: ReactElement<Record<string, unknown>>;
  title: string;
  children: ReactNode;
  className?: string;
}

export interface ModalProps {
  open: boolean;
  onOpenChange(open: boolean): void;
  title: string;
  children: ReactNode;
  className?: string;
  isTitleHidden?: boolean;
}

// What floats is a quarter of the program, and nothing floats at first: it comes while nothing else is to be done.
async function floating() {
  for (;;) {
    try {
      return await import("./floating");
    } catch {
      // The service is away: it may come back.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}
const FloatingPanel = lazy(() => floating().then((module) => ({ default: module.FloatingPanel })));
const FloatingDialog = lazy(() => floating().then((module) => ({ default: module.FloatingDialog })));

/** A small panel beside what opened it. */
export function Pop({ open: given, onOpenChange, ...props }: PopProps & { open?: boolean; onOpenChange?(open: boolean): void }): ReactNode {
  const [own, setOwn] = useState(false);
  const open = given ?? own;
  const change = onOpenChange ?? setOwn;
  const wasOpen = useEver(open);
  useEffect(() => {
    const timer = setTimeout(() => void floating(), 1_500);
    return () => clearTimeout(timer);
  }, []);
  const closed = cloneElement(props.trigger, { onClick: () => change(true), "aria-haspopup": "dialog", "aria-expanded": open });
  if (!wasOpen) return closed;
  return (
    <Suspense fallback={closed}>
      <FloatingPanel {...props} open={open} onOpenChange={change} />
    </Suspense>
  );
}

/** A dialog over the page; Escape closes it. */
export function Modal(props: ModalProps): ReactNode {
  if (!useEver(props.open)) return null;
  return (
    <Suspense fallback={null}>
      <FloatingDialog {...props} />
    </Suspense>
  );
}

/** Return whether something is so, or was so before. */
function useEver(is: boolean): boolean {
  const [was, setWas] = useState(is);
  if (is && !was) setWas(true);
  return is || was;
}
