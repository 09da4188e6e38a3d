"""``odum vsweep``: a moving-average crossover over a grid of lengths, in one file of figures."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.options import ConfigArgument, FromOption, JsonOption, ToOption

if TYPE_CHECKING:
    import pyarrow as pa

    from odum_assets.cli.rendering import Output


class VariantOrder(StrEnum):
    """What variants are sorted by; the best figure first."""

    RETURN = "return"
    CAGR = "cagr"
    SHARPE = "sharpe"
    DRAWDOWN = "drawdown"
    PROFIT_FACTOR = "profit_factor"


_COLUMNS = {
    VariantOrder.RETURN: "return_pct",
    VariantOrder.CAGR: "cagr_pct",
    VariantOrder.SHARPE: "sharpe",
    # Zero or negative: the largest is the best.
    VariantOrder.DRAWDOWN: "max_drawdown_pct",
    VariantOrder.PROFIT_FACTOR: "profit_factor",
}


def vsweep(
    config: ConfigArgument,
    fast: Annotated[
        str, typer.Option(metavar="FIRST:LAST:STEP", help="Bars of the fast average; or a list.")
    ],
    slow: Annotated[
        str, typer.Option(metavar="FIRST:LAST:STEP", help="Bars of the slow average; or a list.")
    ],
    verify: Annotated[
        int,
        typer.Option(
            metavar="K",
            min=0,
            max=1_000,
            help="Replay the K best and K random variants in NautilusTrader; fail if any fill "
            "differs.",
        ),
    ] = 0,
    instrument: Annotated[
        str | None, typer.Option(metavar="KEY", help="Which one, where there are several.")
    ] = None,
    first: FromOption = None,
    last: ToOption = None,
    sort: Annotated[VariantOrder, typer.Option(help="Best figure first.")] = VariantOrder.RETURN,
    top: Annotated[int, typer.Option(min=1, max=1_000, help="Variants to print.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Parquet file. Default: in vsweeps of the results path."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a moving-average crossover with every pair of lengths over the bars of the catalog.

    All variants go into one parquet file with their figures; none becomes a result. Without days it
    takes every session that the catalog holds. Averages whose fast length is not below the slow one
    are left out.

    [dim]Examples:[/]
      odum vsweep spy_ma_cross --fast 5:50:5 --slow 20:200:10
      odum vsweep spy_ma_cross --fast 5:50:5 --slow 20:200:10 --verify 3 --sort sharpe
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.options import require_pair
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.selection import choose_config
    from odum_assets.config import catalog_root, load_config
    from odum_assets.errors import ConfigError
    from odum_assets.results.crossover_sweep import (
        chosen_pairs,
        open_sweep,
        pairs_of,
        parse_lengths,
        verify_variants,
        write_variants,
    )
    from odum_assets.results.variant_files import FOLDER
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    choice = choose_config(config, settings)
    if choice.warning:
        output.warn(choice.warning)
    loaded = load_config(choice.path)
    try:
        pairs = pairs_of(parse_lengths(fast, "--fast"), parse_lengths(slow, "--slow"))
    except ConfigError as error:
        raise UsageError(str(error)) from None
    with output.waiting(f"Running {len(pairs):,} variants"):
        sweep = open_sweep(
            loaded,
            catalog_root(loaded, settings),
            instrument=instrument,
            days=require_pair(first, last),
        )
        table = sweep.grid.figures(pairs)
    facts = sweep.facts(pairs)
    path = out or settings.results_path / FOLDER / f"{loaded.name}_{facts['id']}.parquet"
    order = _order(table, _COLUMNS[sort])
    verified = None
    if verify:
        chosen = chosen_pairs(table, order, verify, facts["id"])
        with output.waiting(f"Replaying {len(chosen)} variants in NautilusTrader"):
            fills = verify_variants(sweep, chosen, settings.results_path / FOLDER / ".staging")
        verified = {"variants": [list(pair) for pair in chosen], "fills": fills}
    write_variants(table, facts, path)
    best = table.take(order[:top]).to_pylist()
    output.data({**facts, "path": str(path), "verified": verified, "best": best})
    _show(output, facts, best, path, verified)


def _order(table: "pa.Table", column: str) -> list[int]:
    """Return the rows of a table, the highest figure first, unknown ones last."""
    import pyarrow.compute as pc

    keys: Any = [(column, "descending"), ("fast", "ascending"), ("slow", "ascending")]
    return list(map(int, pc.sort_indices(table, sort_keys=keys).to_numpy()))


def _show(
    output: "Output",
    facts: dict[str, Any],
    best: list[dict[str, Any]],
    path: Path,
    verified: dict[str, Any] | None,
) -> None:
    from odum_assets.cli.rendering import (
        amount,
        colored,
        count,
        display_path,
        escaped,
        number,
        percent,
        plural,
        table,
    )

    heads = ["fast", "slow", "return", "CAGR", "Sharpe", "drawdown"]
    heads += ["trades", "win rate", "profit factor", "fees"]
    rows = table(f"{facts['config']}  {facts['instrument']}", heads, right=heads)
    for row in best:
        rows.add_row(
            str(row["fast"]),
            str(row["slow"]),
            colored(percent(row["return_pct"]), row["return_pct"]),
            percent(row["cagr_pct"]),
            number(row["sharpe"]),
            percent(row["max_drawdown_pct"], sign=False),
            count(row["trades"]),
            percent(row["win_rate"], sign=False),
            number(row["profit_factor"]),
            amount(row["fees"], facts["currency"]),
        )
    output.show(
        rows,
        f"{plural(facts['variants'], 'variant')} of {plural(facts['bars'], 'bar')} in "
        f"{plural(facts['sessions'], 'session')}, {facts['first_close']} to {facts['last_close']}",
        escaped(display_path(path)),
    )
    if verified is not None:
        output.show(
            f"{plural(len(verified['variants']), 'variant')} replayed in NautilusTrader: all "
            f"{plural(verified['fills'], 'fill')} equal"
        )
