"""Trade what a trained model predicts at the close of each bar.

The model runs before the run and in a process of its own (`odum_assets.models.prediction`); this
strategy reads its predictions and never the model.
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from odum_assets.backtest.strategies.signal_handler import SignalHandler, SignalParams
from odum_assets.bars.broker import BarHandler
from odum_assets.bars.series import BarSeries
from odum_assets.bars.strategy import BarSetup, BarStrategy
from odum_assets.errors import DataError
from odum_assets.models.features import FEATURES
from odum_assets.models.formats import ModelFormat, model_format
from odum_assets.models.prediction import Prediction
from odum_assets.models.prediction_cache import cached_prediction, read_prediction
from odum_assets.models.signals import signals_of
from odum_assets.models.store import MAX_MODEL_BYTES, ModelStore
from odum_assets.settings import Settings

SIGNALS = "signals.parquet"
"""File of a report: time of each traded bar's close, the prediction then, and its signal."""

PREDICTIONS = "predictions"
"""Folder in the results path in which predictions are kept by content."""


class ModelReference(BaseModel):
    """Which model: a file, or one of a user's uploaded models.

    Attributes
    ----------
    path : str or None
        Path of a file; a relative one is taken from the current folder.
    user, name : str or None
        Whose it is, and its name, file name or the first digits of its hash.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str | None = Field(default=None, min_length=1)
    user: str | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        is_stored = self.user is not None and self.name is not None
        is_file = self.path is not None and self.user is None and self.name is None
        if not is_file and (self.path is not None or not is_stored):
            raise ValueError("give the path of a file, or user and name of an uploaded model")
        return self

    @property
    def label(self) -> str:
        """Return what messages and provenance call it."""
        return f"model {self.path or f'{self.user}/{self.name}'}"

    def read(self, settings: Settings) -> tuple[bytes, ModelFormat]:
        """Return the model's content and format.

        Raises
        ------
        OdumError
            If it is not there, too large, or of a format that is not run here.
        """
        if self.path is None:
            store = ModelStore(settings.models_path, allow_pickle=settings.allow_pickle)
            model = store.find(str(self.user), str(self.name))
            content, filename = store.read(model), f"{model.name}.{model.extension}"
        else:
            content, filename = _file_content(Path(self.path)), self.path
        return content, model_format(content, filename, allow_pickle=settings.allow_pickle)


class ModelParams(SignalParams):
    """Parameters of signals from a model, beside side and size.

    Attributes
    ----------
    model : ModelReference
        The model.
    features : tuple of str
        What it takes, in this order: all fourteen of `odum_assets.models.features.FEATURES` by
        default.
    threshold : float
        A probability or value above it buys; a probability below one less it, or a value below its
        negative, sells. Labels need none.
    """

    model: ModelReference
    features: tuple[str, ...] = Field(default=FEATURES, min_length=1)
    threshold: FiniteFloat = 0.5

    @field_validator("features")
    @classmethod
    def _check_features(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in features if name not in FEATURES]
        if unknown:
            raise ValueError(
                f"there is no {', '.join(unknown)}; the features are {', '.join(FEATURES)}"
            )
        if len(set(features)) < len(features):
            raise ValueError("a feature is named twice")
        return features


class ModelSignals(BarStrategy):
    """Buy and sell as a model predicts."""

    Params = ModelParams

    def __init__(self, setups: Sequence[BarSetup]) -> None:
        self._signals = [_ModelSignals(setup) for setup in setups]

    @classmethod
    def inputs(cls, params: ModelParams, settings: Settings) -> Mapping[str, str]:
        """Return the hash of the model."""
        content, _ = params.model.read(settings)
        return {params.model.label: hashlib.sha256(content).hexdigest()}

    @classmethod
    def prepare(
        cls, params: ModelParams, series: BarSeries, settings: Settings, file: Path
    ) -> Mapping[str, str]:
        """Have the model predict, unless it did so before on the same bars."""
        kept = predictions_of(params, series, settings)
        shutil.copyfile(kept.path, file)
        return kept.inputs

    @property
    def handlers(self) -> Sequence[BarHandler]:
        """Return one handler for each instrument."""
        return [signals.handler for signals in self._signals]

    def finish(self, folder: Path) -> None:
        """Write the signals of every traded bar, by instrument and time."""
        tables = [signals.table() for signals in self._signals]
        pq.write_table(pa.concat_tables(tables), folder / SIGNALS)


@dataclass(frozen=True)
class PredictionsFile:
    """What a model predicts on bars, kept by content.

    Parameters
    ----------
    path : Path
        The file.
    inputs : mapping of str to str
        SHA-256 of the model, by what it is called.
    """

    path: Path
    inputs: Mapping[str, str]

    @cached_property
    def _prediction(self) -> Prediction:
        return read_prediction(self.path)

    def signals(self, threshold: float) -> NDArray[np.int8]:
        """Return the signal of each bar with a threshold, as of `signals_of`."""
        return signals_of(self._prediction.values, self._prediction.kind, threshold)


def predictions_of(params: ModelParams, series: BarSeries, settings: Settings) -> PredictionsFile:
    """Return what a model predicts on bars; it runs unless it did so before on the same ones.

    Raises
    ------
    OdumError
        If the model is not there, or cannot be used.
    """
    content, kind = params.model.read(settings)
    folder = settings.results_path / PREDICTIONS
    try:
        kept = cached_prediction(content, kind, series, params.features, folder)
    except DataError as error:
        raise DataError(f"{params.model.label}: {error}") from error
    return PredictionsFile(kept, {params.model.label: hashlib.sha256(content).hexdigest()})


class _ModelSignals:
    """Signals of one instrument, from the predictions that were made before."""

    def __init__(self, setup: BarSetup) -> None:
        params: ModelParams = setup.params
        if setup.prepared is None:
            raise DataError(f"{setup.instrument}: there are no predictions of its model")
        prediction = read_prediction(setup.prepared)
        if len(prediction.values) != len(setup.series):
            raise DataError(f"{setup.instrument}: the predictions are of other bars")
        self._table = signal_table(
            setup.instrument, setup.series.after(setup.first), prediction, params.threshold
        )
        self.handler = SignalHandler(setup, self._table["signal"].to_numpy().tolist())

    def table(self) -> pa.Table:
        return self._table


def signal_table(
    instrument: str, traded: BarSeries, prediction: Prediction, threshold: float
) -> pa.Table:
    """Return the signals of traded bars: time, instrument, prediction (null: unknown), signal.

    Parameters
    ----------
    instrument : str
        Its ``id`` in the configuration.
    traded : BarSeries
        The last bars of those that were predicted.
    prediction : Prediction
        Of all bars.
    threshold : float
        As of `signals_of`.
    """
    values = prediction.values[len(prediction.values) - len(traded) :]
    return pa.table(
        {
            "time": pa.array(traded.close_time, pa.timestamp("ns", "UTC")),
            "instrument": pa.array([instrument] * len(traded), pa.string()),
            "prediction": pa.array(values, mask=np.isnan(values)),
            "signal": pa.array(signals_of(values, prediction.kind, threshold)),
        }
    )


def _file_content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise DataError(f"{path}: {size:,} bytes; a model may have {MAX_MODEL_BYTES:,}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: the model cannot be read ({reason})") from error
