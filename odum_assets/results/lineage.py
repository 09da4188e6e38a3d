"""What a result was made from, from the raw files to the profit, and whether it is there now."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from odum_assets.config import LoadedConfig, load_config
from odum_assets.config.exact_json import read_json
from odum_assets.errors import OdumError
from odum_assets.raw.fingerprint import FileStat, NoRawFileError, stat_source
from odum_assets.raw.layout import is_url, local_path
from odum_assets.results.digest import result_digest
from odum_assets.results.json_figures import amount_text
from odum_assets.results.market import Market, PartitionNow
from odum_assets.results.store import ResultEntry
from odum_assets.results.verify import request_of
from odum_assets.settings import Settings
from odum_assets.storage.files import hash_file

type Now = Literal["same", "changed", "gone"] | None

_MOST_HASHED: Final = 500_000
"""Orders up to which the tables are hashed again: a result of two million takes seconds."""

_TABLES: Final = ("orders.parquet", "fills.parquet", "positions.parquet")


@dataclass(frozen=True, slots=True)
class Node:
    """Something that a result was made from; None is not known, or nothing to compare."""

    kind: str
    name: str
    sha256: str | None = None
    rows_in: int | None = None
    rows_written: int | None = None
    rejected: int | None = None
    rejected_by: dict[str, int] | None = None
    now: Now = None
    detail: str | None = None


def lineage(entry: ResultEntry, settings: Settings) -> dict[str, Any]:
    """Return nodes and account of a result, JSON-ready.

    Parameters
    ----------
    entry : ResultEntry
        The result.
    settings : Settings
        Where what it was made from should be.
    """
    metadata = entry.metadata()
    exact = read_json(entry.fast_path.read_text(encoding="utf-8"))
    partitions = Market(entry, settings).partitions()
    nodes = [
        *_raw(metadata, partitions),
        *(_partition(part) for part in partitions),
        *_configuration(entry, settings),
        *_versions(metadata),
        _digest(entry, exact),
        _profit(exact["summary"]),
    ]
    return {
        "run_id": entry.run_id,
        "nodes": [asdict(node) for node in nodes],
        "account": account_of(exact),
    }


def strategy_now(config: LoadedConfig) -> dict[str, str]:
    """Return the hashes of the modules of a configuration's strategy, as their files are now."""
    from odum_assets.backtest.bar_strategies import bar_strategy_path
    from odum_assets.backtest.strategies.loading import import_from_here
    from odum_assets.backtest.strategies.sources import StrategySources, strategy_path

    import_from_here()
    if config.bars is not None:
        path = bar_strategy_path(config.bars.strategy.name)
    else:
        path = strategy_path(config.ticks.strategy)
    return StrategySources([path]).modules(path)


def _raw(metadata: dict[str, Any], partitions: list[PartitionNow]) -> Iterator[Node]:
    known = {str(part): part for part in partitions}
    only = metadata["instrument_key"]
    for source in metadata["sources"]:
        place = f"{source.get('instrument') or only} {source['data_type']} {source['day']}"
        part = known.get(place)
        manifest = None if part is None else part.manifest
        if manifest is not None and manifest.source.sha256 != source["sha256"]:
            manifest = None
        stored = None if manifest is None else manifest.source
        converted = None if stored is None else FileStat(stored.size, stored.mtime_ns)
        now, detail = _raw_now(source, converted)
        yield Node(
            "raw",
            source["path"],
            source["sha256"],
            rows_in=None if manifest is None else manifest.rows_in,
            now=now,
            detail=detail,
        )


def _raw_now(source: dict[str, Any], converted: FileStat | None) -> tuple[Now, str | None]:
    """Return what became of a raw file, and how that was seen."""
    path = source["path"]
    try:
        stat = stat_source(path)
    except NoRawFileError:
        return "gone", "there is no such file"
    except OdumError as error:
        return None, str(error)
    if stat.size != source["size"]:
        return "changed", f"it has {stat.size:,} bytes, and had {source['size']:,}"
    if converted is not None and stat.mtime_ns is not None and stat == converted:
        return "same", "size and time of change are those of the conversion"
    if is_url(path):
        return None, "it has the same size; its bytes are not read from here"
    same = _hash(local_path(path), stat.size, stat.mtime_ns) == source["sha256"]
    return ("same" if same else "changed"), "its bytes were compared"


@lru_cache(maxsize=1_024)
def _hash(path: Path, _size: int, _mtime_ns: int | None) -> str:
    """Return the sha256 of a file, read once until it changes."""
    return hash_file(path)


def _partition(part: PartitionNow) -> Node:
    manifest = part.manifest
    is_same = manifest is not None and manifest.digest == part.record["digest"]
    detail = None
    if manifest is not None and not is_same:
        detail = (
            f"the catalog has {manifest.rows_written:,} rows with digest {manifest.digest[:12]}"
        )
    elif part.source == "changed":
        detail = "its data file is damaged; convert the day again"
    return Node(
        "catalog",
        str(part),
        part.record["digest"],
        rows_in=manifest.rows_in if manifest is not None and is_same else None,
        rows_written=part.record["rows"],
        rejected=part.record["rejected"],
        rejected_by=dict(manifest.rejected) if manifest is not None and is_same else None,
        now=part.source,
        detail=detail,
    )


def _configuration(entry: ResultEntry, settings: Settings) -> Iterator[Node]:
    metadata = entry.metadata()
    now, detail = _config_now(entry, settings)
    yield Node("config", entry.config_name, metadata["config_hash"], now=now, detail=detail)
    options = {
        name: metadata.get(name)
        for name in ("partition", "snapshot_mode", "close_positions", "exec_algorithm")
    }
    yield Node("options", ", ".join(f"{name}: {_plain(value)}" for name, value in options.items()))
    try:
        config = request_of(entry).config
    except (OdumError, KeyError):
        config = None
    before = metadata.get("strategy_modules") or {"strategy": metadata["strategy_sha256"]}
    yield from _compared("strategy", before, lambda: strategy_now(_required(config)))
    inputs = metadata.get("strategy_inputs", {})
    if inputs:
        yield from _compared("input", inputs, lambda: inputs_now(_required(config), settings))


def _config_now(entry: ResultEntry, settings: Settings) -> tuple[Now, str | None]:
    metadata = entry.metadata()
    path = settings.configs_path / f"{entry.config_name}.json"
    if not path.is_file():
        return "gone", f"there is no {path.name} in {settings.configs_path}"
    try:
        content_hash = load_config(path).content_hash
    except OdumError as error:
        return "changed", str(error).splitlines()[0]
    if content_hash == metadata["config_hash"]:
        return "same", None
    if metadata.get("overrides") or metadata.get("sweep"):
        return None, "the run varied values of it"
    return "changed", f"its hash is {content_hash[:12]} now"


def _compared(kind: str, before: dict[str, Any], read_now: Any) -> Iterator[Node]:  # noqa: ANN401
    """Yield a node per file of a strategy, compared with what `look` finds now."""
    try:
        now: dict[str, str] | None = read_now()
    except Exception as error:  # noqa: BLE001 - whatever a project's own files lead to
        now, reason = None, str(error).splitlines()[0] if str(error) else type(error).__name__
    for name, sha in before.items():
        if now is None:
            yield Node(kind, name, sha, now="gone", detail=f"it cannot be found: {reason}")
        elif sha is None or (name not in now and len(before) == 1 and sha not in now.values()):
            yield Node(kind, name, sha, now=None if sha is None else "changed")
        else:
            current = now.get(name, sha if sha in now.values() else None)
            state: Now = "gone" if current is None else "same" if current == sha else "changed"
            yield Node(kind, name, sha, now=state)


def _required(config: LoadedConfig | None) -> LoadedConfig:
    if config is None:
        raise OdumError("the recorded configuration is not valid for this version")
    return config


def inputs_now(config: LoadedConfig, settings: Settings) -> dict[str, str]:
    """Return the hashes of what a configuration's strategy reads beside market data, as it is now.

    Raises
    ------
    OdumError
        If it cannot be read.
    """
    from odum_assets.backtest.bar_strategies import strategy_inputs
    from odum_assets.backtest.order_file import order_inputs

    return order_inputs(config) if config.bars is None else strategy_inputs(config.bars, settings)


def _versions(metadata: dict[str, Any]) -> Iterator[Node]:
    import platform

    for name, before in metadata["versions"].items():
        try:
            current = platform.python_version() if name == "python" else version(name)
        except PackageNotFoundError:
            yield Node("version", f"{name} {before}", now="gone", detail="it is not installed")
            continue
        now: Now = "same" if current == before else "changed"
        detail = None if now == "same" else f"{current} is installed"
        yield Node("version", f"{name} {before}", now=now, detail=detail)


def _digest(entry: ResultEntry, exact: dict[str, Any]) -> Node:
    """Return the digest, computed again from the stored tables where that is quick."""
    summary = exact["summary"]
    if entry.report_path is None:
        return Node("digest", "result", entry.digest, detail="fast mode keeps no tables")
    if summary["orders"] > _MOST_HASHED:
        detail = f"too large to be hashed here: odum results verify {entry.run_id}"
        return Node("digest", "result", entry.digest, detail=detail)
    parts, account = summary["pnl_breakdown"], summary["account"]
    balances = {
        **{name: _amount(account.get(name)) for name in ("starting_balance", "final_balance")},
        **{name: _amount(parts.get(name)) for name in ("realized", "commissions", "funding")},
    }
    for name in _TABLES:
        # Refuses links; the tables are read by their names after it.
        if not entry.report_file(name).is_there():
            return Node("digest", "result", entry.digest, now="gone", detail=f"{name} is gone")
    digest = result_digest(entry.report_path, balances)
    now: Now = "same" if digest == entry.digest else "changed"
    return Node("digest", "result", entry.digest, now=now, detail="the stored tables were hashed")


def _profit(summary: dict[str, Any]) -> Node:
    currency = summary["account"].get("currency") or ""
    return Node("pnl", f"net PnL {_amount(summary['pnl'])} {currency}".strip())


def account_of(exact: dict[str, Any]) -> dict[str, str | None]:
    """Return the account of a result's document from start to end, in all digits."""
    summary = exact["summary"]
    account, parts = summary["account"], summary["pnl_breakdown"]
    checked = exact["metadata"].get("reconciliation") or {}
    return {
        "currency": account.get("currency"),
        "start": _amount(account.get("starting_balance")),
        **{name: _amount(parts.get(name)) for name in ("realized", "commissions", "funding")},
        "final": _amount(account.get("final_balance")),
        "difference": checked.get("engine_difference"),
    }


def _amount(value: Any) -> str | None:  # noqa: ANN401 - a number of a document
    return None if value is None else amount_text(Decimal(value))


def _plain(value: Any) -> str:  # noqa: ANN401 - an option
    if isinstance(value, dict):
        return str(value.get("type", "none")) if value else "none"
    return str(value)
