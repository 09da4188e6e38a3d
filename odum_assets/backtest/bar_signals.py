"""The signals of a model on the bars of a partition, as a file that is written before any run.

A run of the same partition reads the same predictions: they are kept by content.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.bar_inputs import BarInputs, bar_inputs
from odum_assets.backtest.bar_strategies import bar_strategy_params, load_bar_strategy
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.strategies.ml_signals import ModelParams, ModelSignals, signal_table
from odum_assets.errors import DataError
from odum_assets.models.prediction_cache import read_prediction
from odum_assets.settings import Settings
from odum_assets.storage.files import sync
from odum_assets.storage.scratch import scratch_folder

FOLDER: Final = "signals"
"""Folder in the results path that has a folder of files for each configuration."""

_NAME: Final = "ML_SIGNALS"


@dataclass(frozen=True, slots=True)
class SignalsFile:
    """Signals that were written.

    Parameters
    ----------
    path : Path
        The file.
    table : pa.Table
        Its rows, as of `signal_table`, by instrument and time.
    models : dict[str, str]
        SHA-256 of each model, by what it is called.
    digest : str
        Hash of the rows.
    """

    path: Path
    table: pa.Table
    models: dict[str, str]
    digest: str


def write_signals(request: RunRequest, settings: Settings) -> SignalsFile:
    """Have the models of a request predict, and write the signals of its traded bars.

    Parameters
    ----------
    request : RunRequest
        What is predicted: a partition of a configuration whose strategy is ``ML_SIGNALS``.
    settings : Settings
        Where everything lies.

    Raises
    ------
    OdumError
        If bars are missing, or a model cannot be used; nothing is written then.
    """
    folder = settings.results_path / FOLDER / request.config.name
    with bar_inputs(request, settings, scratch_folder(folder / ".staging")) as inputs:
        models, tables = _predicted(inputs, settings)
    table = pa.concat_tables(tables).combine_chunks()
    path = folder / f"{request.partition}.parquet"
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            pq.write_table(table.replace_schema_metadata(dict(models)), unfinished)
            sync(unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error
    return SignalsFile(path, table, models, _digest(table))


def _predicted(inputs: BarInputs, settings: Settings) -> tuple[dict[str, str], list[pa.Table]]:
    kind, tables = load_bar_strategy(_NAME), []
    models: dict[str, str] = {}
    config = inputs.request.config.required_bars
    for number, (item, (series, _), traded) in enumerate(
        zip(config.instruments, inputs.bars, inputs.traded, strict=True)
    ):
        params: ModelParams = bar_strategy_params(kind, config.strategy.params_of(item.id), _NAME)
        file = inputs.work / f"{number}.parquet"
        models |= ModelSignals.prepare(params, series, settings, file)
        tables.append(signal_table(item.id, traded, read_prediction(file), params.threshold))
    return models, tables


def _digest(table: pa.Table) -> str:
    digest = hashlib.sha256()
    for column in (table["time"].cast(pa.int64()), table["prediction"], table["signal"]):
        digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()
