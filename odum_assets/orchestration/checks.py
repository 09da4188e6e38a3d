"""Data quality and account checks: pure verdicts, and the thin shell that Dagster shows.

Thresholds are the ``quality`` section of the configurations. Several of them share an instrument's
partition, so its checks only warn, and name the configurations whose threshold is exceeded. A run
is judged by its own configuration alone, in the same way however it is started and whether or not
it converts the partition itself. Checks are partitioned: each day keeps its own verdict.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Protocol

import dagster as dg
from dagster import PreviewWarning

from odum_assets.config import LoadedConfig
from odum_assets.errors import DataError
from odum_assets.orchestration.metadata import to_metadata
from odum_assets.raw.layout import DataType
from odum_assets.utc import DAY_NS, NS_PER_SECOND, day_start_ns, iso_ns

if TYPE_CHECKING:
    from odum_assets.catalog import PartitionManifest

_THROTTLE_REASON: Final = "MAX_ORDER_SUBMIT_RATE"
_MOST_NAMED: Final = 20
_PREVIEW: Final = "Specifying a partitions_def on an AssetCheckSpec is currently in preview"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Parameters
    ----------
    passed : bool
        Whether it holds.
    text : str
        What was found against what is allowed, for a person.
    facts : Mapping[str, object]
        The figures behind it.
    """

    passed: bool
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold, the key that sets it, and the configuration for its sessions."""

    value: Decimal | int
    key: str
    loaded: LoadedConfig | None = None

    def __str__(self) -> str:
        """Return the threshold and the key that changes it."""
        return f"{self.value} (quality.{self.key})"

    @property
    def seconds(self) -> str:
        """Return the same of a threshold in seconds."""
        return f"{self.value} s (quality.{self.key})"


class Check(Protocol):
    """What every check has; its own ``evaluate`` says what it is judged by."""

    @property
    def name(self) -> str:
        """Return the name of the check in Dagster."""

    @property
    def description(self) -> str:
        """Return what a person reads of it."""

    @property
    def blocking(self) -> bool:
        """Return whether a failure holds back what is downstream."""


@dataclass(frozen=True, slots=True)
class CatalogCheck:
    """A check of a catalog partition, evaluated from its manifest.

    `refuses` says whether runs of a configuration are refused where it fails; `threshold` is a key
    of its ``quality`` section.
    """

    name: str
    description: str
    threshold: str
    evaluate: "Callable[[PartitionManifest, Limit], Verdict]"
    refuses: Callable[[LoadedConfig], bool] = lambda _: False
    blocking: bool = field(default=False, init=False)

    def evaluate_for(self, manifest: "PartitionManifest", config: LoadedConfig) -> Verdict:
        """Judge a partition by the threshold of a configuration."""
        value = getattr(config.config.quality, self.threshold)
        return self.evaluate(manifest, Limit(value, self.threshold, config))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a check comes to for all configurations that share a partition.

    Parameters
    ----------
    check : CatalogCheck
        The check.
    verdict : Verdict
        By the strictest threshold; its text names the configurations that it fails for.
    refused : tuple[str, ...]
        Configurations whose runs are refused because of it.
    """

    check: CatalogCheck
    verdict: Verdict
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResultCheck:
    """A check of a result, evaluated from its summary and provenance."""

    name: str
    description: str
    blocking: bool
    evaluate: Callable[[Mapping[str, Any], Mapping[str, Any]], Verdict]


# --- catalog ------------------------------------------------------------------------------------


def evaluate_rejects(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge the rows that were not taken over."""
    rejected, rows = manifest.rows_rejected, manifest.rows_in
    text = f"{rejected:,} of {rows:,} raw rows rejected; allowed share {limit}"
    if rejected:
        text += "; " + ", ".join(f"{why} {count:,}" for why, count in manifest.rejected.items())
    facts = {"rejected": rejected, "rows_in": rows, "share": _share(rejected, rows)}
    has_rows = manifest.rows_written > 0
    return Verdict(has_rows and _within(rejected, rows, limit), text, facts)


def evaluate_gaps(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge the longest time without a row."""
    gaps = manifest.quality["gaps"]
    longest = gaps["max_s"]
    if longest is None:
        return Verdict(True, "a single row: no gap to measure")
    text = f"longest time without a row {longest:,.1f} s; allowed {limit.seconds}"
    return Verdict(Decimal(str(longest)) <= limit.value, text, {"longest_s": longest})


def evaluate_coverage(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge the distance of the first and last row to the edges of the day, UTC."""
    covered = manifest.covered
    if covered is None:
        return Verdict(True, "not known: converted by an earlier version; convert the day again")
    start = day_start_ns(manifest.day)
    late, early = covered[0] - start, start + DAY_NS - covered[1]
    late_s, early_s = late / NS_PER_SECOND, early / NS_PER_SECOND
    text = (
        f"first row {late_s:,.1f} s after the day begins, last row {early_s:,.1f} s before "
        f"it ends; allowed {limit.seconds}"
    )
    facts = {"starts_late_s": late_s, "ends_early_s": early_s}
    return Verdict(max(late, early) <= limit.value * NS_PER_SECOND, text, facts)


def evaluate_duplicates(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge trade ids that occur more than once; such rows are traded twice."""
    duplicates = manifest.quality["duplicate_ids"]
    text = f"{duplicates:,} duplicate trade ids; allowed {limit}"
    return Verdict(duplicates <= limit.value, text, {"duplicate_ids": duplicates})


def evaluate_clock(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge rows that arrived before the exchange made them."""
    latency = manifest.quality["latency"]
    if latency is None:
        return Verdict(True, "the raw file has no arrival times: no clocks to compare")
    negative, rows = latency["negative_rows"], manifest.rows_written
    text = (
        f"{negative:,} of {rows:,} rows arrived before the exchange's time; allowed share {limit}"
    )
    facts = {"negative_rows": negative, "median_ms": latency["median_ms"]}
    return Verdict(_within(negative, rows, limit), text, facts)


def evaluate_sides(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge trades without a known side, which send no order."""
    unknown, rows = manifest.unknown_sides or 0, manifest.rows_written
    text = f"{unknown:,} of {rows:,} trades without a known side; allowed share {limit}"
    return Verdict(_within(unknown, rows, limit), text, {"unknown_sides": unknown})


def evaluate_crossed(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge books whose best bid is at or above the best ask."""
    crossed, locked = manifest.quality["crossed_books"], manifest.quality["locked_books"]
    rows = manifest.rows_written
    text = f"{crossed:,} crossed and {locked:,} locked of {rows:,} books; allowed share {limit}"
    facts = {"crossed_books": crossed, "locked_books": locked}
    return Verdict(_within(crossed + locked, rows, limit), text, facts)


def evaluate_zero_volume(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge bars without volume."""
    zero, rows = manifest.quality["zero_volume_bars"], manifest.rows_written
    text = f"{zero:,} of {rows:,} bars without volume; allowed share {limit}"
    return Verdict(_within(zero, rows, limit), text, {"zero_volume_bars": zero})


def evaluate_splits(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge jumps from one close to the next open that a split would explain."""
    jumps = manifest.quality["split_suspected"]
    text = f"{len(jumps)} bars open more than 30 % away from the close before; allowed {limit}"
    if jumps:
        text += f": {_listed([iso_ns(int(time)) for time in jumps])}"
    return Verdict(len(jumps) <= limit.value, text, {"split_suspected": len(jumps)})


def evaluate_missing_bars(manifest: "PartitionManifest", limit: Limit) -> Verdict:
    """Judge the bars that the sessions of a configuration lack; gaps are never filled."""
    from odum_assets.bars.calendar import BarCalendar
    from odum_assets.catalog.bar_quality import missing_bars

    config = None if limit.loaded is None else limit.loaded.bars
    if config is None:
        raise AssertionError(f"{limit.key}: the configuration reads no bars")
    missing, expected = missing_bars(manifest, BarCalendar.of(config))
    text = f"{missing:,} of {expected:,} bars of the sessions are missing; allowed share {limit}"
    facts = {"missing_bars": missing, "bars_of_sessions": expected}
    return Verdict(_within(missing, expected, limit), text, facts)


_REJECTS = CatalogCheck(
    "rejects",
    "Share of raw rows that were rejected. Runs of a configuration whose threshold is "
    "exceeded are refused: a backtest over the rest is not one over this day.",
    "max_reject_ratio",
    evaluate_rejects,
    refuses=lambda _: True,
)
_GAPS = CatalogCheck("gaps", "Longest time without a row.", "max_gap_secs", evaluate_gaps)
_COVERAGE = CatalogCheck(
    "day_covered",
    "Distance of the first and last row to the edges of the day: a delivery that was cut off. Runs "
    "of configurations that set quality.partial_days to refuse are refused.",
    "max_edge_gap_secs",
    evaluate_coverage,
    refuses=lambda config: config.config.quality.partial_days == "refuse",
)
_CLOCK = CatalogCheck(
    "clock_skew",
    "Rows whose arrival is before the exchange's own time: the clocks disagree.",
    "max_negative_latency_ratio",
    evaluate_clock,
)
_DUPLICATES = CatalogCheck(
    "duplicate_ids",
    "Trade ids that occur more than once.",
    "max_duplicate_ids",
    evaluate_duplicates,
)
_SIDES = CatalogCheck(
    "unknown_sides",
    "Trades that say neither buy nor sell.",
    "max_unknown_side_ratio",
    evaluate_sides,
)
_CROSSED = CatalogCheck(
    "crossed_books",
    "Books whose best bid is at or above the best ask.",
    "max_crossed_ratio",
    evaluate_crossed,
)

_BAR_CHECKS = (
    _REJECTS,
    CatalogCheck(
        "missing_bars",
        "Bars that are missing within sessions.",
        "max_missing_ratio",
        evaluate_missing_bars,
    ),
    CatalogCheck(
        "zero_volume", "Bars without volume.", "max_zero_volume_ratio", evaluate_zero_volume
    ),
    CatalogCheck(
        "split_suspected",
        "Opens more than 30 % away from the close before: prices are not adjusted for splits.",
        "max_split_suspects",
        evaluate_splits,
    ),
)

CATALOG_CHECKS: Final = {
    **{kind: _BAR_CHECKS for kind in DataType if kind.is_bars},
    DataType.TRADES: (_REJECTS, _GAPS, _COVERAGE, _CLOCK, _DUPLICATES, _SIDES),
    DataType.BOOK: (_REJECTS, _GAPS, _COVERAGE, _CLOCK, _CROSSED),
    # Funding rates are kept only where they change: hours between rows are as they should be.
    DataType.FUNDING: (_REJECTS, _COVERAGE, _CLOCK),
}
"""Checks of a catalog asset by the raw data type it is made of."""


def evaluate_partition(
    manifest: "PartitionManifest", configs: Sequence[LoadedConfig]
) -> list[Evaluation]:
    """Return what every check of a partition comes to.

    Parameters
    ----------
    manifest : PartitionManifest
        The partition.
    configs : sequence of LoadedConfig
        Whose thresholds count.

    Raises
    ------
    DataError
        If the manifest's figures are not what a conversion writes.
    """
    try:
        return [
            _evaluate_check(check, manifest, configs)
            for check in CATALOG_CHECKS[manifest.data_type]
        ]
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise DataError(
            f"{manifest.key} {manifest.data_type.value} {manifest.day}: the quality figures of the "
            f"manifest cannot be used ({type(error).__name__}: {error}). Convert the day again "
            "with `odum convert --force`."
        ) from error


def _evaluate_check(
    check: CatalogCheck, manifest: "PartitionManifest", configs: Sequence[LoadedConfig]
) -> Evaluation:
    by_threshold = sorted(
        configs, key=lambda config: getattr(config.config.quality, check.threshold)
    )
    verdict = check.evaluate_for(manifest, by_threshold[0])
    failing = [config for config in configs if not check.evaluate_for(manifest, config).passed]
    refused = tuple(config.name for config in failing if check.refuses(config))
    if not failing:
        return Evaluation(check, verdict, refused)
    text = verdict.text
    if len(failing) < len(configs):
        text += f"; exceeded for {_listed([config.name for config in failing])}"
    if refused:
        text += "; runs are refused"
        text += f": {_listed(refused)}" if len(refused) < len(failing) else ""
    return Evaluation(check, replace(verdict, text=text), refused)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


# --- result -------------------------------------------------------------------------------------


def evaluate_accounts(summary: Mapping[str, Any], metadata: Mapping[str, Any]) -> Verdict:
    """Judge whether the engine's own account ends where the recorded fills lead.

    A run whose ledger does not add up to the last decimal fails and has no result to judge.
    """
    reconciliation = metadata["reconciliation"]
    difference, tolerance = (
        Decimal(reconciliation["engine_difference"]),
        Decimal(reconciliation["engine_tolerance"]),
    )
    text = (
        f"the balance changed by {reconciliation['balance_change']} "
        f"{summary['account']['currency']}, as fills, fees and funding say; NautilusTrader's own "
        f"account differs by {difference} (rounding explains up to {tolerance})"
    )
    facts = {"difference": difference, "tolerance": tolerance}
    return Verdict(abs(difference) <= tolerance, text, facts)


def evaluate_throttle(summary: Mapping[str, Any], metadata: Mapping[str, Any]) -> Verdict:
    """Judge orders that a rate limit denied although the configuration sets none."""
    denied = sum(
        count for reason, count in summary["refusals"].items() if _THROTTLE_REASON in reason
    )
    # A configuration for bars knows no limit.
    limit = metadata["config"].get("risk", {}).get("throttling_per_sec")
    text = f"{denied:,} orders denied by a rate limit; configured: " + (
        "none" if limit is None else f"{limit} per second"
    )
    return Verdict(denied == 0 or limit is not None, text, {"denied": denied})


def evaluate_closed(summary: Mapping[str, Any], metadata: Mapping[str, Any]) -> Verdict:
    """Judge whether the run ended without a position."""
    position = summary["position"]
    quantity = position["quantity"]
    if not quantity and not position["open_positions"]:
        rest = (summary.get("closing") or {}).get("simulated_quantity")
        text = f"; {rest} of it closed at the last trade's price (simulated)" if rest else ""
        return Verdict(True, f"no open position at the end{text}")
    why = "the book lacked the volume" if metadata["close_positions"] else "closing was turned off"
    text = (
        f"{position['side']} {quantity} still open at the end ({why}); it is valued at the last "
        "price, not closed"
    )
    facts = {"quantity": quantity, "unrealized_pnl": position["unrealized_pnl"]}
    return Verdict(False, text, facts)


def evaluate_witness(summary: Mapping[str, Any], metadata: Mapping[str, Any]) -> Verdict:  # noqa: ARG001
    """Judge whether the kernel says of the run what NautilusTrader said."""
    witness = metadata.get("witness")
    if witness is None:
        engine = metadata.get("engine", "nautilus")
        return Verdict(True, f"no second engine was asked (engine {engine})")
    text = (
        witness["verdict"]
        if witness["detail"] is None
        else "{verdict}: {detail}".format_map(witness)
    )
    return Verdict(witness["verdict"] != "differs", text, witness)


RESULT_CHECKS: Final = (
    ResultCheck(
        "accounts_reconcile",
        "The balance moved by realized PnL minus commissions plus funding, in the ledger and in "
        "the engine.",
        True,
        evaluate_accounts,
    ),
    ResultCheck(
        "no_throttle_denials",
        "No order was denied by a rate limit that nobody configured.",
        True,
        evaluate_throttle,
    ),
    ResultCheck(
        "positions_closed", "No position was left open at the end.", False, evaluate_closed
    ),
    ResultCheck(
        "witness",
        "The kernel gives the same orders, fills and ends as NautilusTrader, where it covers them.",
        True,
        evaluate_witness,
    ),
)
"""Checks of a result."""


@dataclass(frozen=True, slots=True)
class PartCheck:
    """A check of a day's result, evaluated from whether the run covered all of the day."""

    name: str
    description: str
    blocking: bool
    evaluate: Callable[[bool], Verdict]


def evaluate_part(is_whole: bool) -> Verdict:
    """Judge whether a run covered all that its configuration runs of the day."""
    text = "the run covered a part of the day: the day's current result is another one, if any"
    return Verdict(is_whole, "the run covered the day" if is_whole else text)


WHOLE_DAY: Final = PartCheck(
    "whole_day",
    "The run covered all that the configuration runs of the day. Dagster shows a partition as "
    "materialized after a run of a part of it, too.",
    False,
    evaluate_part,
)


def evaluate_days(summary: Mapping[str, Any], metadata: Mapping[str, Any]) -> Verdict:
    """Judge whether every day of a window was in the catalog."""
    missing, days = summary["missing_days"], len(metadata["days"])
    text = f"{days} of {days + len(missing)} days of the window are in the catalog"
    if missing:
        text += f"; missing: {_listed(missing)}"
    return Verdict(not missing, text, {"days": days, "days_missing": len(missing)})


WINDOW_CHECKS: Final = (
    *RESULT_CHECKS,
    ResultCheck(
        "days_complete", "Every day of the window is in the catalog.", False, evaluate_days
    ),
)
"""Checks of the result of a window."""


# --- sweep --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SweepCheck:
    """A check of a sweep, evaluated from the errors of its variants (None where it has none)."""

    name: str
    description: str
    blocking: bool
    evaluate: Callable[[Sequence[str | None]], Verdict]


def evaluate_variants(errors: Sequence[str | None]) -> Verdict:
    """Judge whether every variant of a sweep has a result."""
    failed = [text for text in errors if text is not None]
    text = f"{len(errors) - len(failed)} of {len(errors)} variants have a result"
    first = {"first_error": failed[0]} if failed else {}
    return Verdict(not failed, text, {"variants": len(errors), "failed": len(failed), **first})


SWEEP_CHECKS: Final = (
    SweepCheck("variants_succeeded", "Every variant has a result.", False, evaluate_variants),
)
"""Checks of a sweep."""


@dataclass(frozen=True, slots=True)
class VsweepCheck:
    """A check of a vectorized sweep, evaluated from its variants and those without a trade."""

    name: str
    description: str
    blocking: bool
    evaluate: Callable[[int, int], Verdict]


def evaluate_traded(variants: int, idle: int) -> Verdict:
    """Judge whether every variant of a vectorized sweep trades."""
    text = f"{variants - idle:,} of {variants:,} variants trade"
    return Verdict(idle == 0, text, {"variants": variants, "without_trades": idle})


VSWEEP_CHECKS: Final = (
    VsweepCheck(
        "variants_trade",
        "Every variant has a round trip: its averages are not longer than the bars suffice for.",
        False,
        evaluate_traded,
    ),
)
"""Checks of a vectorized sweep."""


# --- Dagster ------------------------------------------------------------------------------------


def check_specs(
    asset: dg.AssetKey,
    checks: Sequence[Check],
    partitions: dg.PartitionsDefinition | None,
) -> list[dg.AssetCheckSpec]:
    """Return the specs of checks that an asset evaluates itself."""
    with warnings.catch_warnings():
        # A preview in this version of Dagster. Without partitions a check has one verdict for all
        # days, and a good day would hide a bad one.
        warnings.filterwarnings("ignore", _PREVIEW, PreviewWarning)
        return [
            dg.AssetCheckSpec(
                check.name,
                asset=asset,
                description=check.description,
                blocking=check.blocking,
                partitions_def=partitions,
            )
            for check in checks
        ]


def check_result(check: Check, verdict: Verdict) -> dg.AssetCheckResult:
    """Return a verdict as Dagster takes it: what blocks is an error, the rest a warning."""
    severity = dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(
        check_name=check.name,
        passed=verdict.passed,
        severity=severity,
        description=verdict.text,
        metadata=to_metadata(verdict.facts),
    )


def _within(count: int, rows: int, limit: Limit) -> bool:
    # Whole numbers and decimals: a share computed as a float could land beside its own threshold.
    return count <= rows * limit.value


def _share(count: int, rows: int) -> float | None:
    return count / rows if rows else None
