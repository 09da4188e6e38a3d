"""Tell a model's format by its content, and refuse what cannot be run safely."""

import zipfile
from enum import StrEnum
from io import BytesIO
from typing import Final

from odum_assets.errors import DataError

__all__ = ["ModelFormat", "UnsupportedModelError", "model_format"]

_CONVERT: Final = (
    "convert it to ONNX (skl2onnx, tf2onnx or torch.onnx.export) or, if it is a scikit-learn "
    "model, store it with skops.io.dump"
)
_PICKLE_EXTENSIONS: Final = ("pkl", "pickle", "joblib")
_OTHER: Final = {
    "h5": "Keras",
    "keras": "Keras",
    "pb": "TensorFlow",
    "pt": "PyTorch",
    "pth": "PyTorch",
}
_ZIP: Final = b"PK\x03\x04"
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_PICKLE_PROTOCOLS: Final = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
# Compressed files of joblib: zlib, gzip, bzip2, xz, lz4.
_COMPRESSED: Final = (
    b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b", b"BZh", b"\xfd7zXZ",
    b"\x04\x22\x4d\x18",
)  # fmt: skip


class UnsupportedModelError(DataError):
    """Report a model file whose format is not run here."""


class ModelFormat(StrEnum):
    """Formats that can be run."""

    ONNX = "onnx"
    SKOPS = "skops"
    PICKLE = "pickle"


def model_format(content: bytes, filename: str, *, allow_pickle: bool) -> ModelFormat:
    """Return the format of a model's content, which its name must agree with.

    Parameters
    ----------
    content : bytes
        The whole file.
    filename : str
        Its name; the extension tells what it is said to be.
    allow_pickle : bool
        Whether pickled models are switched on (``ODUM_ALLOW_PICKLE=1``).

    Raises
    ------
    UnsupportedModelError
        If the format is not supported or not switched on, or the extension says another one.
    """
    extension = filename.rpartition(".")[2].lower()
    if (framework := _OTHER.get(extension)) is not None:
        raise UnsupportedModelError(
            f"{filename}: {framework} models are not supported; {_CONVERT}."
        )
    actual = _by_content(content)
    expected = ModelFormat.PICKLE if extension in _PICKLE_EXTENSIONS else extension
    if actual is None or actual != expected:
        raise UnsupportedModelError(
            f"{filename}: the content is {actual or 'of no known format'}, the name says "
            f"{expected or 'nothing'}; .onnx and .skops files are supported."
        )
    if actual is ModelFormat.PICKLE and not allow_pickle:
        raise UnsupportedModelError(
            f"{filename}: a pickled model can run any program when it is loaded. {_CONVERT}, or "
            "set ODUM_ALLOW_PICKLE=1 to run pickled models in the sandbox."
        )
    return actual


def _by_content(content: bytes) -> ModelFormat | None:
    if content.startswith(_ZIP):
        return ModelFormat.SKOPS if _is_skops(content) else None
    if content.startswith(_HDF5):
        return None
    if content.startswith((*_PICKLE_PROTOCOLS, *_COMPRESSED)):
        return ModelFormat.PICKLE
    # ONNX has no magic number: a ModelProto begins with its field 1, ir_version, below 128.
    if len(content) > 2 and content[0] == 0x08 and 3 <= content[1] < 0x80:
        return ModelFormat.ONNX
    return None


def _is_skops(content: bytes) -> bool:
    try:
        with zipfile.ZipFile(BytesIO(content)) as file:
            return "schema.json" in file.namelist()
    except zipfile.BadZipFile:
        return False
