"""Trained models of users: upload, list, find, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import BaseModel, Field

from odum_assets.api.problems import ProblemError
from odum_assets.api.service import ServiceHere
from odum_assets.errors import ConfigError, DataError
from odum_assets.models.formats import UnsupportedModelError
from odum_assets.models.store import ModelStore, ModelTooLargeError, StoredModel
from odum_assets.settings import Settings

router = APIRouter(prefix="/api/models", tags=["models"])

_UserId = Annotated[str, Field(description="Letters, digits, hyphens, underscores; up to 64.")]


class TrainedModel(BaseModel):
    """A stored model."""

    filename: str = Field(description="The name by which it is asked for.")
    original_filename: str
    file_path: str = Field(description="Path of its file on the machine of the service.")
    relative_path: str = Field(description="The same, from the folder of models.")
    file_size: int = Field(description="Bytes.")
    user_id: str
    model_name: str
    file_extension: str = Field(examples=[".onnx"])
    format: str = Field(examples=["onnx"])
    sha256: str
    uploaded_at: str


class Uploaded(BaseModel):
    """A model that was stored."""

    success: bool = True
    message: str = "Model uploaded successfully"
    data: TrainedModel


class UserModels(BaseModel):
    """The models of a user, the newest first."""

    success: bool = True
    user_id: str
    total: int
    data: list[TrainedModel]


class Deleted(BaseModel):
    """A model that was deleted."""

    success: bool = True
    message: str = "Model deleted successfully"


class ModelPath(BaseModel):
    """Where a model is."""

    success: bool = True
    data: dict[str, Any]


def model_store(settings: Settings) -> ModelStore:
    """Return the models of the service."""
    return ModelStore(settings.models_path, allow_pickle=settings.allow_pickle)


def add_model(
    store: ModelStore, user_id: str, filename: str, content: bytes, name: str | None
) -> StoredModel:
    """Store a model.

    Raises
    ------
    ProblemError
        413 too large, 415 not a format that can be run, 422 a name that is not valid.
    """
    try:
        return store.add(user_id, filename, content, name or None)
    except ModelTooLargeError as error:
        raise ProblemError(413, "model-too-large", str(error)) from error
    except UnsupportedModelError as error:
        raise ProblemError(415, "unsupported-model", str(error)) from error
    except ConfigError as error:
        raise ProblemError(422, "invalid-request", str(error)) from error


@router.post("/upload", status_code=201)
def upload_model(
    service: ServiceHere,
    file: Annotated[UploadFile, File(description="An .onnx or .skops file.")],
    user_id: Annotated[str, Form()],
    model_name: Annotated[str | None, Form()] = None,
) -> Uploaded:
    """Store a model of a user; the same content is stored once.

    Pickled models (.pkl, .joblib) are taken only where ODUM_ALLOW_PICKLE=1 is set.
    """
    store = model_store(service.settings)
    content = file.file.read()
    model = add_model(store, user_id, file.filename or "", content, model_name)
    return Uploaded(data=_described(store, model, service.settings))


@router.get("/user/{user_id}")
def list_models(service: ServiceHere, user_id: _UserId) -> UserModels:
    """List the models of a user."""
    store = model_store(service.settings)
    try:
        models = store.models_of(user_id)
    except ConfigError as error:
        raise ProblemError(422, "invalid-request", str(error)) from error
    data = [_described(store, model, service.settings) for model in models]
    return UserModels(user_id=user_id, total=len(data), data=data)


@router.delete("/user/{user_id}/model/{filename}")
def delete_model(service: ServiceHere, user_id: _UserId, filename: str) -> Deleted:
    """Delete a model of a user."""
    store = model_store(service.settings)
    store.delete(find_model(store, user_id, filename))
    return Deleted()


@router.get("/user/{user_id}/model/{filename}/path")
def get_model_path(service: ServiceHere, user_id: _UserId, filename: str) -> ModelPath:
    """Return the path of a model."""
    store = model_store(service.settings)
    model = _described(store, find_model(store, user_id, filename), service.settings)
    return ModelPath(data={"filename": model.filename, "file_path": model.file_path})


def find_model(store: ModelStore, user_id: str, filename: str) -> StoredModel:
    """Return a model of a user.

    Raises
    ------
    ProblemError
        404 if there is none of this name, 422 if the user's name is not valid.
    """
    try:
        return store.find(user_id, filename)
    except ConfigError as error:
        raise ProblemError(422, "invalid-request", str(error)) from error
    except DataError as error:
        raise ProblemError(404, "unknown-model", str(error)) from error


def _described(store: ModelStore, model: StoredModel, settings: Settings) -> TrainedModel:
    path = store.path(model)
    return TrainedModel(
        filename=model.filename,
        original_filename=model.original_filename,
        file_path=str(path),
        relative_path=str(path.relative_to(settings.models_path)),
        file_size=model.size,
        user_id=model.user,
        model_name=model.name,
        file_extension=f".{model.extension}",
        format=model.format,
        sha256=model.sha256,
        uploaded_at=model.uploaded_at,
    )
