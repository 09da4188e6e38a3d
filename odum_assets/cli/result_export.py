"""``odum results export``: a result, or several side by side, as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from odum_assets.cli.options import JsonOption


def export(
    run_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_ID [RUN_ID...]",
            help="Up to 20 results: ids, their first or last characters, or 'last'. The first one "
            "is the baseline.",
            show_default=False,
        ),
    ],
    html: Annotated[
        Path, typer.Option("--html", metavar="FILE", help="File to write; it is replaced.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Write a result, or several side by side, as one HTML file that needs nothing else.

    It opens without a network, runs no script and asks for nothing: charts, figures, warnings,
    assumptions, what differs, digests.

    [dim]Examples:[/]
      odum results export last --html run.html
      odum results export 4fe81e 0c1d2e --html comparison.html
    """
    from odum_assets.cli.errors import UsageError, WorkError
    from odum_assets.cli.rendering import Output, display_path, escaped, size
    from odum_assets.cli.selection import choose_run, open_store
    from odum_assets.results.tearsheet.export import MOST_RUNS, export_html

    output, store = Output(as_json), open_store()
    names = list(dict.fromkeys(choose_run(store, run_id) for run_id in run_ids))
    if len(names) > MOST_RUNS:
        raise UsageError(f"found {len(names)} results, allowed up to {MOST_RUNS}")
    page = export_html([store.entry(name) for name in names])
    try:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise WorkError(f"{html}: cannot be written: {error.strerror}") from None
    written = html.stat().st_size
    output.data({"path": str(html), "size_bytes": written, "run_ids": names})
    output.show(f"{escaped(display_path(html))}, {size(written)}")
