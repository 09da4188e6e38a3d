"""Files of the local disk: writes that are on it when they return, hashes, links."""

import errno
import hashlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Final

_BLOCK: Final = 1 << 20

DISK_TROUBLE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
)
"""What the system says of a disk that is full or not to be written to."""

FREE_SPACE: Final = (
    "nothing was stored. Check permissions and free space, or set DATA_CATALOG_PATH and "
    "ODUM_RESULTS_PATH to other folders"
)
"""What to do when something cannot be written."""

_NO_LINKS: Final = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP)


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


def hash_file(path: Path) -> str:
    """Return the sha256 of a local file's bytes as hex."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        block = bytearray(_BLOCK)
        view = memoryview(block)
        while count := stream.readinto(block):
            digest.update(view[:count])
    return digest.hexdigest()


def link_or_copy(source: Path, target: Path) -> bool:
    """Link a file, or copy it where the disk has no such link; return False if it is not there."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            shutil.copyfile(source, target)
        except FileNotFoundError:
            return False
    return True
