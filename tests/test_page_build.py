"""The built page: of the sources in ``web/``, within its budgets, and of this host alone."""

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_SOURCES = _ROOT / "web"
_PAGE = _ROOT / "odum_assets" / "api" / "page"
_OTHERS = {"node_modules", ".vite", "openapi.json"}
"""Not what the page is built from: packages, and the document that its types are made of."""
_FIRST_LOAD = 160_000
_RUN = 80_000
_ALL = 2_500_000


def _sources_sha256() -> str:
    names = sorted(
        str(path.relative_to(_SOURCES).as_posix())
        for path in _SOURCES.rglob("*")
        if path.is_file() and not _OTHERS & set(path.relative_to(_SOURCES).parts)
    )
    total = hashlib.sha256()
    for name in names:
        content = hashlib.sha256((_SOURCES / name).read_bytes()).hexdigest()
        total.update(f"{name} {content}\n".encode())
    return total.hexdigest()


def test_the_build_is_of_these_sources() -> None:
    built = json.loads((_PAGE / "build.json").read_text())["sources_sha256"]
    assert built == _sources_sha256(), "web/ has changed since the build: run `make page`"


def test_no_host_is_in_the_lock_file() -> None:
    assert '"resolved"' not in (_SOURCES / "package-lock.json").read_text()


def test_nothing_is_inline_and_nothing_is_loaded_from_elsewhere() -> None:
    html = (_PAGE / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html)
    assert re.findall(r'(?:src|href)="([^"]+)"', html)
    assert all(address.startswith("/") for address in re.findall(r'(?:src|href)="([^"]+)"', html))
    styles = "".join(path.read_text() for path in _PAGE.rglob("*.css"))
    assert not re.search(r"url\(|@import", styles)


def _gzipped(*paths: Path) -> int:
    return sum(len(gzip.compress(path.read_bytes(), mtime=0)) for path in paths)


def test_sizes_stay_within_their_budgets() -> None:
    first = re.findall(r'(?:src|href)="/([^"]+)"', (_PAGE / "index.html").read_text())
    assert _gzipped(*(_PAGE / name for name in first), _PAGE / "index.html") <= _FIRST_LOAD
    needed = {
        *(_PAGE / "assets").glob("RunScreen-*.js"),
        *(_PAGE / "assets").glob("ChartTab-*.js"),
    }
    for path in tuple(needed):
        imported = re.findall(r'from"\./([^"]+)"', path.read_text())
        needed |= {path.parent / name for name in imported if f"assets/{name}" not in first}
    assert len(needed) > 2, "the charts are a file of their own"
    assert _gzipped(*needed) <= _RUN
    assert sum(path.stat().st_size for path in _PAGE.rglob("*") if path.is_file()) <= _ALL


@pytest.mark.parametrize("pattern", ["eval(", "new Function("])
def test_no_text_becomes_code(pattern: str) -> None:
    found = [path.name for path in _PAGE.rglob("*.js") if pattern in path.read_text()]
    assert not found
