"""Which code a strategy is: its module and those of the project that it imports, fixed once read.

What belongs here: reading and hashing sources before a replay, and running exactly what was read.
What does not: the strategy class and its parameters (``loading``, ``params``).

A module of the project is compiled from the bytes whose hash the result carries, whatever becomes
of its file afterwards; compiled files in ``__pycache__`` are not used, since they only promise the
same second of change and size. Modules of Python itself and of installed packages are loaded as
ever: ``versions`` in the provenance names those that count. Of this package's own modules those
that decide what a strategy on bars does are hashed, too.
"""

import ast
import hashlib
import importlib.util
import json
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from odum_assets.config.sections.strategy import StrategyConfig

_PACKAGE = __name__.partition(".")[0]
_DECIDING = (f"{_PACKAGE}.bars", f"{_PACKAGE}.models", f"{__package__}.signal_handler")
"""Modules of this package that strategies on bars are made of."""
_LIBRARIES = {"site-packages", "dist-packages"}


@dataclass(frozen=True, slots=True)
class _Source:
    """A module as it was read: its file and the file's bytes."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def is_changed(self) -> bool:
        """Return whether its file holds something else by now."""
        try:
            return self.path.read_bytes() != self.content
        except OSError:
            return True


class StrategySources(MetaPathFinder):
    """The modules of the project that strategies are made of.

    Once `install` was called, imports of this process take modules of the project from here, as
    they were when they were first read; processes forked from it, too.

    Parameters
    ----------
    strategies : sequence of str
        Import paths ``package.module:Class``. Their modules are read, and what those import from
        the project, inside functions too, and so on.
    """

    def __init__(self, strategies: Sequence[str]) -> None:
        self._sources: dict[str, _Source] = {}
        self._imported: set[str] = set()
        # A package counts as a whole where it holds a strategy, even if it is installed.
        names = {path.partition(":")[0] for path in strategies}
        self._packages = {name.partition(".")[0] for name in names} - {_PACKAGE}
        self._reached = {name: self._reach(name) for name in sorted(names)}

    def install(self) -> None:
        """Have imports of this process come here first."""
        sys.meta_path.insert(0, self)

    def modules(self, strategy: str) -> dict[str, str]:
        """Return the SHA-256 of the modules of a strategy by module name.

        Empty files, such as many an ``__init__.py``, are left out: they are no code.

        Parameters
        ----------
        strategy : str
            One of the import paths given.
        """
        names = self._reached[strategy.partition(":")[0]] | self._imported
        return {
            name: self._sources[name].sha256
            for name in sorted(names)
            if self._sources[name].content.strip()
        }

    def changed(self, strategy: str) -> list[str]:
        """Return the modules of a strategy whose files hold something else by now."""
        return [name for name in self.modules(strategy) if self._sources[name].is_changed]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a module is loaded: one of the project from what was read of it."""
        spec = self._find(fullname, path, target)
        if spec is not None and self._is_ours(spec):
            source = self._read(spec)
            self._imported.add(fullname)
            # Another kind of loader (compiled code, one that changes the source) does its own.
            if type(spec.loader) is SourceFileLoader:
                spec.loader = _Loader(fullname, spec.loader.path, source.content)
        return spec

    def _find(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is not self:
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    def _is_ours(self, spec: ModuleSpec) -> bool:
        if not spec.has_location or spec.origin is None:
            return False
        top = spec.name.partition(".")[0]
        if top in self._packages:
            return True
        path = Path(spec.origin)
        return (
            top != _PACKAGE
            and not _LIBRARIES & {*path.parts}
            and not any(path.is_relative_to(folder) for folder in _standard_library())
        )

    def _read(self, spec: ModuleSpec) -> _Source:
        """Return a module's source; it is read once."""
        if spec.name not in self._sources:
            path = Path(str(spec.origin))
            self._sources[spec.name] = _Source(path, path.read_bytes())
        return self._sources[spec.name]

    def _reach(self, name: str) -> set[str]:
        """Read a module and what it imports from the project; return the names."""
        reached: set[str] = set()
        specs: dict[str, ModuleSpec | None] = {}
        waiting = [*_with_packages(name)]
        while waiting:
            module_name = waiting.pop()
            if module_name in specs:
                continue
            specs[module_name] = spec = self._locate(module_name, specs)
            if spec is None or not (
                module_name == name or self._is_ours(spec) or _is_deciding(spec)
            ):
                continue
            try:
                source = self._read(spec)
            except OSError:
                # Importing it will say so, if it is imported.
                continue
            reached.add(module_name)
            if self._is_ours(spec) or _is_deciding(spec) or module_name == name:
                is_package = spec.submodule_search_locations is not None
                package = module_name if is_package else module_name.rpartition(".")[0]
                waiting += _imports(source.content, package)
        return reached

    def _locate(self, name: str, specs: Mapping[str, ModuleSpec | None]) -> ModuleSpec | None:
        """Find a module without running anything; packages around it come before it."""
        package = name.rpartition(".")[0]
        if not package:
            return self._guarded_find(name, None)
        outer = specs[package] if package in specs else self._locate(package, specs)
        places = None if outer is None else outer.submodule_search_locations
        return None if places is None else self._guarded_find(name, list(places))

    def _guarded_find(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        try:
            return self._find(name, path)
        except KeyError:
            # A namespace inside one that is not imported: Python would ask that one where it lies.
            return _namespace(name, path or ())
        except (ImportError, ValueError, OSError):
            return None


class _Loader(SourceFileLoader):
    """Load a module from bytes that were read before."""

    def __init__(self, fullname: str, path: str, content: bytes) -> None:
        super().__init__(fullname, path)
        self._content = content

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the name of the base class
        """Return the code of the bytes; compiled files are neither read nor written."""
        code: Any = self.source_to_code(self._content, self.path)
        compiled: CodeType = code
        return compiled


def strategy_path(strategy: StrategyConfig) -> str:
    """Return the import path of a strategy on ticks: one's own, or that of a built-in one."""
    if strategy.path is not None:
        return strategy.path
    is_file = strategy.orders_file is not None
    name = "order_replay:OrderReplay" if is_file else "trade_replay:TradeReplay"
    return f"{__package__}.{name}"


def fingerprint(modules: Mapping[str, str]) -> str | None:
    """Return one SHA-256 for modules: that of the only one, else of all names and hashes."""
    if len(modules) <= 1:
        return next(iter(modules.values()), None)
    text = json.dumps(modules, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _is_deciding(spec: ModuleSpec) -> bool:
    """Return whether a module of this package decides what a strategy on bars does."""
    return spec.has_location and any(name in _DECIDING for name in _with_packages(spec.name))


def _standard_library() -> set[str]:
    paths = sysconfig.get_paths()
    return {paths["stdlib"], paths["platstdlib"]}


def _namespace(name: str, path: Sequence[str]) -> ModuleSpec:
    """Return the spec of the folders that have the name of a package and no code of their own."""
    spec = ModuleSpec(name, None, is_package=True)
    folders = (Path(folder) / name.rpartition(".")[2] for folder in path)
    spec.submodule_search_locations = [str(folder) for folder in folders if folder.is_dir()]
    return spec


def _with_packages(name: str) -> Iterator[str]:
    """Yield a dotted name and the packages around it, the innermost first."""
    while name:
        yield name
        name = name.rpartition(".")[0]


# The processes of a backfill are forked off one that has parsed the sources already.
@cache
def _imports(source: bytes, package: str) -> tuple[str, ...]:
    """Return every name that a source of a package imports, and the packages around it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        # No Python source, or a broken one: importing it says so.
        return ()
    imported: list[str] = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)] if base else []
        for name in names:
            imported += _with_packages(name)
    return tuple(imported)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """Return the absolute name of what ``from ... import`` names, empty if it leads nowhere."""
    relative = "." * node.level + (node.module or "")
    try:
        return importlib.util.resolve_name(relative, package)
    except ImportError:
        return ""
