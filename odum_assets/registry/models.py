"""The tables: datasets, strategies, runs, artifacts, events. Every column is declared here, once.

Fractions are fractions (0.25 is 25 %), drawdowns are zero or negative. What is not known is null.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, UniqueConstraint

from odum_assets.registry.types import (
    JSONB,
    KEY,
    MONEY,
    RATIO,
    TEXTS,
    ArtifactKind,
    RunMode,
    RunStatus,
    UtcTime,
    enumeration,
)

PENDING = (RunStatus.QUEUED, RunStatus.RUNNING)
"""Statuses of an active run: it has no file yet."""

METADATA = sa.MetaData()


def _only_on(dialect: str, check: str, name: str) -> CheckConstraint:
    """Return a constraint that one database alone has: the other spells it differently."""
    return CheckConstraint(check, name=name).ddl_if(dialect=dialect)


def _gin(name: str, column: str) -> Index:
    """Return an index over the insides of a JSON column, on PostgreSQL."""
    return Index(
        name,
        column,
        postgresql_using="gin",
        postgresql_ops={column: "jsonb_path_ops"},
        info={"dialect": "postgresql"},
    ).ddl_if(dialect="postgresql")


def _where(name: str, condition: str, *columns: str) -> Index:
    """Return an index over the rows of a condition."""
    text = sa.text(condition)
    return Index(name, *columns, sqlite_where=text, postgresql_where=text)


def _required(name: str, kind: Any, *more: Any, **options: Any) -> Column[Any]:  # noqa: ANN401
    return Column(name, kind, *more, nullable=False, **options)


def _figure(name: str, kind: Any, path: str, doc: str | None = None) -> Column[Any]:  # noqa: ANN401
    """Return the column of a figure.

    Parameters
    ----------
    name : str
        The column.
    kind : type of a column
        Its type.
    path : str
        Where a result's summary has it, names joined by points; a percentage ends in ``pct`` or is
        the ``win_rate``, and is a fraction here.
    doc : str, optional
        What it is, where the name does not say it.
    """
    return Column(name, kind, doc=doc, info={"figure": path})


DATASETS = sa.Table(
    "datasets",
    METADATA,
    _required("id", KEY, primary_key=True),
    _required("name", sa.String(255)),
    Column("description", sa.Text),
    _required("content_hash", sa.String(64)),
    _required("instrument", sa.String(128)),
    _required("symbols", TEXTS),
    _required("timeframe", sa.String(20)),
    _required("start_date", UtcTime),
    _required("end_date", UtcTime),
    _required("row_count", sa.BigInteger),
    _required("rejected_count", sa.BigInteger),
    _required("partitions", JSONB),
    _required("created_at", UtcTime),
    UniqueConstraint("content_hash", name="uq_datasets_hash"),
    CheckConstraint("start_date < end_date", name="ck_datasets_valid_daterange"),
    CheckConstraint("length(content_hash) = 64", name="ck_datasets_hash_length"),
    CheckConstraint("row_count >= 0 AND rejected_count >= 0", name="ck_datasets_counts"),
    _only_on(
        "postgresql",
        "cardinality(symbols) > 0 AND array_position(symbols, NULL) IS NULL "
        "AND array_position(symbols, '') IS NULL",
        "ck_datasets_nonempty_symbols",
    ),
    _only_on(
        "sqlite",
        "json_array_length(symbols) > 0 AND instr(symbols, '\"\"') = 0 "
        "AND instr(symbols, 'null') = 0",
        "ck_datasets_nonempty_symbols",
    ),
    Index("ix_datasets_daterange", "start_date", "end_date"),
    Index("ix_datasets_instrument", "instrument", "start_date"),
    # By its case: 1m is a minute, 1M a month.
    Index("ix_datasets_timeframe", "timeframe"),
)
"""Catalog partitions that runs read, by the hash of their digests."""

STRATEGIES = sa.Table(
    "strategies",
    METADATA,
    _required("id", KEY, primary_key=True),
    _required("name", sa.String(255)),
    _required("version", sa.String(64)),
    Column("description", sa.Text),
    _required("params", JSONB),
    _required("params_hash", sa.String(64)),
    _required("created_at", UtcTime),
    Column("updated_at", UtcTime),
    UniqueConstraint("name", "version", "params_hash", name="uq_strategies_name_version_params"),
    _gin("ix_strategies_params", "params"),
)
"""Strategies, each at a version and with its parameters.

`updated_at` is when the description was changed, else when the strategy was created.
"""

FIGURES: Final = (
    _figure("currency", sa.String(16), "account.currency"),
    _figure("initial_capital", MONEY, "account.starting_balance"),
    _figure("final_balance", MONEY, "account.final_balance"),
    _figure("final_value", MONEY, "account.final_equity"),
    _figure("lowest_value", MONEY, "account.lowest_equity"),
    _figure("pnl", MONEY, "pnl"),
    _figure("realized", MONEY, "pnl_breakdown.realized"),
    _figure("unrealized", MONEY, "pnl_breakdown.unrealized"),
    _figure("commissions", MONEY, "pnl_breakdown.commissions"),
    _figure("funding", MONEY, "pnl_breakdown.funding"),
    _figure(
        "drawdown_amount",
        MONEY,
        "drawdown.max_drawdown_amount",
        "Largest fall of the equity in money.",
    ),
    _figure("drawdown_duration_secs", RATIO, "drawdown.max_drawdown_duration_secs"),
    _figure("expectancy", MONEY, "trades.expectancy"),
    _figure("total_return", RATIO, "returns.total_return_pct"),
    _figure("cagr", RATIO, "returns.cagr_pct"),
    _figure("volatility", RATIO, "returns.volatility_pct"),
    _figure(
        "max_drawdown",
        RATIO,
        "drawdown.max_drawdown_pct",
        "Largest fall as a fraction of its peak.",
    ),
    _figure("win_rate", RATIO, "trades.win_rate"),
    _figure("profit_factor", RATIO, "trades.profit_factor"),
    _figure("sharpe_ratio", RATIO, "ratios.sharpe"),
    _figure("sortino_ratio", RATIO, "ratios.sortino"),
    _figure("calmar_ratio", RATIO, "ratios.calmar"),
    _figure(
        "figures_version",
        sa.Integer,
        "figures_version",
        "Rules that the figures follow; see the metrics of a result.",
    ),
    _figure("orders", sa.BigInteger, "orders"),
    _figure("fills", sa.BigInteger, "fills"),
    _figure("total_trades", sa.BigInteger, "trades.total_trades"),
    _figure("winning_trades", sa.BigInteger, "trades.winning_trades"),
    _figure("losing_trades", sa.BigInteger, "trades.losing_trades"),
    _figure("break_even_trades", sa.BigInteger, "trades.break_even_trades"),
    _figure("flag_count", sa.Integer, "flags", "Warnings about the result."),
)
"""The figures of a run, as the service lists them; null until they are known.

`pnl` is net of commissions and funding. `figures_version` says which rules the figures follow
(`odum_assets.backtest.figures_version.FIGURES_VERSION`).
"""

NUMERIC_FIGURES: Final = tuple(column for column in FIGURES if column.name != "currency")
"""Figures that a list is narrowed by with a lowest and a highest value."""

SORTED_COLUMNS = (
    "executed_at",
    "run_id",
    "status",
    "config_name",
    "partition",
    "instrument",
    "detail",
    "window_start",
    "window_end",
    "progress",
    *(column.name for column in FIGURES),
)
"""Columns of runs that a list can be sorted by."""

FILTERED_COLUMNS = (
    "config_name",
    "status",
    "instrument",
    "dataset_id",
    "strategy_id",
    "partition",
    "sweep_id",
)
"""Columns of runs that a list is narrowed by."""

RUNS = sa.Table(
    "runs",
    METADATA,
    _required("id", KEY, primary_key=True),
    _required("run_id", sa.String(64)),
    _required("status", enumeration(RunStatus, "run_status")),
    _required("run_mode", enumeration(RunMode, "run_mode")),
    _required("detail", sa.String(16)),
    _required("config_name", sa.String(255)),
    _required("config_hash", sa.String(64)),
    _required("partition", sa.String(32)),
    _required("instrument", sa.String(128)),
    Column("dataset_id", KEY, ForeignKey("datasets.id", ondelete="RESTRICT")),
    Column("strategy_id", KEY, ForeignKey("strategies.id", ondelete="RESTRICT")),
    Column("digest", sa.String(64)),
    Column("dagster_run_id", sa.String(64)),
    Column("sweep_id", sa.String(80)),
    _required("executed_at", UtcTime),
    Column("window_start", UtcTime),
    Column("window_end", UtcTime),
    Column("progress", RATIO),
    Column("phase", sa.String(255)),
    Column("updated_at", UtcTime),
    Column("error", sa.Text),
    Column("error_type", sa.String(128)),
    *FIGURES,
    # Last: a list that does not show them need not read past the figures.
    _required("params", JSONB),
    _required("provenance", JSONB),
    UniqueConstraint("run_id", name="uq_runs_run_id"),
    CheckConstraint("progress >= 0 AND progress <= 1", name="ck_runs_progress"),
    CheckConstraint("initial_capital > 0", name="ck_runs_positive_capital"),
    CheckConstraint("max_drawdown <= 0", name="ck_runs_drawdown_sign"),
    CheckConstraint("win_rate >= 0 AND win_rate <= 1", name="ck_runs_win_rate"),
    CheckConstraint(
        "orders >= 0 AND fills >= 0 AND total_trades >= 0 AND winning_trades >= 0 "
        "AND losing_trades >= 0 AND break_even_trades >= 0 AND flag_count >= 0",
        name="ck_runs_nonnegative_counts",
    ),
    CheckConstraint(
        "total_trades = winning_trades + losing_trades + break_even_trades",
        name="ck_runs_trade_count_consistency",
    ),
    CheckConstraint(
        "status <> 'succeeded' OR (dataset_id IS NOT NULL AND strategy_id IS NOT NULL "
        "AND digest IS NOT NULL AND error IS NULL)",
        name="ck_runs_succeeded_is_whole",
    ),
    CheckConstraint("status <> 'failed' OR error IS NOT NULL", name="ck_runs_failed_says_why"),
    CheckConstraint("window_start <= window_end", name="ck_runs_valid_window"),
    # Lists in order of execution follow this index, all others go over it: a copy of what they need
    # of rows that are long. PostgreSQL has long documents beside its rows.
    Index(
        "ix_runs_listed",
        *dict.fromkeys(("executed_at", "id", *FILTERED_COLUMNS, "run_mode", *SORTED_COLUMNS)),
        info={"dialect": "sqlite"},
    ).ddl_if(dialect="sqlite"),
    Index("ix_runs_by_executed_at", "executed_at", "id", info={"dialect": "postgresql"}).ddl_if(
        dialect="postgresql"
    ),
    # Few runs have one value of these. A configuration may have half of all runs: looking these up
    # one by one would take longer than going over all.
    Index("ix_runs_of_dataset_id", "dataset_id"),
    Index("ix_runs_of_partition", "partition"),
    Index("ix_runs_of_sweep_id", "sweep_id"),
    Index("ix_runs_dagster_run", "dagster_run_id"),
    _where("ix_runs_unfinished", "status IN ('queued', 'running')", "executed_at"),
    _gin("ix_runs_params", "params"),
    _gin("ix_runs_provenance", "provenance"),
)
"""Runs: what each was, where it stands or how it ended, its figures.

`executed_at` is when the status came to be: when the run was queued, when it began, when it ended.
`phase` says in words how far it is or came; `updated_at` is the last sign of life of a run under
way, null once it has ended.
"""

IS_PENDING = RUNS.c.status.in_(
    sa.bindparam(None, PENDING, expanding=True, literal_execute=True, type_=RUNS.c.status.type)
)
"""Condition of the active runs, in the words of their index: SQLite compares these."""

ARTIFACTS = sa.Table(
    "artifacts",
    METADATA,
    _required("id", KEY, primary_key=True),
    _required("run_id", KEY, ForeignKey("runs.id", ondelete="CASCADE")),
    _required("kind", enumeration(ArtifactKind, "artifact_kind")),
    _required("filename", sa.String(255)),
    _required("storage_path", sa.String(512)),
    _required("mime_type", sa.String(127)),
    _required("size_bytes", sa.BigInteger),
    _required("created_at", UtcTime),
    UniqueConstraint("run_id", "storage_path", name="uq_artifacts_path"),
    CheckConstraint("size_bytes >= 0", name="ck_artifacts_nonnegative_size"),
    Index("ix_artifacts_run_kind", "run_id", "kind"),
)
"""Files of runs, by their path below the results path."""

_OF_RUN = ForeignKey("runs.id", ondelete="CASCADE")
EVENTS = sa.Table(
    "events",
    METADATA,
    _required("run_id", KEY, _OF_RUN, primary_key=True, autoincrement=False),
    _required("sequence", KEY, primary_key=True, autoincrement=False),
    _required("event_type", sa.String(50)),
    _required("timestamp", UtcTime),
    _required("payload", JSONB),
    CheckConstraint("sequence >= 0", name="ck_events_sequence"),
    Index("ix_events_run_timestamp", "run_id", "timestamp"),
    Index("ix_events_type", "event_type", "timestamp"),
    _gin("ix_events_payload", "payload"),
    sqlite_with_rowid=False,
)
"""What a reader of a run should know, in order of its sequence."""
