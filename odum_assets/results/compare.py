"""Stored results side by side: figures, and what of configuration and data differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from odum_assets.results.earlier import version_of
from odum_assets.results.store import ResultEntry

_METRICS = (
    "figures_version",
    "orders",
    "fills",
    "pnl",
    "pnl_breakdown.realized",
    "pnl_breakdown.unrealized",
    "pnl_breakdown.commissions",
    "pnl_breakdown.funding",
    "account.balance_change",
    "account.final_balance",
    "account.final_equity",
    "returns.total_return_pct",
    "trades.total_trades",
    "trades.win_rate",
    "trades.profit_factor",
    "trades.expectancy",
    "drawdown.max_drawdown_pct",
    "drawdown.max_drawdown_amount",
    "drawdown.max_drawdown_duration_secs",
    "returns.volatility_pct",
    "returns.cagr_pct",
    "ratios.sharpe",
    "ratios.sortino",
    "ratios.calmar",
    "ratios.returns",
    "position.quantity",
)
_OPTIONS = (
    *("partition", "window", "engine", "snapshot_mode", "close_positions", "closing"),
    "exec_algorithm",
)


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One figure or setting: its dotted name, and a value per result (None where not known)."""

    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        """Return whether the results differ in it."""
        return any(value != self.values[0] for value in self.values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Results side by side.

    Parameters
    ----------
    run_ids : tuple[str, ...]
        The results, in the order of all values.
    metrics : tuple[ComparisonRow, ...]
        Figures, all of them.
    config, inputs : tuple[ComparisonRow, ...]
        Settings, and options and data, in which the results differ.
    same_digest : bool
        Whether all results are equal in every order, fill, position and balance.
    """

    run_ids: tuple[str, ...]
    metrics: tuple[ComparisonRow, ...]
    config: tuple[ComparisonRow, ...]
    inputs: tuple[ComparisonRow, ...]
    same_digest: bool


def compare_results(entries: Sequence[ResultEntry]) -> Comparison:
    """Compare stored results.

    Parameters
    ----------
    entries : sequence of ResultEntry
        Two or more.
    """
    summaries = [
        {**_flat(entry.summary()), "figures_version": version_of(entry.summary())}
        for entry in entries
    ]
    configs = [_flat(entry.metadata()["config"]) for entry in entries]
    inputs = [_inputs(entry.metadata()) for entry in entries]
    return Comparison(
        run_ids=tuple(entry.run_id for entry in entries),
        metrics=tuple(_row(name, summaries) for name in _METRICS),
        config=_differences(configs),
        inputs=_differences(inputs),
        same_digest=len({entry.digest for entry in entries}) == 1,
    )


@dataclass(frozen=True, slots=True)
class Origin:
    """What a result used of something: its hash, of data rows and rejected ones."""

    sha256: str | None
    rows: int | None = None
    rejected: int | None = None


def origins(entries: Sequence[ResultEntry]) -> list[tuple[str, ComparisonRow]]:
    """Return the kind of everything that results were made from, with an `Origin` of each."""
    sides = [dict(_origins(entry.metadata())) for entry in entries]
    names = dict.fromkeys(name for side in sides for name in side)
    return [(kind, _row((kind, name), sides, name)) for kind, name in names]


def simulated(entries: Sequence[ResultEntry]) -> tuple[ComparisonRow, ...]:
    """Return the aspects of a real market, with whether each result simulated it, and how."""
    sides = [
        {aspect["aspect"]: aspect for aspect in entry.summary().get("simulated") or []}
        for entry in entries
    ]
    return tuple(
        _row(name, sides) for name in dict.fromkeys(name for side in sides for name in side)
    )


def _origins(metadata: dict[str, Any]) -> Iterator[tuple[tuple[str, str], Origin]]:
    for kind, names in (("raw", "sources"), ("catalog", "catalog")):
        for record in metadata[names]:
            owner = record.get("instrument") or metadata["instrument_key"]
            name = f"{owner} {record['data_type']} {record['day']}"
            sha256 = record.get("sha256") or record.get("digest")
            yield (kind, name), Origin(sha256, record.get("rows"), record.get("rejected"))
    yield ("config", metadata["config_name"]), Origin(metadata["config_hash"])
    modules = metadata.get("strategy_modules") or {"strategy": metadata["strategy_sha256"]}
    for kind, hashes in (("strategy", modules), ("input", metadata.get("strategy_inputs", {}))):
        for name, sha256 in hashes.items():
            yield (kind, name), Origin(sha256)
    for name, version in metadata["versions"].items():
        yield ("version", f"{name} {version}"), Origin(None)


def _inputs(metadata: dict[str, Any]) -> dict[str, Any]:
    inputs = _flat({name: metadata.get(name) for name in _OPTIONS})
    for partition in metadata["catalog"]:
        inputs[f"data.{partition['data_type']}.{partition['day']}"] = partition["digest"][:12]
    return inputs


def _differences(sides: list[dict[str, Any]]) -> tuple[ComparisonRow, ...]:
    names = sorted({name for side in sides for name in side})
    rows = [_row(name, sides) for name in names]
    return tuple(row for row in rows if row.differs)


def _row(key: Any, sides: Sequence[dict[Any, Any]], name: str | None = None) -> ComparisonRow:  # noqa: ANN401
    return ComparisonRow(name or key, tuple(side.get(key) for side in sides))


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict):
            flat |= _flat(inner, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = inner
    return flat
