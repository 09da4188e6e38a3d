"""``odum data import-bars`` and ``odum data fetch``: bars into the raw layout."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.options import JsonOption, parse_day

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.raw.imports.run import ImportRequest, ImportResult


class Label(StrEnum):
    """Which end of a bar its time names."""

    START = "start"
    END = "end"


class Step(StrEnum):
    """Steps of bars."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER = "15m"
    HOUR = "1h"
    DAY = "1d"


class Service(StrEnum):
    """Services that bars are fetched from."""

    YAHOO = "yahoo"


OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace bars that are there with other values.")
]
RejectOption = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Rejected rows as a fraction of all; above it nothing is written."
    ),
]


def import_bars(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or parquet.")],
    instrument: Annotated[
        str, typer.Option(metavar="KEY", help="VENUE:TYPE:SYMBOL, such as ARCA:EQUITY:SPY.")
    ],
    label: Annotated[Label, typer.Option(help="Which end of a bar its time names.")],
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Zone of times that name none: UTC, America/New_York."),
    ] = None,
    step: Annotated[
        Step | None, typer.Option(help="Default: the commonest distance of the first times.")
    ] = None,
    overwrite: OverwriteOption = False,
    max_reject_ratio: RejectOption = 0.01,
    as_json: JsonOption = False,
) -> None:
    """Import bars from any CSV or parquet file into the raw layout.

    Rows may have any order. Rows that are no bars are left out and counted; nothing is written when
    there are too many. Repeat it as often as you like: files that would be the same stay.

    [dim]Examples:[/]
      odum data import-bars SPY_1min.parquet --instrument ARCA:EQUITY:SPY --label end
      odum data import-bars orcl.csv --instrument NASDAQ:EQUITY:ORCL --label start
    """
    from odum_assets.cli.rendering import Output
    from odum_assets.raw.imports.run import ImportRequest, import_bars
    from odum_assets.raw.imports.source import open_source
    from odum_assets.settings import load_settings

    output = Output(as_json)
    request = ImportRequest(
        instrument,
        label.value,
        timezone,
        None if step is None else step.value,
        overwrite,
        max_reject_ratio,
    )
    with output.waiting(f"Importing {file}"):
        result = import_bars(open_source(file), request, load_settings().raw_root)
    output.data(document_of(request, result))
    show_import(output, request, result)


def fetch(
    symbols: Annotated[
        list[str],
        typer.Option(
            metavar="SYMBOL...",
            help="One or several, as the source names them; SPY=ARCA:EQUITY:SPY says the key.",
        ),
    ],
    start: Annotated[date, typer.Option(parser=parse_day, metavar="DAY", help="First day.")],
    end: Annotated[
        date, typer.Option(parser=parse_day, metavar="DAY", help="Last day (included).")
    ],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    source: Annotated[Service, typer.Option(help="Where from.")] = Service.YAHOO,
    step: Annotated[Step, typer.Option(help="Step of the bars.")] = Step.DAY,
    overwrite: OverwriteOption = False,
    max_reject_ratio: RejectOption = 0.01,
    as_json: JsonOption = False,
) -> None:
    """Fetch bars from a service on the web and import them.

    Yahoo keeps bars of less than a day for some days or weeks only.

    [dim]Examples:[/]
      odum data fetch --source yahoo --symbols SPY QQQ --start 2024-01-02 --end 2024-06-28
      odum data fetch --symbols SPY=ARCA:EQUITY:SPY --start 2026-01-05 --end 2026-01-09 --step 1m
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.rendering import Output
    from odum_assets.raw.imports.fetch import SERVICES, key_of
    from odum_assets.raw.imports.run import ImportRequest, import_bars
    from odum_assets.raw.imports.source import TableBars
    from odum_assets.settings import load_settings

    if end < start:
        raise UsageError(f"--end {end} is before --start {start}")
    output, raw_root = Output(as_json), load_settings().raw_root
    service = SERVICES[source.value]()
    documents = []
    for text in [*symbols, *(more or [])]:
        symbol, _, key = text.partition("=")
        with output.waiting(f"Fetching {symbol}"):
            fetched = service.fetch(symbol, start, end, step.value)
            request = ImportRequest(
                key or key_of(symbol, fetched),
                "start",
                fetched.timezone,
                step.value,
                overwrite,
                max_reject_ratio,
            )
            bars = TableBars(f"{symbol} from {source.value}", [fetched.table])
            result = import_bars(bars, request, raw_root)
        documents.append(document_of(request, result))
        show_import(output, request, result)
    output.data({"imports": documents})


def document_of(request: "ImportRequest", result: "ImportResult") -> dict[str, Any]:
    """Return what an import did, as a JSON document."""
    return {
        "instrument": request.key,
        "step": result.step,
        "label": request.label,
        "first": result.first,
        "last": result.last,
        "read": result.read,
        "bars": result.written,
        "repeated": result.repeated,
        "rejected": result.rejected,
        "examples": result.examples,
        "ignored_columns": result.ignored,
        "files": [
            {"path": str(file.path), "rows": file.rows, "state": file.state}
            for file in result.files
        ],
    }


def show_import(output: "Output", request: "ImportRequest", result: "ImportResult") -> None:
    """Print what an import did."""
    from collections import Counter

    from odum_assets.cli.rendering import display_path, escaped, plural

    states = Counter(file.state for file in result.files)
    files = ", ".join(f"{count:,} {state}" for state, count in states.items())
    folder = display_path(result.files[0].path.parents[2])
    facts = [
        ("bars", f"{result.written:,} of {result.step}, from {result.first} to {result.last}"),
        ("files", f"{plural(len(result.files), 'file')} ({files}) below {escaped(folder)}"),
    ]
    if result.repeated:
        facts.append(("repeated", f"{plural(result.repeated, 'row')}, left out"))
    if result.ignored:
        facts.append(("not used", escaped(f"columns {', '.join(result.ignored)}")))
    output.facts(request.key, facts)
    for reason, count in result.rejected.items():
        output.warn(f"{plural(count, 'row')} rejected: {reason}")
    for example in result.examples:
        output.info(example)
    if result.step != "1d":
        output.info(
            f'In a configuration: "bars": {{"step": "{result.step}", "label": "{request.label}"}}'
        )
