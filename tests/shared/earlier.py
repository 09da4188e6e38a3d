"""Results that were stored before figures had a version, as that program wrote them.

``WINDOW`` is a cash account that keeps what it bought, over 2024-03-05 and 07 (the 6th is missing),
in report mode; ``CASH`` is its first day in fast mode; ``LOSING`` is a day in report mode that an
account ends below zero. Equity is marked every hour.
"""

import shutil
from pathlib import Path

RESULTS = Path(__file__).parent / "version_1" / "results"
WINDOW = "BN_BTC_20240305_00000000_6097b8_4c6c80"
CASH = "BN_BTC_20240305_00000000_6097b8_44778e"
LOSING = "BNF_BTC_20240305_00000000_c51985_30631b"


def lay_out_version_1(results: Path) -> None:
    """Copy the results into a results folder."""
    shutil.copytree(RESULTS, results, dirs_exist_ok=True)
