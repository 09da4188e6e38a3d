"""The rooms and who may call whom, as the code has it.

raw -> catalog -> backtest -> results -> registry share config, instruments and settings;
orchestration sits on top of them and is the only room with Dagster; api and then cli on top of
orchestration.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "odum_assets"

_SHARED = {"errors", "settings", "config", "instruments"}
MAY_IMPORT = {
    "errors": set[str](),
    "settings": {"errors"},
    "instruments": {"errors"},
    "config": {"errors", "settings", "instruments"},
    "raw": _SHARED,
    "catalog": {*_SHARED, "raw"},
    "backtest": {*_SHARED, "raw", "catalog"},
    "results": {*_SHARED, "raw", "catalog", "backtest"},
    "registry": {*_SHARED, "backtest", "results"},
    "orchestration": {*_SHARED, "raw", "catalog", "backtest", "results", "registry"},
    "definitions": {"orchestration"},
    "api": {
        *_SHARED,
        "raw",
        "catalog",
        "backtest",
        "results",
        "registry",
        "orchestration",
    },
    "cli": {
        *_SHARED,
        "raw",
        "catalog",
        "backtest",
        "results",
        "registry",
        "orchestration",
        "definitions",
        "api",
    },
}
"""Rooms of the package, each with the ones that it may import besides itself."""

NAUTILUS_ROOMS = {"instruments", "catalog", "backtest"}


def _rooms() -> list[str]:
    return sorted(
        path.stem
        for path in PACKAGE.iterdir()
        if (path.is_dir() and any(path.rglob("*.py")))
        or (path.suffix == ".py" and path.stem != "__init__")
    )


def _modules(room: str) -> list[Path]:
    place = PACKAGE / room
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def _imports(path: Path) -> Iterator[str]:
    """Yield every imported module of a file, inside functions, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def _imported_by(room: str) -> dict[str, set[str]]:
    return {str(path.relative_to(PACKAGE)): set(_imports(path)) for path in _modules(room)}


def test_every_room_has_its_place_in_the_picture() -> None:
    assert set(_rooms()) <= set(MAY_IMPORT)


@pytest.mark.parametrize("room", _rooms())
def test_imports_run_one_way(room: str) -> None:
    allowed = {*MAY_IMPORT[room], room}
    wrong = {
        (file, name)
        for file, names in _imported_by(room).items()
        for name in names
        if name.startswith("odum_assets.") and name.split(".")[1] not in allowed
    }
    assert wrong == set()


@pytest.mark.parametrize("room", _rooms())
def test_dagster_is_imported_in_orchestration_and_cli_only(room: str) -> None:
    if room in ("orchestration", "cli"):
        return
    assert _importing(room, "dagster") == set()


@pytest.mark.parametrize("room", _rooms())
def test_nautilus_is_imported_where_the_market_is_simulated_only(room: str) -> None:
    if room in NAUTILUS_ROOMS:
        return
    assert _importing(room, "nautilus_trader") == set()


def test_annotations_of_assets_are_not_postponed() -> None:
    postponed = {
        file for file, names in _imported_by("orchestration").items() if "__future__" in names
    }
    assert postponed == set()


def _importing(room: str, library: str) -> set[str]:
    return {
        file
        for file, names in _imported_by(room).items()
        if any(name.split(".")[0] == library for name in names)
    }
