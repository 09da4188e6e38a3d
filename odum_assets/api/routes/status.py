"""Whether the service is up, and whether it sees the data."""

import os
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from odum_assets.api.service import ServiceHere
from odum_assets.raw.layout import is_url, local_path

router = APIRouter(prefix="/api", tags=["status"])

_COUNTED = 100


class Health(BaseModel):
    """Whether the service is up."""

    status: Literal["ok"]
    service: str
    version: str


class MountStatus(BaseModel):
    """Where raw data lie, and whether they can be read."""

    path: str
    mounted: bool = Field(description="Whether the folder is on a mount other than the root's.")
    mount_type: str | None = Field(description="File system; null for a URL.")
    fuse_enabled: bool
    gcs_bucket: str | None
    path_exists: bool
    path_readable: bool
    file_count: int = Field(description="Entries of the folder, counted up to 100.")


_HEALTH = Health(status="ok", service="odum-assets", version=version("odum-assets"))


@router.get("/health")
async def health() -> Health:
    """Say that the service is up. Needs no token."""
    return _HEALTH


alias = APIRouter(include_in_schema=False)
"""Where the earlier system's programs ask."""
alias.add_api_route("/health", health)


@router.get("/mount/status")
def mount_status(service: ServiceHere) -> MountStatus:
    """Say where raw data are read from, and whether that can be read."""
    root = service.settings.raw_root
    if is_url(root):
        bucket = root.partition("://")[2].partition("/")[0] if root.startswith("gs://") else None
        return MountStatus(
            path=root,
            mounted=False,
            mount_type=None,
            fuse_enabled=False,
            gcs_bucket=bucket,
            path_exists=False,
            path_readable=False,
            file_count=0,
        )
    path = local_path(root)
    source, kind, mount_point = _mount_of(path)
    fuse = kind is not None and kind.startswith("fuse")
    readable = path.is_dir() and os.access(path, os.R_OK | os.X_OK)
    return MountStatus(
        path=str(path),
        mounted=path.exists() and mount_point != "/",
        mount_type=kind,
        fuse_enabled=fuse,
        gcs_bucket=source if kind == "fuse.gcsfuse" or (fuse and source == "gcsfuse") else None,
        path_exists=path.exists(),
        path_readable=readable,
        file_count=sum(1 for _ in islice(path.iterdir(), _COUNTED)) if readable else 0,
    )


def _mount_of(path: Path) -> tuple[str | None, str | None, str]:
    """Return source, file system and place of the mount that a path lies on."""
    real = str(path.resolve())
    best: tuple[str | None, str | None, str] = (None, None, "/")
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return best
    for line in lines:
        source, mount_point, kind, *_ = line.split(" ")
        mount_point = mount_point.replace("\\040", " ")
        inside = real == mount_point or real.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= len(best[2]):
            best = (source, kind, mount_point)
    return best
