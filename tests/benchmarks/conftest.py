"""Where benchmarks put their figures.

``make bench`` writes the tables between two marks of ``docs/benchmarks.md`` when every benchmark
passed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from measuring import Measurements

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- benchmark: begin -->\n", "<!-- benchmark: end -->\n"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-tables",
        action="store_true",
        help="write the measured tables into docs/benchmarks.md",
    )


@pytest.fixture(scope="session")
def measurements(request: pytest.FixtureRequest) -> Iterator[Measurements]:
    """Return where figures go."""
    found = Measurements()
    yield found
    if request.config.getoption("--write-tables") and not request.session.testsfailed:
        text = PAGE.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{found.markdown()}\n{END}{after}", encoding="utf-8")
