"""Running a stored result again and comparing digests."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from odum_assets.backtest.request import Engine, RunRequest
from odum_assets.backtest.run import ProgressCallback, completed_run
from odum_assets.config import LoadedConfig
from odum_assets.config.exact_json import read_json
from odum_assets.config.hashing import content_hash
from odum_assets.config.loading import model_of
from odum_assets.config.sections.algorithms import ExecAlgorithm
from odum_assets.errors import ConfigError
from odum_assets.results.digest import digest_of
from odum_assets.results.provenance import partition_record
from odum_assets.results.store import ResultEntry, ResultStore
from odum_assets.settings import Settings

_ALGORITHM: TypeAdapter[ExecAlgorithm] = TypeAdapter(ExecAlgorithm)


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a result repeats itself.

    Parameters
    ----------
    run_id : str
        The stored run.
    expected, found : str
        Its digest, and that of the run just made.
    changed_inputs : tuple[str, ...]
        Inputs that differ from the stored run's, such as a reconverted catalog day.
    """

    run_id: str
    expected: str
    found: str
    changed_inputs: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Return whether both digests are equal."""
        return self.expected == self.found


def verify_result(
    run_id: str,
    settings: Settings,
    progress: ProgressCallback | None = None,
    *,
    chunk_rows: int | None = None,
    engine: Engine | None = None,
) -> Verification:
    """Run a stored result again from its provenance and compare; nothing is stored.

    Parameters
    ----------
    run_id : str
        A stored run.
    settings : Settings
        Where everything lies.
    progress : callable, optional
        Called as the run proceeds.
    chunk_rows : int, optional
        Rows loaded at a time; the digest must not depend on it.
    engine : {"nautilus", "kernel"}, optional
        What matches the orders; that of the stored run by default.

    Raises
    ------
    OdumError
        If there is no such run, or it cannot be run again.
    """
    store = ResultStore(settings.results_path)
    entry = store.entry(run_id)
    metadata = entry.metadata()
    request = request_of(entry)
    request = replace(request, engine=request.engine if engine is None else engine)
    with completed_run(
        request, settings, store.workspace(), progress, chunk_rows=chunk_rows
    ) as run:
        curve = metadata["volume_curve"]
        recorded = metadata["catalog"] + (curve["days"] if curve else [])
        before = {_name(partition): partition["digest"] for partition in recorded}
        used = [*run.inputs.manifests, *run.curve_days]
        now = {_name(partition_record(manifest)): manifest.digest for manifest in used}
        changed = [name for name in sorted(before | now) if before.get(name) != now.get(name)]
        changed += _changed_sources(metadata, run.outcome.strategy_modules)
        changed += _changed_inputs(metadata, run.plan.strategy_inputs)
        return Verification(run_id, entry.digest, digest_of(run), tuple(changed))


def request_of(entry: ResultEntry) -> RunRequest:
    """Return the request by which a stored result can be run again.

    Raises
    ------
    ConfigError
        If the recorded configuration is not valid for this version.
    """
    metadata = entry.metadata()
    # The entry has floats; parameters are meant to the last digit.
    exact = read_json(entry.fast_path.read_text(encoding="utf-8"))
    try:
        document = exact["metadata"]["config"]
        config = model_of(document).model_validate(document)
    except ValidationError as error:
        raise ConfigError(
            f"{entry.run_id}: its recorded configuration is not valid for this version of odum: "
            f"{error.error_count()} problems, the first at {error.errors()[0]['loc']}"
        ) from error
    window: dict[str, Any] = metadata["window"]
    algorithm = metadata["exec_algorithm"]
    return RunRequest(
        config=LoadedConfig(
            name=metadata["config_name"],
            path=Path(metadata["config_path"]),
            config=config,
            content_hash=content_hash(config),
            key=config.key,
        ),
        days=tuple(date.fromisoformat(day) for day in metadata["days"]),
        partition=metadata["partition"],
        start_ns=None if window["start_ns"] is None else int(window["start_ns"]),
        end_ns=None if window["end_ns"] is None else int(window["end_ns"]),
        mode="fast",
        engine=metadata.get("engine", "nautilus"),
        snapshot_mode=metadata["snapshot_mode"],
        close_positions=metadata["close_positions"],
        # Results of earlier versions were closed through the book alone.
        closing=(metadata.get("closing") or {"method": "book"})["method"],
        # A run on bars has none.
        exec_algorithm=_ALGORITHM.validate_python(algorithm) if algorithm else None,
    )


def _changed_sources(metadata: dict[str, Any], now: dict[str, str]) -> list[str]:
    """Return what differs in the strategy's code, named by module where the record has modules."""
    before = metadata.get("strategy_modules")
    if before is None:
        # Recorded by an earlier version: the file of the class alone.
        is_same = metadata["strategy_sha256"] in {None, *now.values()}
        return [] if is_same else ["strategy source"]
    names = sorted({*before, *now})
    return [f"strategy source {name}" for name in names if before.get(name) != now.get(name)]


def _changed_inputs(metadata: dict[str, Any], now: dict[str, str]) -> list[str]:
    """Return what differs in what the strategy reads beside market data, such as a model."""
    before = metadata.get("strategy_inputs", {})
    return [name for name in sorted(before | now) if before.get(name) != now.get(name)]


def _name(partition: dict[str, Any]) -> str:
    names = (partition["data_type"], partition["day"], partition.get("instrument"))
    return " ".join(name for name in names if name is not None)
