"""How much the page loads: bytes as they are sent, packed, of the committed build."""

import gzip
import re
from pathlib import Path

import odum_assets.api

BUILD = Path(odum_assets.api.__file__).parent / "page"
FIRST, LATER, ALL = 240_000, 80_000, 2_500_000
SWEEPS = 220_000
"""The charts of sweeps may be larger than any other part."""


def packed(path: Path) -> int:
    return len(gzip.compress(path.read_bytes()))


def test_no_part_of_the_page_loads_more_than_its_budget() -> None:
    files = [path for path in BUILD.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= ALL
    shell = (BUILD / "index.html").read_text()
    first = {BUILD / name for name in re.findall(r'(?:src|href)="/([^"]+\.(?:js|css))"', shell)}
    assert sum(packed(path) for path in first) + packed(BUILD / "index.html") <= FIRST
    sizes = {path.name: packed(path) for path in files if path.suffix == ".js"}
    allowed = {name: SWEEPS if name.startswith(("Sweep", "echarts")) else LATER for name in sizes}
    index = {path.name for path in first}
    assert {name: size for name, size in sizes.items() if size > allowed[name]}.keys() <= index
