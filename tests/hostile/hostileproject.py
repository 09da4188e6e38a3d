"""A project folder of its own, with the configurations of one instrument and a sample day."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from configfiles import BTC, BTC_KEY, shipped, write_config

from odum_assets.cli.main import main
from odum_assets.raw.sample import SampleSpec, write_sample

REPOSITORY = Path(__file__).parents[2]
DAY = date(2024, 1, 1)


class Project:
    """A folder to run commands in."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def odum(self, *arguments: str) -> tuple[int, str]:
        """Run a command; return exit code and all that it printed, which is never a traceback."""
        code = main(list(arguments))
        printed = self._capsys.readouterr()
        text = f"{printed.out}{printed.err}"
        assert code in (0, 1, 2), text
        assert "Traceback" not in text
        assert "bug in odum" not in text, text
        return code, text

    def raw(self, kind: str = "trades", day: date = DAY) -> Path:
        """Return where a raw file belongs."""
        folder = self.root / f"data/raw_tick_data/by_date/day-{day}/data_type-{kind}"
        return folder / f"{BTC_KEY}.parquet"

    def config(self, name: str = BTC, **sections: Any) -> Path:
        """Write the configuration with keys of its sections changed, under a name."""
        return write_config(self.root / "configs", name, shipped(), **sections)

    def sample(self) -> None:
        """Write a sample day of trades and books."""
        spec = SampleSpec(
            keys=(BTC_KEY,),
            start=DAY,
            days=1,
            trades_per_day=200,
            books_per_day=200,
            hours=(10, 11),
        )
        write_sample(self.root / "data", spec)

    def files(self, folder: str) -> list[str]:
        """Return the files below a folder, locks and Dagster's own left out."""
        place = self.root / folder
        return sorted(
            str(path.relative_to(place))
            for path in place.rglob("*")
            if path.is_file() and ".locks" not in path.parts
        )
