"""Result files by the dozen: a real one, with other names and figures."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def stored(source: Path, results: Path, count: int, **figures: list[Any]) -> list[dict[str, Any]]:
    """Write copies of a result file and return their documents.

    Parameters
    ----------
    source : Path
        A real summary file.
    results : Path
        Where to.
    count : int
        How many; each ended a second after the one before.
    figures : list
        Values of the summary by path (``returns__total_return_pct``), taken in turn.
    """
    original = json.loads(source.read_text())
    made = []
    for index in range(count):
        document = deepcopy(original)
        run_id = f"BNF_BTC_20240305_00000000_99a518_{index:06x}"
        created = (FIRST + timedelta(seconds=index)).isoformat().replace("+00:00", "Z")
        document |= {"run_id": run_id, "execution_time": created, "mode": "fast"}
        document["metadata"] |= {"run_id": run_id, "created": created, "mode": "fast"}
        for path, values in figures.items():
            place = document["summary"] if not path.startswith("metadata__") else document
            *outer, last = path.split("__")
            for name in outer:
                place = place[name]
            place[last] = values[index % len(values)]
        write(results, document)
        made.append(document)
    return made


def write(results: Path, document: dict[str, Any]) -> Path:
    """Write one document as a stored result."""
    path = results / "fast" / f"{document['run_id']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path
