"""Where benchmarks put their figures.

``make bench`` writes the tables between two marks of the README when every benchmark passed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from measuring import Measurements

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- benchmark: begin -->\n", "<!-- benchmark: end -->\n"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-readme", action="store_true", help="write the measured tables into the README"
    )


@pytest.fixture(scope="session")
def measurements(request: pytest.FixtureRequest) -> Iterator[Measurements]:
    """Return where figures go."""
    found = Measurements()
    yield found
    if request.config.getoption("--write-readme") and not request.session.testsfailed:
        text = README.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        after = rest.partition(END)[2]
        README.write_text(f"{before}{BEGIN}\n{found.markdown()}\n{END}{after}", encoding="utf-8")
