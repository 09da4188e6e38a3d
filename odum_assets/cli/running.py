"""Running a command line: exit codes, errors without tracebacks, and Ctrl-C."""

import gc
import io
import os
import sys
import traceback
from typing import TYPE_CHECKING

import typer

from odum_assets.cli.errors import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_STOPPED,
    EXIT_USAGE,
    UsageError,
)
from odum_assets.errors import InvalidRequestError, OdumError
from odum_assets.orchestration.quick_exit import skip_last_collection

if TYPE_CHECKING:
    from collections.abc import Sequence

_YOUNG_OBJECTS = 1_000_000
"""New objects after which garbage is looked for. The imports of a command make half as many, and
these stay: with Python's 2,000 a tenth of their time is spent on going through them."""

_USUAL_THRESHOLDS = gc.get_threshold()

STOPPED = "stopped; no partial files were left"


def run_app(app: typer.Typer, name: str, arguments: "Sequence[str] | None" = None) -> int:
    """Run a command line and return its exit code.

    Parameters
    ----------
    app : typer.Typer
        The commands.
    name : str
        What the program is called.
    arguments : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        0: done; 1: the work or a check failed; 2: the command line cannot be carried out; 130:
        stopped by Ctrl-C.
    """
    gc.set_threshold(_YOUNG_OBJECTS)
    skip_last_collection()
    _print_anything()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Wherever it stands: a person adds it to the end of the command that has just failed.
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    as_json = "--json" in given
    try:
        app(given, prog_name=name)
    except SystemExit as end:
        return _code(end, as_json=as_json)
    except KeyboardInterrupt:
        return _stopped(as_json=as_json)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OdumError as error:
        code = EXIT_USAGE if isinstance(error, (UsageError, InvalidRequestError)) else EXIT_FAILED
        _report(str(error), as_json=as_json, debug=debug)
        return code
    except Exception as error:  # noqa: BLE001 - the last resort: a bug, without its traceback
        if _is_interrupt(error):
            return _stopped(as_json=as_json)
        text = f"{type(error).__name__}: {error}"
        hint = "This is a bug in odum, not in what you asked for; --debug shows where."
        _report(text, hint=hint, as_json=as_json, debug=debug)
        return EXIT_FAILED
    return EXIT_OK


def collect_as_usual() -> None:
    """Look for garbage as often as Python does by itself; what is loaded by now is left alone."""
    gc.freeze()
    gc.set_threshold(*_USUAL_THRESHOLDS)


def _print_anything() -> None:
    """Let names that are no text (bytes of a file name) be printed escaped instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _code(end: SystemExit, *, as_json: bool) -> int:
    code = EXIT_OK if end.code is None else end.code
    if not isinstance(code, int):
        return EXIT_FAILED
    if code == EXIT_STOPPED:
        return _stopped(as_json=as_json)
    if code == EXIT_USAGE and as_json:
        from odum_assets.cli.rendering import print_json

        print_json({"error": "the command line cannot be used; see stderr"})
    return code


def _stopped(*, as_json: bool) -> int:
    from odum_assets.cli.rendering import print_error, print_json

    print_error(STOPPED, label="")
    if as_json:
        print_json({"error": STOPPED})
    return EXIT_STOPPED


def _report(text: str, *, as_json: bool, debug: bool, hint: str = "") -> None:
    from odum_assets.cli.rendering import print_error, print_json

    if debug:
        traceback.print_exc()
    print_error(text, "" if debug else hint)
    if as_json:
        print_json({"error": text})


def _is_interrupt(error: BaseException) -> bool:
    """Return whether Dagster turned Ctrl-C into an error of its own."""
    return type(error).__name__ == "DagsterExecutionInterruptedError"
