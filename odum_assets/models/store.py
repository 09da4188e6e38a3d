"""Keep model files by user and content: upload, list, find, delete.

``<root>/<user>/<sha256>/`` holds ``model.<extension>`` and ``record.json``. A folder is built
beside and renamed into its place, so that it is whole or not there.
"""

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from odum_assets.errors import ConfigError, DataError
from odum_assets.models.formats import ModelFormat, model_format
from odum_assets.storage.files import sync, write_synced
from odum_assets.storage.locks import hold_lock

__all__ = ["MAX_MODEL_BYTES", "MAX_USER_BYTES", "ModelStore", "ModelTooLargeError", "StoredModel"]

MAX_MODEL_BYTES: Final = 50 * 1024**2
MAX_USER_BYTES: Final = 500 * 1024**2

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RECORD: Final = "record.json"
_LOCK: Final = ".lock"
_STAGING: Final = ".staging-"


class ModelTooLargeError(DataError):
    """Report a model that is larger than allowed, or for which a user has no room left."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model as it is stored.

    Parameters
    ----------
    user : str
        Whose it is.
    sha256 : str
        Hash of the content.
    name : str
        The name it was given.
    original_filename : str
        The file's name when it was uploaded.
    format : ModelFormat
        What it is.
    size : int
        Bytes.
    uploaded_at : str
        UTC time, ISO 8601.
    """

    user: str
    sha256: str
    name: str
    original_filename: str
    format: ModelFormat
    size: int
    uploaded_at: str

    @property
    def extension(self) -> str:
        """Return the extension of its file, without the dot."""
        return self.original_filename.rpartition(".")[2].lower()

    @property
    def filename(self) -> str:
        """Return the name by which it is asked for: unique for a user and a content."""
        return f"{self.name}_{self.sha256[:12]}.{self.extension}"


class ModelStore:
    """Models in a folder.

    Parameters
    ----------
    root : Path
        The folder; it is created with the first model.
    allow_pickle : bool
        Whether pickled models are taken.
    """

    def __init__(self, root: Path, *, allow_pickle: bool) -> None:
        self._root = root
        self._allow_pickle = allow_pickle

    def add(self, user: str, filename: str, content: bytes, name: str | None = None) -> StoredModel:
        """Store a model; the same content of the same user is stored once.

        Raises
        ------
        ConfigError
            If the user or the name is not letters, digits, ``_`` and ``-``, at most 64.
        ModelTooLargeError
            If it is too large, or the user's models would be.
        UnsupportedModelError
            If its format cannot be run.
        """
        _check_name("user", user)
        filename = Path(filename.replace("\\", "/")).name
        stem, _, extension = filename.rpartition(".")
        name = name or re.sub(r"[^A-Za-z0-9_-]+", "_", stem)[:64]
        _check_name("model name", name)
        if len(content) > MAX_MODEL_BYTES:
            raise ModelTooLargeError(
                f"{filename}: {len(content):,} bytes; a model may have {MAX_MODEL_BYTES:,}"
            )
        kind = model_format(content, filename, allow_pickle=self._allow_pickle)
        sha256 = hashlib.sha256(content).hexdigest()
        with hold_lock(self._root / user / _LOCK):
            for stored in self.models_of(user):
                if stored.sha256 == sha256:
                    return stored
            self._check_quota(user, len(content))
            now = datetime.now(UTC).isoformat(timespec="seconds")
            model = StoredModel(user, sha256, name, filename, kind, len(content), now)
            self._publish(model, content, extension.lower())
        return model

    def models_of(self, user: str) -> list[StoredModel]:
        """Return a user's models, the newest first.

        Raises
        ------
        ConfigError
            If the user is not a valid name.
        """
        _check_name("user", user)
        models = list(self._records(self._root / user))
        return sorted(models, key=lambda model: (model.uploaded_at, model.sha256), reverse=True)

    def find(self, user: str, name: str) -> StoredModel:
        """Return a model by its file name, its name or (the first digits of) its hash.

        Raises
        ------
        DataError
            If there is none, or more than one.
        """
        models = self.models_of(user)
        chosen = [model for model in models if name == model.filename] or [
            model
            for model in models
            if name == model.name or (len(name) >= 6 and model.sha256.startswith(name))
        ]
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            raise DataError(
                f"{name!r} may be {' or '.join(model.filename for model in chosen)}; give one"
            )
        known = ", ".join(model.filename for model in models) or "no models"
        raise DataError(f"user {user} has no model {name!r}; there is {known}")

    def path(self, model: StoredModel) -> Path:
        """Return the path of a model's file."""
        return self._folder(model) / f"model.{model.extension}"

    def read(self, model: StoredModel) -> bytes:
        """Return a model's content.

        Raises
        ------
        DataError
            If it is not there, or not what was uploaded.
        """
        path = self.path(model)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: the model cannot be read ({error.strerror})") from error
        if hashlib.sha256(content).hexdigest() != model.sha256:
            raise DataError(f"{path}: the file is not what was uploaded; delete the model")
        return content

    def delete(self, model: StoredModel) -> None:
        """Remove a model; a name that is gone is gone as a whole."""
        with hold_lock(self._root / model.user / _LOCK):
            gone = self._root / model.user / f"{_STAGING}{uuid.uuid4().hex}"
            self._folder(model).rename(gone)
            shutil.rmtree(gone)

    def _folder(self, model: StoredModel) -> Path:
        return self._root / model.user / model.sha256

    def _records(self, folder: Path) -> Iterator[StoredModel]:
        for path in folder.glob(f"*/{_RECORD}"):
            if path.parent.name.startswith("."):
                continue
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                record["format"] = ModelFormat(record["format"])
                yield StoredModel(**record)
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise DataError(f"{path}: the record of a model is damaged ({error})") from error

    def _check_quota(self, user: str, size: int) -> None:
        used = sum(model.size for model in self.models_of(user))
        if used + size > MAX_USER_BYTES:
            raise ModelTooLargeError(
                f"user {user} has models of {used:,} bytes; with this one it would be more than "
                f"{MAX_USER_BYTES:,}. Delete some first."
            )

    def _publish(self, model: StoredModel, content: bytes, extension: str) -> None:
        folder = self._root / model.user
        for left in folder.glob(f"{_STAGING}*"):
            shutil.rmtree(left)
        staged = folder / f"{_STAGING}{uuid.uuid4().hex}"
        staged.mkdir()
        file = staged / f"model.{extension}"
        file.write_bytes(content)
        sync(file)
        write_synced(staged / _RECORD, json.dumps(asdict(model), indent=2))
        staged.rename(self._folder(model))
        sync(folder)


def _check_name(what: str, value: str) -> None:
    if not _NAME.fullmatch(value):
        raise ConfigError(
            f"{what} {value!r} is not valid: 1 to 64 letters, digits, hyphens and underscores"
        )
