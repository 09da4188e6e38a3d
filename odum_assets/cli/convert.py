"""``odum convert``: raw day files become catalog partitions, through their assets."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.options import DataTypeChoice, DayOption, FromOption, JsonOption, ToOption

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.session import Session
    from odum_assets.instruments import InstrumentKey
    from odum_assets.orchestration.launch import LaunchResult
    from odum_assets.orchestration.partition_state import Partition
    from odum_assets.orchestration.project import Project, Source


def convert(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONFIG]", help="Configuration: name, file name or path.", show_default=False
        ),
    ] = None,
    instrument: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Instrument instead of a configuration, any spelling."),
    ] = None,
    data_type: Annotated[
        DataTypeChoice | None, typer.Option(help="Only this kind of data.")
    ] = None,
    day: DayOption = None,
    first: FromOption = None,
    last: ToOption = None,
    every: Annotated[bool, typer.Option("--all", help="Every day that has raw files.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Convert again what is up to date.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Convert raw days into catalog partitions.

    What is up to date is left alone. Days without raw files are named; the others are converted.

    [dim]Examples:[/]
      odum convert binance_futures_btcusdt_l2_trades_config --all
      odum convert binance_futures_btcusdt_l2_trades_config --day 2024-07-18
      odum convert --instrument BINANCE-FUTURES:PERPETUAL:BTC-USDT --data-type trades \
--day 2024-07-18 --force
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.options import require_pair
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    if (config is None) == (instrument is None):
        raise UsageError("give either a CONFIG or --instrument KEY")
    span = require_pair(first, last)
    if (day is not None) + (span is not None) + every != 1:
        raise UsageError("give the days: --day DAY, or --from DAY --to DAY, or --all")
    choice = None if config is None else choose_config(config, settings)
    if choice is not None:
        settings = choice.settings
        if choice.warning:
            output.warn(choice.warning)
    with open_session(settings, output) as session:
        project = session.graph.project
        name = None if choice is None else choice.name
        sources = _sources(project, name, instrument, data_type)
        days = (
            _days(project, sources, span)
            if day is None
            else sorted({source.partition_of(day) for source in sources})
        )
        needed = [
            source
            for source in sources
            if day is not None
            and (data_type is not None or any(map(source.is_required, source.named_by)))
        ]
        records = _converted(session, sources, days, needed, force=force)
    _show(output, records)
    if any(record["state"] == "failed" for record in records):
        raise typer.Exit(1)


def _sources(
    project: "Project", config: str | None, instrument: str | None, data_type: str | None
) -> tuple["Source", ...]:
    from odum_assets.cli.errors import UsageError, did_you_mean
    from odum_assets.config.instrument_names import is_spelling, names_instrument

    named: set[InstrumentKey] | None = None
    if config is not None:
        of_config = [project.config(config)]
    else:
        of_config = [
            config for config in project.configs if names_instrument(instrument or "", config)
        ]
        named = {
            key
            for config in of_config
            for key in config.keys
            if is_spelling(instrument or "", config, key)
        }
        keys = sorted(map(str, named))
        if not keys:
            known = sorted({str(key) for config in project.configs for key in config.keys})
            raise UsageError(
                f"--instrument: no configuration has {instrument!r}"
                f"{did_you_mean(instrument or '', known)}"
            )
        if len(keys) > 1:
            raise UsageError(f"--instrument: {instrument!r} may be {' or '.join(keys)}; give one")
    sources = tuple(
        source
        for source in project.sources
        if any(config in source.named_by for config in of_config)
        and data_type in (None, source.data_type)
        and (named is None or source.key in named)
    )
    if not sources:
        raise UsageError(
            f"--data-type: {of_config[0].name} has no {data_type}_path in data_catalog"
        )
    return sources


def _days(
    project: "Project", sources: tuple["Source", ...], span: tuple[date, date] | None
) -> list[date]:
    from odum_assets.errors import DataError
    from odum_assets.orchestration.days import days_between
    from odum_assets.orchestration.partition_state import days_on_disk
    from odum_assets.orchestration.project import raw_folder_of, raw_folder_problem

    available = days_on_disk(project, sources)
    days = available
    if span is not None:
        within = {source.partition_of(day) for source in sources for day in days_between(*span)}
        days = [day for day in available if day in within]
    if not days:
        if (problem := raw_folder_problem(sources[0], project.settings)) is not None:
            raise DataError(problem)
        folder = raw_folder_of(sources[0], project.settings)
        kept = f"; there are days from {available[0]} to {available[-1]}" if available else ""
        range_text = "" if span is None else f" from {span[0]} to {span[1]}"
        raise DataError(f"{folder}: there are no raw files of {sources[0].key}{range_text}{kept}")
    return days


def _converted(
    session: "Session",
    sources: tuple["Source", ...],
    days: list[date],
    needed: list["Source"],
    *,
    force: bool,
) -> list[dict[str, Any]]:
    """Convert what must be, day by day, and return what became of each partition.

    Where a raw file is missing, the conversion of what is needed fails.
    """
    from odum_assets.orchestration.partition_state import State, describe_partition

    project = session.graph.project
    records = []
    for day in days:
        partitions = [describe_partition(project, source, day) for source in sources]
        todo = [partition for partition in partitions if force or _is_due(session, partition)]
        todo = [
            partition
            for partition in todo
            if partition.raw or partition.state is State.UNREADABLE or partition.source in needed
        ]
        result = _run(session, todo, day, force=force) if todo else None
        for partition in partitions:
            if partition in todo:
                records.append(_record(describe_partition(project, partition.source, day), result))
            elif partition.state is State.MISSING:
                records.append(_record(partition, None, "no raw file"))
            else:
                records.append(_record(partition, None, partition.state.value))
    return records


def _is_due(session: "Session", partition: "Partition") -> bool:
    from odum_assets.orchestration.partition_state import State

    if partition.state is State.CURRENT:
        return not session.is_recorded(partition.source, partition.day)
    return partition.state is not State.KEPT


def _run(session: "Session", todo: list["Partition"], day: date, *, force: bool) -> "LaunchResult":
    keys = [tuple(partition.source.catalog_key.path) for partition in todo]
    config = {key: {"force": True} for key in keys} if force else None
    return session.run(f"Converting {day}", keys, day.isoformat(), config)


def _record(
    partition: "Partition", result: "LaunchResult | None", state: str = "converted"
) -> dict[str, Any]:
    manifest, key = partition.manifest, partition.source.catalog_key.to_user_string()
    error = None
    if result is not None and key not in result.materializations:
        texts = [text for name, text in result.failures if name in (key, "run")]
        state, error = "failed", "\n".join(texts) or "not started, because an earlier step failed"
    warnings = () if result is None else result.warnings + result.failures
    return {
        "day": partition.day.isoformat(),
        "instrument": str(partition.source.key),
        "data_type": partition.source.data_type.value,
        "state": state,
        "rows": None if manifest is None else manifest.rows_written,
        "rejected": None if manifest is None else manifest.rows_rejected,
        "digest": None if manifest is None else manifest.digest,
        "warnings": [text for name, text in warnings if name == key] if error is None else [],
        "error": error,
        "dagster_run_id": None if result is None else result.dagster_run_id,
    }


_STYLES = {"converted": "green", "failed": "bold red", "no raw file": "yellow", "stale": "yellow"}


def _show(output: "Output", records: list[dict[str, Any]]) -> None:
    from odum_assets.cli.rendering import count, table

    output.data({"partitions": records})
    columns = ["day", "data type", "rows", "rejected", ""]
    for instrument in dict.fromkeys(record["instrument"] for record in records):
        rows = table(instrument, columns, right=["rows", "rejected"])
        for record in records:
            if record["instrument"] == instrument:
                state = f"[{_STYLES.get(record['state'], 'dim')}]{record['state']}[/]"
                figures = count(record["rows"]), count(record["rejected"])
                rows.add_row(record["day"], record["data_type"], *figures, state)
        output.show(rows)
    for record in records:
        for text in record["warnings"]:
            output.warn(f"{record['day']} {record['data_type']}: {text}")
        if record["error"]:
            output.err.print(
                f"error: {record['day']} {record['data_type']}: {record['error']}",
                style="bold red",
                markup=False,
                soft_wrap=True,
            )
