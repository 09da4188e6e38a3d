import type { ReactNode } from "react";
import type { WholeRun } from "../../api/runs";
import { shortInstrument } from "../../api/runs";
import type { Result, Simulated, SymbolFigures } from "../../api/result";
import { useUrl } from "../../app/search";
import { cx, Dash, Money, Num, Panel, Percent } from "../../components/basics";
import { add, fixed, negate, plain, sign } from "../../lib/decimal";
import { count, decimal, percent, seconds, signed, words } from "../../lib/format";

/** Net PnL with its sum, beside it what was simulated and what was not, flags and figures. */
export function RunHead({ run, result }: { run: WholeRun; result: Result }): ReactNode {
  const symbols = Object.entries(result.summary.symbols ?? {});
  return (
    <>
    <div className="grid gap-3 lg:grid-cols-2 xl:grid-cols-[300px_minmax(0,1fr)_360px] 2xl:grid-cols-[320px_minmax(0,1fr)_320px_360px]">
      <Profit run={run} result={result} />
      <div className="flex flex-col gap-3 2xl:contents">
        <Realism rows={result.summary.simulated} />
        <Warnings summary={result.summary} />
      </div>
      <div className="flex flex-col lg:col-span-2 xl:col-span-1">
        <Figures result={result} currency={run.currency} />
      </div>
    </div>
    {symbols.length > 1 && <Symbols symbols={symbols} currency={run.currency} />}
    </>
  );
}

/** What each instrument added; a name shows its prices and equity on the chart. */
function Symbols({ symbols, currency }: { symbols: [string, SymbolFigures][]; currency: string | null }): ReactNode {
  const [, setUrl] = useUrl();
  const heads = ["Net PnL", "Commissions", "Return", "Drawdown", "Sharpe", "Round trips", "Won", "Profit factor", "Fills"];
  return (
    <Panel title="Instruments" aside={<span className="label">each as if it alone had traded the account · {currency}</span>}>
      <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Figures of each instrument">
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">Instrument</th>
              {heads.map((head) => (
                <th key={head} scope="col" className="num whitespace-nowrap">{head}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {symbols.map(([name, of], at) => (
              <tr key={name}>
                <th scope="row" className="!text-ink font-normal whitespace-nowrap">
                  <button type="button" className="text-accent hover:underline" title={`${name}: its prices and equity on the chart`} onClick={() => setUrl({ tab: undefined, instrument: at ? name : undefined, account: "one" }, { push: true })}>
                    {shortInstrument(name)}
                  </button>
                </th>
                <td className="num"><Money value={of.pnl} /></td>
                <td className="num"><Num value={of.pnl_breakdown.commissions} digits={2} /></td>
                <td className="num">{of.returns.total_return_pct == null ? <Dash /> : <Percent value={shifted(of.returns.total_return_pct)} />}</td>
                <td className="num"><Percent value={of.drawdown.max_drawdown} /></td>
                <td className="num"><Num value={of.ratios.sharpe} digits={2} why="too few returns" /></td>
                <td className="num">{count(of.trades.total_trades)}</td>
                <td className="num">{of.trades.win_rate == null ? <Dash why="no closed round trip" /> : `${decimal(of.trades.win_rate, 2)}\u2009%`}</td>
                <td className="num"><Num value={of.trades.profit_factor} digits={2} why="no losing round trip" /></td>
                <td className="num">{count(of.fills)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

/** Percent as a fraction. */
function shifted(percents: string): number {
  return Number(percents) / 100;
}

interface Line {
  sign: string;
  label: string;
  value: string | null;
}

function Profit({ run, result }: { run: WholeRun; result: Result }): ReactNode {
  const { pnl, pnl_breakdown: parts, account } = result.summary;
  const start = account.starting_balance ?? null;
  const unrealized = parts.unrealized ?? null;
  const lines: Line[] = [
    { sign: "", label: "Start", value: start },
    { sign: "+", label: "Realized", value: parts.realized ?? null },
    ...(unrealized && sign(unrealized) ? [{ sign: "+", label: "Unrealized", value: unrealized }] : []),
    { sign: "−", label: "Commissions", value: parts.commissions ?? null },
    { sign: "+", label: "Funding", value: parts.funding ?? null },
  ];
  const final = account.final_equity ?? account.final_balance ?? null;
  const known = lines.every((line) => line.value !== null) && final !== null;
  const sum = known ? add(...lines.map((line) => (line.sign === "−" ? negate(line.value!) : line.value!))) : null;
  const difference = sum === null ? null : add(final!, negate(sum));
  const isExact = difference !== null && sign(difference) === 0;
  const digits = Math.min(12, Math.max(2, ...[...lines.map((line) => line.value), final].map((value) => (value ? plain(value) : "").split(".")[1]?.length ?? 0)));
  const engine = result.metadata.reconciliation?.engine_difference;
  return (
    <Panel title="Net PnL" aside={<span className="label">{run.currency}</span>}>
      <p className={cx("flex flex-wrap items-baseline gap-x-3 leading-8 font-semibold", signed(pnl).length > 15 ? "text-[19px]" : "text-[26px]")} data-testid="net-pnl">
        <Money value={pnl} why="not known for this run" />
        <span className="text-[15px] font-medium">
          <Percent value={run.total_return} why="not known: no start balance" />
        </span>
      </p>
      <table className="mt-2 w-full" aria-label="The sum of the net PnL">
        <tbody>
          {lines.map((line) => (
            <tr key={line.label}>
              <td className="w-4 text-quiet">{line.sign}</td>
              <th scope="row" className="py-px text-left font-normal text-quiet">
                {line.label}
              </th>
              <td className="mono text-right">{line.value === null ? <Dash /> : decimal(fixed(line.value, digits))}</td>
            </tr>
          ))}
          <tr className="border-t border-line font-medium">
            <td>=</td>
            <th scope="row" className="pt-0.5 text-left font-medium">
              Final equity
            </th>
            <td className="mono pt-0.5 text-right">{final === null ? <Dash /> : decimal(fixed(final, digits))}</td>
          </tr>
        </tbody>
      </table>
      <p className={cx("mt-1.5 text-[12px]", isExact ? "text-good" : difference === null ? "text-quiet" : "text-warn")}>
        {isExact ? "✓ adds up in every digit" : difference === null ? "The sum is not known" : `⚠ differs from the sum by ${signed(difference, digits)}`}
        {engine !== undefined && engine !== null && (
          <span className="text-quiet">
            {" · "}
            {isWithin(engine, result.metadata.reconciliation?.engine_tolerance) ? "the engine's own account agrees" : `the engine's own account differs by ${signed(engine, digits)}`}
          </span>
        )}
      </p>
    </Panel>
  );
}

/** Whether a difference is no more than rounding explains. */
function isWithin(difference: string, tolerance: string | null | undefined): boolean {
  const size = sign(difference) < 0 ? negate(difference) : difference;
  return sign(difference) === 0 || (!!tolerance && sign(add(size, negate(tolerance))) <= 0);
}

function Realism({ rows }: { rows: Simulated[] | undefined }): ReactNode {
  const simulated = rows?.filter((row) => row.simulated).length ?? 0;
  return (
    <Panel title="What was simulated" aside={rows && <span className="label">{`${simulated} of ${rows.length}`}</span>}>
      {rows ? (
        <ul>
          {rows.map((row) => (
            <li key={row.aspect} className="grid grid-cols-[16px_150px_1fr] items-baseline gap-x-1 py-px">
              <span aria-hidden="true" className={row.simulated ? "text-good" : "text-loss"}>
                {row.simulated ? "●" : "○"}
              </span>
              <span className="sr-only">{row.simulated ? "simulated:" : "not simulated:"}</span>
              <span className={`first-letter:uppercase inline-block ${row.simulated ? "" : "text-quiet"}`}>{words(row.aspect)}</span>
              <span className="text-[12px] text-quiet">{row.detail}</span>
            </li>
          ))}
        </ul>
      ) : (
        <p className="text-quiet">Results of this age do not say it. Run it again to see.</p>
      )}
    </Panel>
  );
}

function Figures({ result, currency }: { result: Result; currency: string | null }): ReactNode {
  const { drawdown, ratios, trades, returns, orders, fills, orders_by_status } = result.summary;
  const pct = (value: string | null | undefined) => (value === null || value === undefined ? <Dash /> : `${decimal(value, 2)}\u2009%`);
  const short = "null for less than 30 days";
  const rows: [string, ReactNode][] = [
    ["Max drawdown", <span key="d"><Percent value={drawdown.max_drawdown} /> {drawdown.max_drawdown_amount && <span className="whitespace-nowrap text-quiet">{signed(drawdown.max_drawdown_amount)} {currency}</span>}</span>],
    ["Under water", drawdown.max_drawdown_duration_secs ? seconds(Number(drawdown.max_drawdown_duration_secs)) : <Dash />],
    ["Sharpe · Sortino", <span key="s"><Num value={ratios.sharpe} digits={2} /> · <Num value={ratios.sortino} digits={2} /></span>],
    ["CAGR · volatility", <span key="c">{returns.cagr_pct ? pct(returns.cagr_pct) : <Dash why={short} />} · {pct(returns.volatility_pct)}</span>],
    ["Round trips", <span key="t">{count(trades.total_trades)} <span className="text-quiet">{trades.win_rate && <>({pct(trades.win_rate)} won)</>}</span></span>],
    ["Profit factor", <Num key="p" value={trades.profit_factor} digits={2} why="no losing round trip" />],
    ["Orders · fills", `${count(orders)} · ${count(fills)}`],
    ["Orders by status", Object.entries(orders_by_status).map(([status, number]) => `${count(number)} ${status}`).join(", ") || "—"],
  ];
  return (
    <Panel title="Figures" className="flex-1">
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 sm:max-xl:grid-cols-[auto_1fr_auto_1fr]">
        {rows.map(([label, value]) => (
          <div key={label} className="contents">
            <dt className="py-px text-quiet">{label}</dt>
            <dd className="py-px text-right">{value}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}

function Warnings({ summary: { flags, missing_days } }: { summary: Result["summary"] }): ReactNode {
  return (
    <Panel title="Warnings" className="flex-1" {...(flags.length || missing_days?.length ? {} : { aside: <span className="text-[12px] text-good">✓ none</span> })}>
      {[...flags, ...(missing_days?.length ? [`Days without data: ${missing_days.join(", ")}`] : [])].map((flag) => (
        <p key={flag} className="flex gap-2 py-0.5">
          <span aria-hidden="true" className="text-warn">⚠</span>
          <span>{flag}</span>
        </p>
      ))}
    </Panel>
  );
}

export function oneLine(run: WholeRun): string {
  return `${signed(run.pnl)} ${run.currency ?? ""}, ${percent(run.total_return, 2, true)}`;
}
