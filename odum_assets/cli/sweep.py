"""``odum sweep``: variants of one configuration over one day, side by side."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.options import (
    ClosingOption,
    ConfigArgument,
    EndOption,
    EngineChoice,
    EngineOption,
    FastOption,
    JsonOption,
    NoCloseOption,
    ReportOption,
    SnapshotOption,
    StartOption,
    parse_day,
)

if TYPE_CHECKING:
    from rich.table import Table

    from odum_assets.cli.rendering import Output
    from odum_assets.cli.session import Session
    from odum_assets.config import LoadedConfig
    from odum_assets.orchestration.planner import Plan


class SweepOrder(StrEnum):
    """What variants are sorted by."""

    GIVEN = "given"
    NET_PNL = "net_pnl"
    REALIZED = "realized"
    COMMISSIONS = "commissions"
    ORDERS = "orders"
    FILLS = "fills"
    WIN_RATE = "win_rate"
    MAX_DRAWDOWN = "max_drawdown"
    SHARPE = "sharpe"


_LEFT_OUT = ("fills", "commissions", "realized", "orders", "win_rate", "max_drawdown", "sharpe")
"""Figures that a narrow terminal does not show, first ones first; ``--json`` has all."""

_WIDEST = 24
"""Characters of a varied value that are not folded."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A variant as the sweep's table has it."""

    variant: int
    varied: dict[str, str]
    figures: dict[str, float | None]
    run_id: str
    error: str


def sweep(
    config: ConfigArgument,
    day: Annotated[
        date, typer.Option("--day", parser=parse_day, metavar="DAY", help="The UTC day.")
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=VALUE,...",
            help="Values of a path of the configuration; several: every combination.",
        ),
    ] = None,
    variants: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON list of {path: value} objects, instead of --vary"),
    ] = None,
    fast: FastOption = False,
    report: ReportOption = False,
    snapshot_mode: SnapshotOption = None,
    start: StartOption = None,
    end: EndOption = None,
    no_close_positions: NoCloseOption = False,
    closing: ClosingOption = None,
    engine: EngineOption = EngineChoice.NAUTILUS,
    figures_only: Annotated[
        bool,
        typer.Option(
            "--figures-only",
            help="Keep the figures of all variants in one parquet file, in place of a result for "
            "each. Needs --engine kernel.",
        ),
    ] = False,
    verify: Annotated[
        int,
        typer.Option(
            metavar="K",
            min=0,
            max=1_000,
            help="Repeat the K best (by --sort; by PnL where it is given) and K random variants in "
            "NautilusTrader; fail if any fill or digest differs. Needs --engine kernel.",
        ),
    ] = 0,
    slots: Annotated[
        int, typer.Option(min=1, max=64, help="Variants that run at the same time.")
    ] = 2,
    sort: Annotated[
        SweepOrder, typer.Option(help="As given, or best figure first.")
    ] = SweepOrder.GIVEN,
    as_json: JsonOption = False,
) -> None:
    """Run variants of a configuration over one day, whose data are read once.

    Every variant gets a result of its own, or with --figures-only a row of one file. The
    exit code is 1 if one failed; the others are done. What decides the data (instrument,
    data_catalog, time_window) cannot vary.

    [dim]Examples:[/]
      odum sweep momentum_btcusdt --day 2024-01-01 --vary strategy.params.window=50,100,200 \
--vary execution.latency.insert_ms=0,5
      odum sweep momentum_btcusdt --day 2024-01-01 --variants variants.json --sort sharpe
      odum sweep btcusdt --day 2024-01-01 --vary venue.taker_fee=0,0.0002,0.0005 --engine kernel \
--figures-only --verify 1
    """
    from odum_assets.cli.options import chosen_mode
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.runs import carry_out, metadata_of
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.config import load_config
    from odum_assets.orchestration.requests import NewRun
    from odum_assets.settings import load_settings

    mode = chosen_mode(fast=fast, report=report)
    output, settings = Output(as_json), load_settings()
    choice = choose_config(config, settings)
    if choice.warning:
        output.warn(choice.warning)
    chosen = _chosen(load_config(choice.path), vary or [], variants)
    new = NewRun.of(
        config=choice.name,
        day=day,
        mode=mode,
        snapshot_mode=snapshot_mode,
        close_positions=not no_close_positions,
        closing=closing,
        engine=engine.value,
        start=start,
        end=end,
    )
    with open_session(choice.settings, output) as session:
        best = SweepOrder.NET_PNL if sort is SweepOrder.GIVEN else sort
        options = {"figures_only": figures_only, "verify": verify, "sort": best.value}
        plan = session.planner().plan_sweep(new, chosen, slots, **options)
        metadata = metadata_of(plan, carry_out(session, plan, f"Sweep {day}"))
        rows = _sorted(_rows(metadata), sort)
        output.data(_document(session, plan, metadata, rows))
        _show(output, session, f"{choice.name}  {day}", metadata, rows)
    if any(row.error for row in rows):
        raise typer.Exit(1)


def _chosen(loaded: "LoadedConfig", vary: list[str], file: Path | None) -> list[dict[str, Any]]:
    """Return values by path, one mapping per variant, after checking them."""
    from odum_assets.cli.errors import UsageError
    from odum_assets.config.variants import (
        as_run_config,
        grid,
        make_variants,
        parse_vary,
        read_variants,
    )
    from odum_assets.errors import ConfigError

    if bool(vary) == (file is not None):
        raise UsageError("give what varies: --vary PATH=VALUE,VALUE (or --variants FILE)")
    try:
        if file is not None:
            chosen = read_variants(file)
        else:
            axes: dict[str, list[Any]] = {}
            for path, values in map(parse_vary, vary):
                if path in axes:
                    raise UsageError(f"--vary {path}: given twice; put all values in one --vary")
                axes[path] = values
            chosen = grid(axes)
        make_variants(loaded, chosen)
    except ConfigError as error:
        raise UsageError(str(error)) from None
    return [{path: as_run_config(value) for path, value in changes.items()} for changes in chosen]


def _rows(metadata: dict[str, Any]) -> list[_Row]:
    from odum_assets.results.sweep import FIGURES

    rows = []
    for record in metadata["variants"].records:
        left = dict(record.data)
        rows.append(
            _Row(
                variant=left.pop("variant"),
                run_id=left.pop("run_id"),
                error=left.pop("error"),
                figures={name: left.pop(name) for name in FIGURES},
                varied=left,
            )
        )
    return rows


def _sorted(rows: list[_Row], order: SweepOrder) -> list[_Row]:
    from odum_assets.results.sweep import best_first

    if order is SweepOrder.GIVEN:
        return rows
    return [rows[place] for place in best_first([row.figures for row in rows], order.value)]


def _document(
    session: "Session", plan: "Plan", metadata: dict[str, Any], rows: list[_Row]
) -> dict[str, Any]:
    from odum_assets.cli.outcome import record
    from odum_assets.results.store import ResultStore

    store = ResultStore(session.settings.results_path)
    return {
        "sweep_id": metadata["sweep_id"],
        "config": plan.loaded.name,
        "partition": plan.partition,
        "file": metadata.get("file"),
        "proof": metadata.get("proof"),
        "variants": [
            {
                "variant": row.variant,
                "varied": row.varied,
                "error": row.error or None,
                "figures": row.figures,
                "result": record(store.entry(row.run_id)) if row.run_id else None,
            }
            for row in rows
        ],
    }


def _show(
    output: "Output", session: "Session", title: str, metadata: dict[str, Any], rows: list[_Row]
) -> None:
    from odum_assets.cli.rendering import display_path, escaped, plural
    from odum_assets.results.store import ResultStore

    store = ResultStore(session.settings.results_path)
    flagged = {
        row.run_id for row in rows if row.run_id and store.entry(row.run_id).summary()["flags"]
    }
    output.show(_fitting(output, f"{title} ({metadata['currency']})", rows, flagged))
    for row in rows:
        if row.error:
            output.show(f"[red]variant {row.variant} failed: {escaped(row.error)}[/]")
    file, proof = metadata.get("file"), metadata.get("proof")
    if file is None:
        output.show(f"odum results list --sweep {metadata['sweep_id']}")
    else:
        output.show(escaped(display_path(Path(file))))
    if proof is not None:
        repeated = len(proof["best"]) + len(proof["random"])
        output.show(
            f"{plural(repeated, 'variant')} repeated in NautilusTrader "
            f"(random ones drawn with seed {proof['seed']}): all {plural(proof['fills'], 'fill')} "
            "and every digest equal"
        )
    if flagged:
        output.info("! has warnings; odum results show RUN_ID prints them")


def _fitting(output: "Output", title: str, rows: list[_Row], flagged: set[str]) -> "Table":
    """Return the table of the variants with as many columns as fit.

    Where the figures leave no space for run ids, their ends are shown: commands take these, too.
    """
    from odum_assets.cli.rendering import fitted, table, width_of
    from odum_assets.config.variants import short_names

    paths = list(dict.fromkeys(path for row in rows for path in row.varied))
    heads = dict(zip(paths, short_names(paths), strict=True))
    widths = {
        head: min(max(len(head), *(len(row.varied.get(path, "")) for row in rows)), _WIDEST)
        for path, head in heads.items()
    }
    right = ["#", *map(_head, rows[0].figures)]

    def make(columns: list[str]) -> "Table":
        result = table(title, columns, right=right)
        for name, column in zip(columns, result.columns, strict=True):
            if name in widths:
                column.min_width = column.max_width = widths[name]
        return result

    def table_of(id_head: str, digits: int) -> "Table":
        cells = [_cells(row, heads, flagged, id_head, digits) for row in rows]
        return fitted(output, make, cells, [_head(name) for name in _LEFT_OUT])

    whole = table_of("run id", 0)
    return whole if width_of(output, whole) <= output.out.width else table_of("id ends with", 6)


def _cells(
    row: _Row, heads: dict[str, str], flagged: set[str], id_head: str, digits: int
) -> dict[str, str]:
    """Return the cells of a variant, of its run id only the last digits (0: all)."""
    from odum_assets.cli.rendering import escaped

    return {
        "#": str(row.variant),
        **{head: escaped(row.varied.get(path, "")) for path, head in heads.items()},
        **{
            _head(name): "" if row.error else _cell(name, value)
            for name, value in row.figures.items()
        },
        id_head: "[red]failed[/]" if row.error else row.run_id[-digits:],
        "": "[yellow]![/]" if row.run_id in flagged else "",
    }


def _head(name: str) -> str:
    return {"net_pnl": "PnL", "sharpe": "Sharpe"}.get(name, name.replace("_", " "))


def _cell(name: str, value: float | None) -> str:
    from odum_assets.cli.rendering import amount, colored, count, number, percent

    if name in ("orders", "fills"):
        return count(value)
    if name == "win_rate":
        return percent(value, sign=False)
    if name == "max_drawdown":
        # Variants are close to each other, and small against the account.
        return percent(None if value is None else 100 * value, sign=False, digits=4)
    if name == "sharpe":
        return number(value)
    if name == "net_pnl":
        return colored(amount(value, sign=True), value)
    return amount(value, sign=name == "realized")
