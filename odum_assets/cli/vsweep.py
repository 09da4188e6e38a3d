"""``odum vsweep``: a crossover or a model over a grid of parameters, in one file of figures."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.options import ConfigArgument, FromOption, JsonOption, ToOption

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.session import Session


class VariantOrder(StrEnum):
    """What variants are sorted by; the best figure first."""

    RETURN = "return"
    CAGR = "cagr"
    SHARPE = "sharpe"
    DRAWDOWN = "drawdown"
    PROFIT_FACTOR = "profit_factor"


def vsweep(
    config: ConfigArgument,
    fast: Annotated[
        str | None,
        typer.Option(metavar="FIRST:LAST:STEP", help="Bars of the fast average; or a list."),
    ] = None,
    slow: Annotated[
        str | None,
        typer.Option(metavar="FIRST:LAST:STEP", help="Bars of the slow average; or a list."),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:LAST:STEP",
            help="Thresholds of a model; or a list. Default: the configuration's.",
        ),
    ] = None,
    side: Annotated[
        str | None, typer.Option(metavar="LIST", help="Sides, such as long,long_short.")
    ] = None,
    fixed_size: Annotated[
        str | None,
        typer.Option(metavar="FIRST:LAST:STEP", help="Sizes of an entry; or a list."),
    ] = None,
    percent_size: Annotated[
        str | None,
        typer.Option(
            metavar="FIRST:LAST:STEP", help="Fractions of the equity of an entry; or a list."
        ),
    ] = None,
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
    """Run a crossover or a model's signals with every combination of values over catalog bars.

    MA_CROSS needs --fast and --slow; ML_SIGNALS takes --threshold, and its model predicts once for
    all variants. Side and size are the configuration's where they are not given. All variants go
    into one parquet file with their figures, the asset backtest/CONFIG/vsweep; none becomes a
    result. Sessions of --from and --to are converted first where they are not; without days it
    takes every session that the catalog holds. Averages whose fast length is not below the slow one
    are left out.

    [dim]Examples:[/]
      odum vsweep spy_1m_ma_cross_config --fast 5:50:5 --slow 20:200:10
      odum vsweep spy_1m_ma_cross_config --fast 5:50:5 --slow 20:200:10 --verify 3 \
--sort sharpe
      odum vsweep spy_1m_model --threshold 0.5:0.7:0.01 --side long,long_short --verify 3
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.options import require_pair
    from odum_assets.cli.rendering import Output, plural
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.config import load_config
    from odum_assets.errors import ConfigError
    from odum_assets.results.bar_sweep import (
        UNCERTAIN_ACCOUNT,
        bars_config,
        best_first,
        read_variants,
    )
    from odum_assets.results.sweep_axes import variants_of
    from odum_assets.results.variant_files import write_variants
    from odum_assets.settings import load_settings
    from odum_assets.vectorized.grid import require_numba

    output, settings = Output(as_json), load_settings()
    choice = choose_config(config, settings)
    if choice.warning:
        output.warn(choice.warning)
    loaded = load_config(choice.path)
    bars_config(loaded)
    require_numba()
    texts = {
        "fast": fast,
        "slow": slow,
        "threshold": threshold,
        "side": side,
        "fixed_size": fixed_size,
        "percent_size": percent_size,
    }
    try:
        _, variants = variants_of(loaded, texts, instrument, _option)
    except ConfigError as error:
        raise UsageError(str(error)) from None
    days = require_pair(first, last)
    options = {
        **texts,
        "verify": verify,
        "sort": sort.value,
        "instrument": instrument,
        "first_day": days and days[0].isoformat(),
        "last_day": days and days[1].isoformat(),
    }
    with open_session(choice.settings, output, replays=verify > 0) as session:
        title = f"Running {len(variants):,} variants"
        done = sweep_bars(session, choice.name, options, title)
    path = Path(done["file"])
    table, facts = read_variants(path)
    if out is not None:
        path = out
        write_variants(table, facts, out)
    if unknown := table["fills"].null_count:
        output.warn(f"{plural(unknown, 'variant')} without figures: {UNCERTAIN_ACCOUNT}")
    best = table.take(best_first(table, sort.value)[:top]).to_pylist()
    verified = done.get("verified")
    output.data({**facts, "path": str(path), "verified": verified, "best": best})
    show_variants(output, facts, best, path, verified)


def _option(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")


def sweep_bars(
    session: "Session", name: str, options: dict[str, Any], title: str
) -> dict[str, Any]:
    """Run the vectorized sweep of a configuration and return the metadata of its asset.

    Raises
    ------
    WorkError
        If it failed.
    """
    from odum_assets.cli.errors import WorkError
    from odum_assets.cli.session import failure_text
    from odum_assets.orchestration.names import backtest_key

    key = backtest_key(name, "vsweep")
    given = {option: value for option, value in options.items() if value is not None}
    result = session.run(title, [tuple(key.path)], None, {tuple(key.path): given})
    if not result.success:
        raise WorkError(failure_text(result))
    return dict(result.materializations[key.to_user_string()])


def show_variants(
    output: "Output",
    facts: dict[str, Any],
    best: list[dict[str, Any]],
    path: Path,
    verified: dict[str, Any] | None,
) -> None:
    """Print variants, what they are of, and where all of them are."""
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

    axes = facts["axes"]
    heads = [*axes, "return", "CAGR", "Sharpe", "drawdown"]
    heads += ["trades", "win rate", "profit factor", "fees"]
    rows = table(f"{facts['config']}  {facts['instrument']}", heads, right=heads)
    for row in best:
        rows.add_row(
            *(
                f"{value:g}" if isinstance(value, float) else str(value)
                for value in map(row.get, axes)
            ),
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
