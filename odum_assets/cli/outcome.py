"""How a result looks: in full, as a row of a list, and as JSON."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from odum_assets.cli.rendering import (
    UNKNOWN,
    Output,
    amount,
    colored,
    count,
    display_path,
    duration,
    escaped,
    fitted,
    instrument_row,
    number,
    percent,
    plural,
    price,
    quantity,
    table,
)
from odum_assets.storage.addresses import location_of
from odum_assets.storage.copies import exists

if TYPE_CHECKING:
    from odum_assets.results.store import ResultEntry


def record(entry: "ResultEntry") -> dict[str, Any]:
    """Return a result as it is listed for programs."""
    from odum_assets.results.earlier import version_of
    from odum_assets.results.listing import algorithm, overrides, time_range

    summary, document, metadata = entry.summary(), entry.document, entry.metadata()
    return {
        "run_id": entry.run_id,
        "config": entry.config_name,
        "partition": entry.partition,
        "mode": entry.mode,
        "created": entry.created_at,
        "digest": entry.digest,
        "instrument": document["instrument"],
        "start": document["start"],
        "end": document["end"],
        "time_range": time_range(document),
        "exec_algorithm": algorithm(metadata),
        "overrides": overrides(metadata),
        **entry.annotations().as_json(),
        "orders": summary["orders"],
        "fills": summary["fills"],
        "pnl": summary["pnl"],
        "currency": summary["account"]["currency"],
        "return_pct": summary["returns"]["total_return_pct"],
        "max_drawdown_pct": summary["drawdown"]["max_drawdown_pct"],
        "figures_version": version_of(summary),
        "flags": summary["flags"],
        "sweep": entry.sweep,
        "files": files(entry),
    }


def files(entry: "ResultEntry") -> dict[str, str]:
    """Return where the files of a result lie, by kind; only those that exist."""
    root = entry.stored.root
    paths = {"report": entry.report_path} if entry.report_path is not None else {}
    if entry.report_path is not None:
        paths["tearsheet"] = entry.report_path / "tearsheet.html"
    paths["output"] = root / "logs" / f"{entry.run_id}.log"
    paths["ticks"] = root / "tickdata" / f"{entry.run_id}.json"
    there = {name: path for name, path in paths.items() if exists(path)}
    return {name: location_of(path) for name, path in {"summary": entry.fast_path, **there}.items()}


def show_list(output: Output, entries: Sequence["ResultEntry"], *, by_config: bool = True) -> None:
    """Print results as a table with their key figures."""
    groups: dict[str, list[ResultEntry]] = {}
    for entry in entries:
        currency = entry.summary()["account"]["currency"]
        title = f"{entry.config_name} ({currency})" if by_config else f"in {currency}"
        groups.setdefault(title, []).append(entry)
    for title, group in groups.items():
        rows = [_list_cells(entry) for entry in group]
        output.show(fitted(output, partial(table, title, right=_FIGURES), rows, _LEFT_OUT))
    if any(entry.summary()["flags"] for entry in entries):
        output.info("! has warnings; odum results show RUN_ID prints them")


_FIGURES = ("orders", "fills", "PnL", "return", "drawdown")
_LEFT_OUT = (
    "fills",
    "orders",
    "tags",
    "drawdown",
    "overrides",
    "return",
    "algorithm",
    "time range",
    "PnL",
)
"""Columns that a narrow terminal does not show, the least important one first."""


def _list_cells(entry: "ResultEntry") -> dict[str, str]:
    from odum_assets.config.variants import label_of
    from odum_assets.results.listing import algorithm, overrides, time_range

    summary, metadata = entry.summary(), entry.metadata()
    pnl, share = summary["pnl"], summary["returns"]["total_return_pct"]
    currency = summary["account"]["currency"]
    worked, differing = algorithm(metadata), overrides(metadata)
    # It has a column of its own.
    differing.pop("exec_algorithm", None)
    return {
        "run id": entry.run_id,
        "time range": time_range(entry.document),
        "algorithm": "" if worked == "NORMAL" else worked,
        "overrides": escaped(label_of(differing)),
        "orders": count(summary["orders"]),
        "fills": count(summary["fills"]),
        "PnL": colored(amount(pnl, currency, sign=True, is_named=False), pnl),
        "return": colored(percent(share), share),
        "drawdown": percent(summary["drawdown"]["max_drawdown_pct"], sign=False),
        "tags": escaped(", ".join(entry.annotations().tags)),
        "": "[yellow]![/]" if summary["flags"] else "",
    }


def show_short(output: Output, entry: "ResultEntry") -> None:
    """Print what a person wants to see right after a run."""
    summary, document = entry.summary(), entry.document
    account, parts = summary["account"], summary["pnl_breakdown"]
    currency, pnl = account["currency"], summary["pnl"]
    share = summary["returns"]["total_return_pct"]
    output.facts(
        f"{entry.config_name}  {entry.partition}",
        [
            ("run id", f"[bold]{entry.run_id}[/]"),
            ("window", f"{document['start']} to {document['end']}"),
            ("orders, fills", f"{count(summary['orders'])}, {count(summary['fills'])}"),
            ("PnL", f"{colored(amount(pnl, currency, sign=True), pnl)}{_open_text(summary)}"),
            ("", _parts_text(parts, currency)),
            *_closing_rows(summary),
            ("return", f"{percent(share)}{' with the open position' if _is_open(summary) else ''}"),
            ("final balance", amount(account["final_balance"], currency)),
            ("max drawdown", _drawdown_text(summary)),
            ("digest", entry.digest[:16]),
        ],
    )
    show_flags(output, entry)
    show_log(output, entry)
    show_notes(output, entry)
    show_files(output, entry)


def show_full(output: Output, entry: "ResultEntry") -> None:
    """Print everything about a result, what a reader must know first."""
    from odum_assets.cli.failed_runs import annotation_rows
    from odum_assets.results.listing import overrides_text

    summary, document, metadata = entry.summary(), entry.document, entry.metadata()
    output.show(f"[bold]{entry.run_id}[/]")
    show_flags(output, entry)
    output.facts(
        "Run",
        [
            ("configuration", entry.config_name),
            ("partition", entry.partition),
            *instrument_row(metadata.get("instrument_keys") or [document["instrument"]]),
            ("window", f"{document['start']} to {document['end']}"),
            ("mode", f"{entry.mode}, market from {metadata['snapshot_mode']}"),
            ("execution", _execution_text(metadata)),
            ("overrides", escaped(overrides_text(metadata)) or "none"),
            ("ended", entry.created_at),
            ("digest", entry.digest),
            ("config hash", metadata["config_hash"]),
            *_version_rows(summary),
            *_sweep_rows(entry),
            *annotation_rows(entry.annotations().as_json()),
        ],
    )
    for title, pairs in _sections(summary):
        output.facts(title, pairs)
    show_simulated(output, summary["simulated"])
    show_log(output, entry)
    show_notes(output, entry)
    show_files(output, entry)


def _execution_text(metadata: dict[str, Any]) -> str:
    """Say how orders are executed: by which algorithm, or along which path of a bar."""
    from odum_assets.results.listing import algorithm

    config = metadata["config"]
    if config.get("kind") == "bars":
        return f"{config['execution']['path']} path of each bar"
    return algorithm(metadata)


def _version_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Say which rules the figures follow where these are not today's."""
    from odum_assets.backtest.figures_version import FIGURES_VERSION
    from odum_assets.results.earlier import version_of

    version = version_of(summary)
    if version == FIGURES_VERSION:
        return []
    text = (
        f"[yellow]rules of version {version}[/], now {FIGURES_VERSION}: returns without the first "
        "and the last interval; the drawdown in percent is that of the largest amount"
    )
    return [("figures", text)]


def _sweep_rows(entry: "ResultEntry") -> list[tuple[str, str]]:
    sweep = entry.sweep
    if sweep is None:
        return []
    from odum_assets.config.variants import label_of

    variant = f"{sweep['id']}, variant {sweep['variant']} of {sweep['of']}"
    return [("sweep", variant), ("varied", escaped(label_of(sweep["varied"])))]


def show_flags(output: Output, entry: "ResultEntry") -> None:
    """Print what a reader must know."""
    from rich.table import Table

    flags = entry.summary()["flags"]
    if not flags:
        return
    lines = Table.grid(padding=(0, 1))
    for flag in flags:
        lines.add_row("  [yellow]![/]", f"[yellow]{escaped(flag)}[/]")
    output.show(lines)


def show_log(output: Output, entry: "ResultEntry") -> None:
    """Print the last lines that the strategy printed."""
    from odum_assets.results.logs import last_lines, read_log
    from odum_assets.results.store import ResultStore

    lines = read_log(ResultStore(entry.stored.root), entry.run_id).splitlines()
    last = last_lines("\n".join(lines))
    if not last:
        return
    rest = f", last {len(last)} of {len(lines):,} lines" if len(lines) > len(last) else ""
    output.show(f"[bold]Output[/]{rest}")
    output.lines(f"  {line}" for line in last)


def show_notes(output: Output, entry: "ResultEntry") -> None:
    """Print what the configuration leaves open or spells as the earlier system did."""
    notes = [note.partition(": ") for note in entry.metadata().get("config_notes") or ()]
    if notes:
        output.facts("Configuration", [(escaped(key), escaped(text)) for key, _, text in notes])


def show_files(output: Output, entry: "ResultEntry") -> None:
    """Print where the files of a result are, and which are gone."""
    pairs = [(name, escaped(display_path(path))) for name, path in files(entry).items()]
    output.facts("Files", pairs)
    if entry.report_path is not None and not exists(entry.report_path):
        output.warn(
            f"the report folder {display_path(entry.report_path)} does not exist; run the backtest "
            "again"
        )


def show_simulated(output: Output, aspects: Sequence[dict[str, Any]]) -> None:
    """Print what of a real market was simulated."""
    marks = {True: "[green]yes[/]", False: "[yellow]no [/]"}
    output.facts(
        "Simulated",
        [
            (
                aspect["aspect"].replace("_", " "),
                f"{marks[aspect['simulated']]} {escaped(aspect['detail'])}",
            )
            for aspect in aspects
        ],
    )


def _sections(summary: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    currency = summary["account"]["currency"]
    return [
        ("Profit and loss", _pnl_rows(summary, currency)),
        ("Orders", _order_rows(summary)),
        ("Round trips", _trade_rows(summary["trades"], currency)),
        ("Risk", _risk_rows(summary)),
        ("Position at the end", _position_rows(summary, currency)),
    ]


def _pnl_rows(summary: dict[str, Any], currency: str) -> list[tuple[str, str]]:
    account, parts = summary["account"], summary["pnl_breakdown"]
    # As everywhere: PnL is what the program's files call `pnl` and its part `net`.
    names = {"realized": "realized", "commissions": "commissions", "funding": "funding"}
    names |= {"PnL": "net", "unrealized": "unrealized"}
    rows = [
        (label, amount(parts[name], currency, sign=name != "commissions"))
        for label, name in names.items()
    ]
    rows += [
        (name.replace("_", " "), amount(account[name], currency))
        for name in ("starting_balance", "final_balance", "balance_change", "final_equity")
    ]
    text = " with the open position" if _is_open(summary) else ""
    rows.append(("return", f"{percent(summary['returns']['total_return_pct'])}{text}"))
    valuation = summary["valuation"]
    if valuation is not None:
        text = amount(valuation["pnl"], valuation["currency"], sign=True)
        rows.append(("valued", f"{text} at {valuation['rate']} ({valuation['rate_source']})"))
    return _aligned(rows)


def _order_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    stats = summary["position_stats"]
    rows = [
        ("orders", count(summary["orders"])),
        ("fills", count(summary["fills"])),
        ("bought", f"{quantity(stats['buy_quantity'])}, {count(stats['buy_orders'])} buy orders"),
        ("sold", f"{quantity(stats['sell_quantity'])}, {count(stats['sell_orders'])} sell orders"),
    ]
    rows += [(name, count(number_)) for name, number_ in summary["orders_by_status"].items()]
    rows += [(f"refused: {why}", count(times)) for why, times in _refusals(summary)]
    return rows


def _refusals(summary: dict[str, Any]) -> list[tuple[str, int]]:
    refusals = summary["refusals"]
    if isinstance(refusals, dict):
        return [(escaped(str(why)), int(times)) for why, times in refusals.items()]
    return [
        (escaped(str(refusal.get("reason"))), int(refusal.get("count") or 0))
        for refusal in refusals
    ]


def _trade_rows(trades: dict[str, Any], currency: str) -> list[tuple[str, str]]:
    return _aligned(
        [
            ("round trips", count(trades["total_trades"])),
            ("won", count(trades["winning_trades"])),
            ("lost", count(trades["losing_trades"])),
            ("win rate", percent(trades["win_rate"], sign=False)),
            ("profit factor", number(trades["profit_factor"])),
            ("expectancy", amount(trades["expectancy"], currency, sign=True)),
        ]
    )


def _risk_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    ratios, returns = summary["ratios"], summary["returns"]
    drawdown, currency = summary["drawdown"], summary["account"]["currency"]
    interval = ratios["equity_interval_secs"]
    longest = drawdown["max_drawdown_duration_secs"]
    return [
        ("max drawdown", percent(drawdown["max_drawdown_pct"], sign=False)),
        ("max drawdown, amount", amount(drawdown["max_drawdown_amount"], currency)),
        ("longest drawdown", UNKNOWN if longest is None else duration(longest)),
        ("volatility", percent(returns["volatility_pct"], sign=False)),
        ("CAGR", _growth_text(summary)),
        ("Sharpe", number(ratios["sharpe"])),
        ("Sortino", number(ratios["sortino"])),
        ("Calmar", number(ratios["calmar"])),
        (
            "equity",
            f"marked to the market every {number(interval, 0)} s, "
            f"{plural(ratios['returns'], 'return')}",
        ),
    ]


def _growth_text(summary: dict[str, Any]) -> str:
    from odum_assets.backtest.metrics import MIN_GROWTH_DAYS

    growth, ratios = summary["returns"]["cagr_pct"], summary["ratios"]
    is_short = 0 < ratios["returns"] * ratios["equity_interval_secs"] < MIN_GROWTH_DAYS * 86_400
    if growth is None and is_short:
        return f"{UNKNOWN} (nor Calmar: less than {MIN_GROWTH_DAYS} days)"
    return percent(growth)


def _is_open(summary: dict[str, Any]) -> bool:
    position = summary["position"]
    return bool(position["quantity"] or position.get("open_positions"))


def _open_text(summary: dict[str, Any]) -> str:
    """Say that PnL leaves out an open position, where there is one."""
    return " without the open position" if _is_open(summary) else ", no position is open"


def _closing_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Say how positions were closed, where there was something to close."""
    closing = summary.get("closing") or {}
    parts = []
    if closing.get("orders"):
        took = closing["seconds"]
        lasted = f" in {duration(took)}" if took else ""
        orders = plural(closing["orders"], "order")
        parts.append(f"{quantity(closing['quantity'])} by {orders}{lasted}")
    if closing.get("simulated_quantity"):
        rest = quantity(closing["simulated_quantity"])
        parts.append(f"{rest} at the last trade's price (simulated)")
    return [("closed", ", ".join(parts))] if parts else []


def _position_rows(summary: dict[str, Any], currency: str) -> list[tuple[str, str]]:
    position = summary["position"]
    rows = _closing_rows(summary)
    if not _is_open(summary):
        return [*rows, ("position", "none")]
    return [
        *rows,
        ("position", f"{position['side']} {quantity(abs(position['quantity']))}"),
        ("entry price", price(position["entry_price"])),
        ("last price", price(position["current_price"])),
        ("unrealized", amount(position["unrealized_pnl"], currency, sign=True)),
    ]


def _parts_text(parts: dict[str, Any], currency: str) -> str:
    def text(name: str, *, sign: bool = True) -> str:
        return f"{name} {amount(parts[name], currency, sign=sign, is_named=False)}"

    names = ("funding", "unrealized") if parts["unrealized"] else ("funding",)
    return ", ".join([text("realized"), text("commissions", sign=False), *map(text, names)])


def _drawdown_text(summary: dict[str, Any]) -> str:
    drawdown, currency = summary["drawdown"], summary["account"]["currency"]
    share = percent(drawdown["max_drawdown_pct"], sign=False)
    return f"{share}, {amount(drawdown['max_drawdown_amount'], currency)}"


def _aligned(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Set values that begin with a number flush right."""
    width = max(len(value) for _, value in rows)
    return [(name, value if "(" in value else value.rjust(width)) for name, value in rows]
