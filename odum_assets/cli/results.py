"""``odum results``: list, show, compare, verify, tag and delete stored results."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli import result_changes, result_export
from odum_assets.cli.failed_runs import list_failed, show_failed
from odum_assets.cli.options import EngineOption, JsonOption
from odum_assets.cli.result_changes import RunReference

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.results.compare import Comparison, ComparisonRow
    from odum_assets.results.store import ResultEntry, ResultStore

app = typer.Typer(
    no_args_is_help=True, help="Stored results: list, show, compare, export, verify, tag, delete."
)


class Order(StrEnum):
    """What results are sorted by."""

    CREATED = "created"
    PARTITION = "partition"
    PNL = "pnl"
    RETURN = "return"
    DRAWDOWN = "drawdown"
    ORDERS = "orders"


@app.command("list")
def list_results(
    config: Annotated[
        str | None, typer.Option(metavar="CONFIG", help="Only of this configuration.")
    ] = None,
    partition: Annotated[
        str | None, typer.Option(metavar="DAY", help="Only of this day, or 'window'.")
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(metavar="SWEEP_ID", help="Only variants of this sweep.")
    ] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Only with this tag.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="List the runs that left no result, and why.")
    ] = False,
    sort: Annotated[
        Order,
        typer.Option(
            help="Order: newest first, latest day first, or highest figure first (smallest "
            "drawdown first)."
        ),
    ] = Order.CREATED,
    limit: Annotated[int, typer.Option(min=1, help="Number of results (at most).")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List results with their key figures; ! marks those with warnings.

    A result that cannot be read is named, the others are listed, and the exit code is 1.

    [dim]Examples:[/]
      odum results list --sort pnl --limit 10
      odum results list --config binance_futures_btcusdt_l2_trades_config --json
      odum results list --failed
    """
    from odum_assets.cli.outcome import record, show_list
    from odum_assets.cli.rendering import Output, display_path
    from odum_assets.cli.selection import open_store

    output, store = Output(as_json), open_store()
    name = None if config is None else config.rsplit("/", 1)[-1].removesuffix(".json")
    if failed:
        list_failed(output, store, name, limit)
        return
    stored, problems = _listed(store)
    entries = [
        entry
        for entry in stored
        if name in (None, entry.config_name)
        and partition in (None, entry.partition)
        and (sweep is None or (entry.sweep is not None and entry.sweep["id"] == sweep))
        and (tag is None or tag in entry.annotations().tags)
    ]
    if name is not None and not entries:
        _refuse_unknown(name, stored)
    entries = _sorted(entries, sort)
    listed = entries[:limit]
    records = [record(entry) for entry in listed]
    output.data({"total": len(entries), "results": records, "problems": problems})
    show_list(output, listed, by_config=sort in (Order.CREATED, Order.PARTITION))
    if not entries:
        output.show(_none_text(display_path(store.root), is_filtered=bool(stored)))
    elif len(listed) < len(entries):
        output.info(f"{len(listed)} of {len(entries)} results; --limit shows more")
    for text in problems:
        output.warn(text)
    if problems:
        raise typer.Exit(1)


def _listed(store: "ResultStore") -> tuple[list["ResultEntry"], list[str]]:
    """Return the results that can be listed, newest first, and what is wrong with the others."""
    from odum_assets.cli.outcome import record

    problems: list[str] = []
    readable = []
    for entry in store.entries(problems):
        try:
            record(entry)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            what = f"a figure is missing or malformed ({type(error).__name__}: {error})"
            problems.append(f"{entry.fast_path}: {what}; run the backtest again")
        else:
            readable.append(entry)
    return readable, problems


def _none_text(folder: str, *, is_filtered: bool) -> str:
    if is_filtered:
        return f"No result in {folder} matches."
    return f"There are no results in {folder}. Run one: odum backtest CONFIG --day DAY"


def _refuse_unknown(name: str, entries: list["ResultEntry"]) -> None:
    from odum_assets.cli.errors import UsageError, did_you_mean
    from odum_assets.cli.selection import config_names
    from odum_assets.settings import load_settings

    known = {*config_names(load_settings()), *(entry.config_name for entry in entries)}
    if name not in known:
        hint = did_you_mean(name, sorted(known))
        raise UsageError(f"--config: there is no configuration {name!r}{hint}")


def _sorted(entries: list["ResultEntry"], order: Order) -> list["ResultEntry"]:
    if order is Order.CREATED:
        return entries
    if order is Order.PARTITION:
        return sorted(entries, key=lambda entry: entry.partition, reverse=True)

    def figure(entry: "ResultEntry") -> tuple[bool, float]:
        summary = entry.summary()
        values: dict[Order, float | None] = {
            Order.PNL: summary["pnl"],
            Order.RETURN: summary["returns"]["total_return_pct"],
            Order.DRAWDOWN: summary["drawdown"]["max_drawdown_pct"],
            Order.ORDERS: summary["orders"],
        }
        value = values[order]
        # What is not known comes last.
        return value is not None, value or 0.0

    return sorted(entries, key=figure, reverse=True)


@app.command()
def show(run_id: RunReference, as_json: JsonOption = False) -> None:
    """Show one run: warnings, figures, what was simulated, files; or why it left no result.

    [dim]Examples:[/]
      odum results show BNF_BTC_20240718_00000000_99a518_4fe81e
      odum results show 4fe81e
      odum results show last
    """
    from odum_assets.cli.outcome import files, show_full
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.selection import choose_run, open_store

    output, store = Output(as_json), open_store()
    name = choose_run(store, run_id, failed=True)
    if not store.fast_path(name).is_file():
        show_failed(output, store, name)
        return
    entry = store.entry(name)
    annotations = entry.annotations().as_json()
    output.data({**entry.document, "annotations": annotations, "files": files(entry)})
    show_full(output, entry)


app.command()(result_changes.tag)
app.command()(result_changes.note)
app.command()(result_changes.delete)
app.command()(result_export.export)


@app.command()
def log(
    run_id: RunReference,
    lines: Annotated[
        int | None, typer.Option(min=1, help="Only the last ones; all by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the strategy of a run printed and logged; failed runs have it, too.

    [dim]Example:[/]
      odum results log last --lines 50
    """
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.selection import choose_run, open_store
    from odum_assets.results.logs import last_lines, read_log

    output, store = Output(as_json), open_store()
    name = choose_run(store, run_id, failed=True)
    text = read_log(store, name)
    last = last_lines(text, len(text) if lines is None else lines)
    output.data({"run_id": name, "log": last})
    output.lines(last)
    if not last:
        output.info(f"{name} printed nothing")


@app.command()
def compare(
    run_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_ID RUN_ID...",
            help="Two results or more: ids, their first or last characters, or 'last'.",
            show_default=False,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show results side by side, and what differs in configuration and data.

    [dim]Example:[/]
      odum results compare BNF_BTC_20240718_00000000_99a518_4fe81e \
BNF_BTC_20240719_00000000_99a518_0c1d2e
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.rendering import Output
    from odum_assets.results.compare import compare_results

    output = Output(as_json)
    if len(run_ids) < 2:
        raise UsageError("compare needs two run ids or more; odum results list shows them")
    entries = [_entry(run_id) for run_id in run_ids]
    comparison = compare_results(entries)
    output.data(
        {
            "run_ids": comparison.run_ids,
            "same_digest": comparison.same_digest,
            "metrics": _as_json(comparison.metrics),
            "config": _as_json(comparison.config),
            "inputs": _as_json(comparison.inputs),
        }
    )
    _show_comparison(output, comparison, entries)


def _as_json(rows: "tuple[ComparisonRow, ...]") -> dict[str, list[Any]]:
    return {row.name: list(row.values) for row in rows}


def _show_comparison(
    output: "Output", comparison: "Comparison", entries: list["ResultEntry"]
) -> None:
    from odum_assets.cli.rendering import escaped, table

    letters = [chr(ord("A") + index % 26) * (1 + index // 26) for index in range(len(entries))]
    output.facts(
        None,
        [
            (letter, f"{entry.run_id}  {entry.config_name}  {entry.partition}")
            for letter, entry in zip(letters, entries, strict=True)
        ],
    )
    figures = table("Figures", ["", *letters], right=letters)
    for row in comparison.metrics:
        style = "" if row.differs else "dim"
        figures.add_row(_label(row.name), *map(_figure, row.values), style=style)
    output.show(figures)
    for title, rows in (
        ("Configuration", comparison.config),
        ("Options and data", comparison.inputs),
    ):
        if rows:
            differences = table(f"{title}: what differs", ["", *letters])
            for row in rows:
                if not row.name.endswith("trade_ns"):
                    values = (escaped(_setting(row.name, value)) for value in row.values)
                    differences.add_row(row.name.removesuffix("_ns"), *values)
            output.show(differences)
        else:
            output.show(f"[dim]{title}: no differences.[/]")
    if comparison.same_digest:
        output.show("[green]Equal in every order, fill, position and balance.[/]")


_LABELS = {
    "pnl": "PnL",
    "returns.total_return_pct": "return, %",
    "returns.cagr_pct": "CAGR, %",
    "trades.total_trades": "round trips",
    "drawdown.max_drawdown_amount": "max drawdown, amount",
    "drawdown.max_drawdown_duration_secs": "longest drawdown, s",
    "ratios.sharpe": "Sharpe",
    "ratios.sortino": "Sortino",
    "ratios.calmar": "Calmar",
}
"""Figures whose names are not the last part of their path; as `show` calls them."""


def _label(name: str) -> str:
    if name in _LABELS:
        return _LABELS[name]
    return name.rpartition(".")[2].replace("_pct", ", %").replace("_", " ")


def _figure(value: object) -> str:
    from odum_assets.cli.rendering import UNKNOWN, count, number, quantity

    if value is None:
        return UNKNOWN
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float) and abs(value) >= 1:
        return number(value)
    return quantity(float(f"{float(str(value)):.4g}"))


def _setting(name: str, value: object) -> str:
    from odum_assets.cli.rendering import moment

    if value is None:
        return "not set"
    return f"{moment(int(str(value)))}" if name.endswith("_ns") else str(value)


@app.command()
def verify(
    run_id: RunReference, engine: EngineOption | None = None, as_json: JsonOption = False
) -> None:
    """Run a result again from its record and compare digests; nothing is stored.

    The exit code is 1 when they differ. With --engine kernel the run is matched by the kernel,
    whoever made it.

    [dim]Examples:[/]
      odum results verify BNF_BTC_20240718_00000000_99a518_4fe81e
      odum results verify BNF_BTC_20240718_00000000_99a518_4fe81e --engine kernel
    """
    from odum_assets.cli.progress import Display
    from odum_assets.cli.rendering import Output
    from odum_assets.results.verify import verify_result
    from odum_assets.settings import load_settings

    output, entry = Output(as_json), _entry(run_id)
    with Display(output, f"Running {entry.run_id} again") as display:
        chosen = None if engine is None else engine.name_of_engine
        verification = verify_result(entry.run_id, load_settings(), display.progress, engine=chosen)
    output.data(
        {
            "run_id": verification.run_id,
            "equal": verification.equal,
            "expected": verification.expected,
            "found": verification.found,
            "changed_inputs": verification.changed_inputs,
        }
    )
    verdict = "[green]equal[/]" if verification.equal else "[bold red]different[/]"
    output.facts(
        f"{entry.run_id}: {verdict}",
        [("stored digest", verification.expected), ("digest now", verification.found)],
    )
    for name in verification.changed_inputs:
        output.show(f"  [yellow]! changed since: {name}[/]")
    if not verification.equal:
        raise typer.Exit(1)


def _entry(run_id: str) -> "ResultEntry":
    from odum_assets.cli.selection import choose_run, open_store

    store = open_store()
    return store.entry(choose_run(store, run_id))
