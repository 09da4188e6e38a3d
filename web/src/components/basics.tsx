import { useEffect, useRef, useState, type ButtonHTMLAttributes, type ReactNode } from "react";
import { decimal, direction, percent, short, signed, UNKNOWN, type Numeric } from "../lib/format";

/** Join class names. */
export function cx(...names: (string | false | null | undefined)[]): string {
  return names.filter(Boolean).join(" ");
}

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  kind?: "plain" | "primary" | "quiet" | "danger";
  small?: boolean;
}

const KINDS = {
  plain: "border border-line bg-panel hover:bg-raised",
  primary: "border border-transparent bg-accent text-page font-medium hover:opacity-90",
  quiet: "border border-transparent hover:bg-raised text-quiet hover:text-ink",
  danger: "border border-bad text-bad bg-panel hover:bg-bad-soft",
};

export const buttonClass = (kind: keyof typeof KINDS = "plain", small = false): string =>
  cx(
    "inline-flex items-center gap-1.5 rounded-[5px] whitespace-nowrap select-none disabled:opacity-50",
    small ? "h-6 px-2 text-[12px]" : "h-7 px-2.5",
    KINDS[kind],
  );

export function Button({ kind = "plain", small = false, className, ...rest }: ButtonProps): ReactNode {
  return <button type="button" className={cx(buttonClass(kind, small), className)} {...rest} />;
}

/** An amount with sign and color; null is a dash with its reason. */
export function Money({ value, digits = 2, why, currency, isShort = false }: { value: Numeric; digits?: number; why?: string; currency?: string | null; isShort?: boolean }): ReactNode {
  const text = signed(value, digits);
  return <Tinted value={value} text={isShort ? short(text, value) : text} {...(why ? { why } : {})} unit={currency ?? ""} />;
}

/** A fraction as signed percent with color. */
export function Percent({ value, digits = 2, why, tinted = true }: { value: Numeric; digits?: number; why?: string; tinted?: boolean }): ReactNode {
  if (!tinted) return <Known value={value} {...(why ? { why } : {})}>{percent(value, digits)}</Known>;
  return <Tinted value={value} text={percent(value, digits, true)} {...(why ? { why } : {})} />;
}

function Tinted({ value, text, why, unit = "" }: { value: Numeric; text: string; why?: string; unit?: string }): ReactNode {
  const way = direction(value);
  if (way === null) return <Dash {...(why ? { why } : {})} />;
  return (
    <span className={way > 0 ? "text-gain" : way < 0 ? "text-loss" : undefined} title={String(value)}>
      {text}
      {unit && <span className="text-quiet font-normal"> {unit}</span>}
    </span>
  );
}

/** What is not known, and why. */
export function Dash({ why = "not known" }: { why?: string }): ReactNode {
  return (
    <span className="text-quiet" title={why}>
      {UNKNOWN}
    </span>
  );
}

export function Known({ value, why, children }: { value: unknown; why?: string; children: ReactNode }): ReactNode {
  return value === null || value === undefined ? <Dash {...(why ? { why } : {})} /> : children;
}

export function Num({ value, digits, why }: { value: Numeric; digits?: number; why?: string }): ReactNode {
  return (
    <Known value={value} {...(why ? { why } : {})}>
      <span title={String(value)}>{digits === undefined ? decimal(value) : short(decimal(value, digits), value)}</span>
    </Known>
  );
}

const STATUS: Record<string, [string, string]> = {
  succeeded: ["✓", "text-good"],
  failed: ["✕", "text-bad"],
  canceled: ["⊘", "text-quiet"],
  running: ["▶", "text-accent"],
  queued: ["◷", "text-quiet"],
};

export function Status({ status, progress }: { status: string; progress?: number | null }): ReactNode {
  const [sign, color] = STATUS[status] ?? ["·", "text-quiet"];
  return (
    <span className={cx("inline-flex items-center gap-1.5", color)}>
      <span aria-hidden="true">{sign}</span>
      {status}
      {status === "running" && typeof progress === "number" && <span> {Math.floor(progress * 100)} %</span>}
    </span>
  );
}

export type Tone = "neutral" | "warn" | "bad" | "good" | "accent";

const TONES: Record<Tone, string> = {
  neutral: "bg-raised text-ink",
  warn: "bg-warn-soft text-warn",
  bad: "bg-bad-soft text-bad",
  good: "bg-raised text-good",
  accent: "bg-accent-soft text-accent",
};

export function Tag({ tone = "neutral", title, children }: { tone?: Tone; title?: string; children: ReactNode }): ReactNode {
  return (
    <span className={cx("inline-flex items-center gap-1 rounded px-1.5 text-[12px] leading-5 whitespace-nowrap", TONES[tone])} title={title}>
      {children}
    </span>
  );
}

/** A text that a click copies, all of it. */
export function Copy({ text, children, label, className }: { text: string; children?: ReactNode; label?: string; className?: string }): ReactNode {
  const [copied, setCopied] = useState(false);
  const timer = useRef<number>(undefined);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  return (
    <button
      type="button"
      title={`Copy ${label ?? text}`}
      className={cx("group inline-flex items-center gap-1 rounded text-left hover:text-accent", className)}
      onClick={() => {
        void navigator.clipboard.writeText(text).then(() => {
          setCopied(true);
          window.clearTimeout(timer.current);
          timer.current = window.setTimeout(() => setCopied(false), 1_500);
        });
      }}
    >
      {children ?? text}
      <span aria-hidden="true" className="w-3 shrink-0 text-quiet group-hover:text-accent">
        {copied ? "✓" : <CopySign />}
      </span>
      <span className="sr-only">, copy {label ?? ""}</span>
      <span className="sr-only" role="status">
        {copied ? "copied" : ""}
      </span>
    </button>
  );
}

function CopySign(): ReactNode {
  return (
    <svg viewBox="0 0 12 12" width="11" height="11" fill="none" stroke="currentColor" strokeWidth="1.2">
      <rect x="1.5" y="3.5" width="7" height="7" rx="1" />
      <path d="M4 3.5V2.2a.7.7 0 0 1 .7-.7h5.1a.7.7 0 0 1 .7.7v5.1a.7.7 0 0 1-.7.7H8.5" />
    </svg>
  );
}

/** A hash, short, copied whole. */
export function Hash({ value, length = 10 }: { value: string | null | undefined; length?: number }): ReactNode {
  if (!value) return <Dash />;
  return (
    <Copy text={value} label="the whole hash" className="mono">
      {value.slice(0, length)}
    </Copy>
  );
}

/** A titled part of a screen. */
export function Panel({ title, aside, children, className, flush = false }: { title?: ReactNode; aside?: ReactNode; children: ReactNode; className?: string; flush?: boolean }): ReactNode {
  return (
    <section className={cx("panel min-w-0", className)}>
      {(title || aside) && (
        <header className="flex min-h-9 flex-wrap items-center gap-x-3 gap-y-1 px-3 pt-1.5">
          {title && <h2 className="text-[13px] font-semibold">{title}</h2>}
          <div className="ml-auto flex flex-wrap items-center gap-2">{aside}</div>
        </header>
      )}
      <div className={flush ? "" : "px-3 pt-1 pb-3"}>{children}</div>
    </section>
  );
}

/** The head of a screen: its name, what belongs to all of it, and its command. */
export function ScreenHead({ title, children, command }: { title: ReactNode; children?: ReactNode; command?: string }): ReactNode {
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-1.5">
      <h1 className="text-[16px] font-semibold">{title}</h1>
      {children}
      {command && (
        <span className="ml-auto hidden min-w-0 md:block">
          <AsCommand command={command} />
        </span>
      )}
    </div>
  );
}

/** The command that shows the same in a terminal. */
export function AsCommand({ command }: { command: string }): ReactNode {
  return (
    <Copy text={command} label={`the command ${command}`} className="mono max-w-[52ch] text-quiet">
      <span aria-hidden="true">$</span>
      <span className="truncate">{command}</span>
    </Copy>
  );
}

/** The document's title while a screen is open. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Odum Assets` : "Odum Assets";
  }, [title]);
}
