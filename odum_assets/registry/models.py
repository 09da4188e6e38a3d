"""The tables: datasets, strategies, runs, artifacts, events.

Fractions are fractions (0.25 is 25 %), drawdowns are zero or negative. What is not known is null.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

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
    "pnl",
    "realized",
    "unrealized",
    "commissions",
    "funding",
    "initial_capital",
    "final_balance",
    "final_value",
    "total_return",
    "max_drawdown",
    "sharpe_ratio",
    "sortino_ratio",
    "orders",
    "fills",
    "total_trades",
    "win_rate",
    "profit_factor",
    "flag_count",
    "progress",
    "currency",
    "lowest_value",
    "drawdown_amount",
    "expectancy",
    "winning_trades",
    "losing_trades",
    "break_even_trades",
    "cagr",
    "volatility",
    "calmar_ratio",
    "drawdown_duration_secs",
)
"""Columns of runs that a list can be sorted by; each has an index with the row's key."""

FILTERED_COLUMNS = (
    "config_name",
    "status",
    "instrument",
    "dataset_id",
    "strategy_id",
    "partition",
    "sweep_id",
)
"""Columns of runs that a list is narrowed by, each with an index that knows the status, too."""


PENDING = (RunStatus.QUEUED, RunStatus.RUNNING)
"""Statuses of a run under way: it has no file yet."""


class Base(DeclarativeBase):
    """All tables of the registry."""


def only_on(dialect: str, *items: CheckConstraint) -> tuple[CheckConstraint, ...]:
    """Return constraints that one database alone has: the other spells them differently."""
    return tuple(each.ddl_if(dialect=dialect) for each in items)


def gin(name: str, column: str) -> Index:
    """Return an index over the insides of a JSON column, on PostgreSQL."""
    return Index(
        name,
        column,
        postgresql_using="gin",
        postgresql_ops={column: "jsonb_path_ops"},
        info={"dialect": "postgresql"},
    ).ddl_if(dialect="postgresql")


class Dataset(Base):
    """Catalog partitions that runs read, by the hash of their digests."""

    __tablename__ = "datasets"
    __table_args__ = (
        UniqueConstraint("content_hash", name="uq_datasets_hash"),
        CheckConstraint("start_date < end_date", name="ck_datasets_valid_daterange"),
        CheckConstraint("length(content_hash) = 64", name="ck_datasets_hash_length"),
        CheckConstraint("row_count >= 0 AND rejected_count >= 0", name="ck_datasets_counts"),
        *only_on(
            "postgresql",
            CheckConstraint(
                "cardinality(symbols) > 0 AND array_position(symbols, NULL) IS NULL "
                "AND array_position(symbols, '') IS NULL",
                name="ck_datasets_nonempty_symbols",
            ),
        ),
        *only_on(
            "sqlite",
            CheckConstraint(
                "json_array_length(symbols) > 0 AND instr(symbols, '\"\"') = 0 "
                "AND instr(symbols, 'null') = 0",
                name="ck_datasets_nonempty_symbols",
            ),
        ),
        Index("ix_datasets_daterange", "start_date", "end_date"),
        Index("ix_datasets_instrument", "instrument", "start_date"),
        # By its case: 1m is a minute, 1M a month.
        Index("ix_datasets_timeframe", "timeframe"),
    )

    id: Mapped[int] = mapped_column(KEY, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.Text)
    content_hash: Mapped[str] = mapped_column(sa.String(64))
    instrument: Mapped[str] = mapped_column(sa.String(128))
    symbols: Mapped[list[str]] = mapped_column(TEXTS)
    timeframe: Mapped[str] = mapped_column(sa.String(20))
    start_date: Mapped[datetime] = mapped_column(UtcTime)
    end_date: Mapped[datetime] = mapped_column(UtcTime)
    row_count: Mapped[int] = mapped_column(sa.BigInteger)
    rejected_count: Mapped[int] = mapped_column(sa.BigInteger)
    partitions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class Strategy(Base):
    """A strategy at a version, with its parameters."""

    __tablename__ = "strategies"
    __table_args__ = (
        UniqueConstraint(
            "name", "version", "params_hash", name="uq_strategies_name_version_params"
        ),
        gin("ix_strategies_params", "params"),
    )

    id: Mapped[int] = mapped_column(KEY, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    version: Mapped[str] = mapped_column(sa.String(64))
    description: Mapped[str | None] = mapped_column(sa.Text)
    params: Mapped[dict[str, Any]] = mapped_column(JSONB)
    params_hash: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class Run(Base):
    """One run: what it was, where it stands or how it ended, its figures.

    `executed_at` is when the status came to be: when the run was queued, when it began, when it
    ended. `phase` says in words how far it is or came; `updated_at` is the last sign of life of a
    run under way, null once it has ended. `pnl` is net of commissions and funding; `max_drawdown`
    is the largest fall as a fraction of its peak, `drawdown_amount` the largest in money.
    `figures_version` says which rules the figures follow
    (`odum_assets.backtest.metrics.FIGURES_VERSION`).
    """

    __tablename__ = "runs"
    __table_args__ = (
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
        # With the status: of failed runs no figure is known, and all others would be looked up.
        *(
            Index(f"ix_runs_by_{name}", *dict.fromkeys((name, "id", "status")))
            for name in SORTED_COLUMNS
        ),
        *(
            Index(f"ix_runs_of_{name}", *dict.fromkeys((name, "status", "executed_at", "id")))
            for name in FILTERED_COLUMNS
        ),
        Index("ix_runs_mode_date", "run_mode", "executed_at"),
        Index("ix_runs_dagster_run", "dagster_run_id"),
        Index(
            "ix_runs_unfinished",
            "executed_at",
            sqlite_where=sa.text("status IN ('queued', 'running')"),
            postgresql_where=sa.text("status IN ('queued', 'running')"),
        ),
        Index(
            "ix_runs_failed",
            "executed_at",
            "id",
            sqlite_where=sa.text("status = 'failed'"),
            postgresql_where=sa.text("status = 'failed'"),
        ),
        gin("ix_runs_params", "params"),
        gin("ix_runs_provenance", "provenance"),
    )

    id: Mapped[int] = mapped_column(KEY, primary_key=True)
    run_id: Mapped[str] = mapped_column(sa.String(64))
    status: Mapped[RunStatus] = mapped_column(enumeration(RunStatus, "run_status"))
    run_mode: Mapped[RunMode] = mapped_column(enumeration(RunMode, "run_mode"))
    detail: Mapped[str] = mapped_column(sa.String(16))
    config_name: Mapped[str] = mapped_column(sa.String(255))
    config_hash: Mapped[str] = mapped_column(sa.String(64))
    partition: Mapped[str] = mapped_column(sa.String(32))
    instrument: Mapped[str] = mapped_column(sa.String(128))
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("datasets.id", ondelete="RESTRICT"))
    strategy_id: Mapped[int | None] = mapped_column(
        ForeignKey("strategies.id", ondelete="RESTRICT")
    )
    digest: Mapped[str | None] = mapped_column(sa.String(64))
    dagster_run_id: Mapped[str | None] = mapped_column(sa.String(64))
    sweep_id: Mapped[str | None] = mapped_column(sa.String(80))
    executed_at: Mapped[datetime] = mapped_column(UtcTime)
    window_start: Mapped[datetime | None] = mapped_column(UtcTime)
    window_end: Mapped[datetime | None] = mapped_column(UtcTime)
    progress: Mapped[Decimal | None] = mapped_column(RATIO)
    phase: Mapped[str | None] = mapped_column(sa.String(255))
    updated_at: Mapped[datetime | None] = mapped_column(UtcTime)
    error: Mapped[str | None] = mapped_column(sa.Text)
    error_type: Mapped[str | None] = mapped_column(sa.String(128))

    currency: Mapped[str | None] = mapped_column(sa.String(16))
    initial_capital: Mapped[Decimal | None] = mapped_column(MONEY)
    final_balance: Mapped[Decimal | None] = mapped_column(MONEY)
    final_value: Mapped[Decimal | None] = mapped_column(MONEY)
    lowest_value: Mapped[Decimal | None] = mapped_column(MONEY)
    pnl: Mapped[Decimal | None] = mapped_column(MONEY)
    realized: Mapped[Decimal | None] = mapped_column(MONEY)
    unrealized: Mapped[Decimal | None] = mapped_column(MONEY)
    commissions: Mapped[Decimal | None] = mapped_column(MONEY)
    funding: Mapped[Decimal | None] = mapped_column(MONEY)
    drawdown_amount: Mapped[Decimal | None] = mapped_column(MONEY)
    expectancy: Mapped[Decimal | None] = mapped_column(MONEY)
    total_return: Mapped[Decimal | None] = mapped_column(RATIO)
    max_drawdown: Mapped[Decimal | None] = mapped_column(RATIO)
    win_rate: Mapped[Decimal | None] = mapped_column(RATIO)
    profit_factor: Mapped[Decimal | None] = mapped_column(RATIO)
    sharpe_ratio: Mapped[Decimal | None] = mapped_column(RATIO)
    sortino_ratio: Mapped[Decimal | None] = mapped_column(RATIO)
    orders: Mapped[int | None] = mapped_column(sa.BigInteger)
    fills: Mapped[int | None] = mapped_column(sa.BigInteger)
    total_trades: Mapped[int | None] = mapped_column(sa.BigInteger)
    winning_trades: Mapped[int | None] = mapped_column(sa.BigInteger)
    losing_trades: Mapped[int | None] = mapped_column(sa.BigInteger)
    break_even_trades: Mapped[int | None] = mapped_column(sa.BigInteger)
    flag_count: Mapped[int | None] = mapped_column(sa.Integer)

    # Last of the first version: a list that does not show them need not read past those figures.
    params: Mapped[dict[str, Any]] = mapped_column(JSONB)
    provenance: Mapped[dict[str, Any]] = mapped_column(JSONB)

    figures_version: Mapped[int | None] = mapped_column(sa.Integer)
    cagr: Mapped[Decimal | None] = mapped_column(RATIO)
    volatility: Mapped[Decimal | None] = mapped_column(RATIO)
    calmar_ratio: Mapped[Decimal | None] = mapped_column(RATIO)
    drawdown_duration_secs: Mapped[Decimal | None] = mapped_column(RATIO)


class Artifact(Base):
    """A file of a run, by its path below the results path."""

    __tablename__ = "artifacts"
    __table_args__ = (
        UniqueConstraint("run_id", "storage_path", name="uq_artifacts_path"),
        CheckConstraint("size_bytes >= 0", name="ck_artifacts_nonnegative_size"),
        Index("ix_artifacts_run_kind", "run_id", "kind"),
    )

    id: Mapped[int] = mapped_column(KEY, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    kind: Mapped[ArtifactKind] = mapped_column(enumeration(ArtifactKind, "artifact_kind"))
    filename: Mapped[str] = mapped_column(sa.String(255))
    storage_path: Mapped[str] = mapped_column(sa.String(512))
    mime_type: Mapped[str] = mapped_column(sa.String(127))
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcTime)


class Event(Base):
    """Something that a reader of a run should know, in order of its sequence."""

    __tablename__ = "events"
    __table_args__ = (
        CheckConstraint("sequence >= 0", name="ck_events_sequence"),
        Index("ix_events_run_timestamp", "run_id", "timestamp"),
        Index("ix_events_type", "event_type", "timestamp"),
        gin("ix_events_payload", "payload"),
        {"sqlite_with_rowid": False},
    )

    run_id: Mapped[int] = mapped_column(
        KEY, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    sequence: Mapped[int] = mapped_column(KEY, primary_key=True, autoincrement=False)
    event_type: Mapped[str] = mapped_column(sa.String(50))
    timestamp: Mapped[datetime] = mapped_column(UtcTime)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
