"""The packages and who may import whom, as the code has it.

raw -> bars -> catalog -> vectorized -> backtest -> results -> registry share config, instruments,
storage and settings; orchestration sits on top of them and is the only package with Dagster; api
and then cli on top of orchestration.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "odum_assets"

_SHARED = {"errors", "settings", "config", "instruments", "storage", "utc"}
MAY_IMPORT = {
    "errors": set[str](),
    "utc": set[str](),
    "settings": {"errors", "storage"},
    "instruments": {"errors"},
    "config": {"errors", "settings", "instruments"},
    "storage": {"errors"},
    "raw": _SHARED,
    "bars": _SHARED,
    "catalog": {*_SHARED, "raw", "bars"},
    "vectorized": {*_SHARED, "raw", "bars", "catalog"},
    "backtest": {*_SHARED, "raw", "bars", "catalog", "vectorized", "models"},
    "models": {*_SHARED, "bars"},
    "results": {*_SHARED, "raw", "bars", "catalog", "vectorized", "backtest"},
    "registry": {*_SHARED, "backtest", "results"},
    "orchestration": {
        *_SHARED,
        "raw",
        "bars",
        "models",
        "catalog",
        "vectorized",
        "backtest",
        "results",
        "registry",
    },
    "definitions": {"orchestration"},
    "api": {
        *_SHARED,
        "raw",
        "bars",
        "models",
        "catalog",
        "vectorized",
        "backtest",
        "results",
        "registry",
        "orchestration",
    },
    "cli": {
        *_SHARED,
        "raw",
        "bars",
        "models",
        "catalog",
        "vectorized",
        "backtest",
        "results",
        "registry",
        "orchestration",
        "definitions",
        "api",
    },
}
"""Packages and top-level modules, with the ones that they may import besides themselves."""

NAUTILUS_PACKAGES = {"instruments", "catalog", "backtest"}


def _packages() -> list[str]:
    return sorted(
        path.stem
        for path in PACKAGE.iterdir()
        if (path.is_dir() and any(path.rglob("*.py")))
        or (path.suffix == ".py" and path.stem != "__init__")
    )


def _modules(package: str) -> list[Path]:
    place = PACKAGE / package
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def _imports(path: Path) -> Iterator[str]:
    """Yield every imported module of a file, inside functions, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def _imported_by(package: str) -> dict[str, set[str]]:
    return {str(path.relative_to(PACKAGE)): set(_imports(path)) for path in _modules(package)}


def test_every_package_has_its_place_in_the_picture() -> None:
    assert set(_packages()) <= set(MAY_IMPORT)


@pytest.mark.parametrize("package", _packages())
def test_imports_run_one_way(package: str) -> None:
    allowed = {*MAY_IMPORT[package], package}
    wrong = {
        (file, name)
        for file, names in _imported_by(package).items()
        for name in names
        if name.startswith("odum_assets.") and name.split(".")[1] not in allowed
    }
    assert wrong == set()


@pytest.mark.parametrize("package", _packages())
def test_dagster_is_imported_in_orchestration_and_cli_only(package: str) -> None:
    if package in ("orchestration", "cli"):
        return
    assert _importing(package, "dagster") == set()


@pytest.mark.parametrize("package", _packages())
def test_nautilus_is_imported_where_the_market_is_simulated_only(package: str) -> None:
    if package in NAUTILUS_PACKAGES:
        return
    assert _importing(package, "nautilus_trader") == set()


def test_annotations_of_assets_are_not_postponed() -> None:
    postponed = {
        file for file, names in _imported_by("orchestration").items() if "__future__" in names
    }
    assert postponed == set()


def _importing(package: str, library: str) -> set[str]:
    return {
        file
        for file, names in _imported_by(package).items()
        if any(name.split(".")[0] == library for name in names)
    }
