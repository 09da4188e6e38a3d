"""Writes that are on the disk when they return."""

import os
import uuid
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


def replace_text(path: Path, text: str) -> None:
    """Replace a text file whole or not at all; nothing reads the hidden name that it has before."""
    unfinished = path.with_name(f".{path.stem}.{uuid.uuid4().hex}")
    try:
        write_synced(unfinished, text).replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
