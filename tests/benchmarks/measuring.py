"""Collecting what benchmarks measure: printed as it comes, and as Markdown tables."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


class Measurements:
    """Tables of measured figures, by title."""

    def __init__(self) -> None:
        self._tables: dict[str, list[list[str]]] = {}

    def add(self, title: str, **row: object) -> None:
        """Add a row of a table and print it; names of columns are the keyword's words."""
        table = self._tables.setdefault(title, [[name.replace("_", " ") for name in row]])
        table.append(["" if each is None else str(each) for each in row.values()])
        shown = ", ".join(
            f"{name} {value}" for name, value in zip(*table[:: len(table) - 1], strict=True)
        )
        print(f"\n{title}: {shown}")

    def markdown(self) -> str:
        """Return every table under its title, and the machine."""
        parts = []
        for title, (head, *rows) in self._tables.items():
            lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
            table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
            parts.append(f"**{title}**\n\n{table}\n")
        return "\n".join([*parts, f"Measured in one run on {machine()}.\n"])


def machine() -> str:
    """Name the machine and the versions."""
    cpu = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {cpu}, {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, nautilus_trader {version('nautilus_trader')}, "
        f"dagster {version('dagster')}, pyarrow {version('pyarrow')}"
    )
