"""Writes that are on the disk when they return."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until the file's bytes, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_synced(path: Path, text: str) -> Path:
    """Write a text file and wait until it is on the disk; return its path."""
    path.write_text(text, encoding="utf-8")
    sync(path)
    return path
