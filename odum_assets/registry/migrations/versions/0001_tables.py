"""Make datasets, strategies, runs, artifacts and events.

A migration describes the tables as they were then, so nothing here comes from the models.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MONEY = sa.Numeric(38, 12).with_variant(sa.Double(), "sqlite")
_RATIO = sa.Numeric(24, 12).with_variant(sa.Double(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_TEXTS = postgresql.ARRAY(sa.String(64)).with_variant(sa.JSON(), "sqlite")

_ENUMS = {
    "run_status": ("queued", "running", "succeeded", "failed", "canceled"),
    "run_mode": ("backtest", "paper", "live"),
    "artifact_kind": ("plot", "report", "csv", "pickle", "json", "parquet"),
}
_SORTED = [
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
]
_FILTERED = [
    "config_name",
    "status",
    "instrument",
    "dataset_id",
    "strategy_id",
    "partition",
    "sweep_id",
]
_AMOUNTS = [
    "initial_capital",
    "final_balance",
    "final_value",
    "lowest_value",
    "pnl",
    "realized",
    "unrealized",
    "commissions",
    "funding",
    "drawdown_amount",
    "expectancy",
]
_RATIOS = [
    "total_return",
    "max_drawdown",
    "win_rate",
    "profit_factor",
    "sharpe_ratio",
    "sortino_ratio",
]
_COUNTS = [
    "orders",
    "fills",
    "total_trades",
    "winning_trades",
    "losing_trades",
    "break_even_trades",
]


def upgrade() -> None:
    """Make the tables with their indexes."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    _datasets(is_postgresql)
    _strategies()
    _runs()
    _artifacts()
    _events()
    if is_postgresql:
        for table, column in (
            ("strategies", "params"),
            ("runs", "params"),
            ("runs", "provenance"),
            ("events", "payload"),
        ):
            op.create_index(
                f"ix_{table}_{column}",
                table,
                [column],
                postgresql_using="gin",
                postgresql_ops={column: "jsonb_path_ops"},
            )


def downgrade() -> None:
    """Remove the tables and the enum types."""
    for table in ("events", "artifacts", "runs", "strategies", "datasets"):
        op.drop_table(table)
    for name in _ENUMS:
        sa.Enum(name=name).drop(op.get_bind(), checkfirst=True)


def _datasets(is_postgresql: bool) -> None:
    nonempty = (
        "cardinality(symbols) > 0 AND array_position(symbols, NULL) IS NULL "
        "AND array_position(symbols, '') IS NULL"
        if is_postgresql
        else "json_array_length(symbols) > 0 AND instr(symbols, '\"\"') = 0 "
        "AND instr(symbols, 'null') = 0"
    )
    op.create_table(
        "datasets",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("instrument", sa.String(128), nullable=False),
        sa.Column("symbols", _TEXTS, nullable=False),
        sa.Column("timeframe", sa.String(20), nullable=False),
        sa.Column("start_date", _TIME, nullable=False),
        sa.Column("end_date", _TIME, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("rejected_count", sa.BigInteger, nullable=False),
        sa.Column("partitions", _JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.UniqueConstraint("content_hash", name="uq_datasets_hash"),
        sa.CheckConstraint("start_date < end_date", name="ck_datasets_valid_daterange"),
        sa.CheckConstraint("length(content_hash) = 64", name="ck_datasets_hash_length"),
        sa.CheckConstraint("row_count >= 0 AND rejected_count >= 0", name="ck_datasets_counts"),
        sa.CheckConstraint(nonempty, name="ck_datasets_nonempty_symbols"),
    )
    op.create_index("ix_datasets_daterange", "datasets", ["start_date", "end_date"])
    op.create_index("ix_datasets_instrument", "datasets", ["instrument", "start_date"])
    op.create_index("ix_datasets_timeframe", "datasets", ["timeframe"])


def _strategies() -> None:
    op.create_table(
        "strategies",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("params", _JSON, nullable=False),
        sa.Column("params_hash", sa.String(64), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.UniqueConstraint(
            "name", "version", "params_hash", name="uq_strategies_name_version_params"
        ),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("status", _enum("run_status"), nullable=False),
        sa.Column("run_mode", _enum("run_mode"), nullable=False),
        sa.Column("detail", sa.String(16), nullable=False),
        sa.Column("config_name", sa.String(255), nullable=False),
        sa.Column("config_hash", sa.String(64), nullable=False),
        sa.Column("partition", sa.String(32), nullable=False),
        sa.Column("instrument", sa.String(128), nullable=False),
        sa.Column("dataset_id", _KEY, sa.ForeignKey("datasets.id", ondelete="RESTRICT")),
        sa.Column("strategy_id", _KEY, sa.ForeignKey("strategies.id", ondelete="RESTRICT")),
        sa.Column("digest", sa.String(64)),
        sa.Column("dagster_run_id", sa.String(64)),
        sa.Column("sweep_id", sa.String(80)),
        sa.Column("executed_at", _TIME, nullable=False),
        sa.Column("window_start", _TIME),
        sa.Column("window_end", _TIME),
        sa.Column("progress", _RATIO),
        sa.Column("phase", sa.String(255)),
        sa.Column("updated_at", _TIME),
        sa.Column("error", sa.Text),
        sa.Column("error_type", sa.String(128)),
        sa.Column("currency", sa.String(16)),
        *(sa.Column(name, _MONEY) for name in _AMOUNTS),
        *(sa.Column(name, _RATIO) for name in _RATIOS),
        *(sa.Column(name, sa.BigInteger) for name in _COUNTS),
        sa.Column("flag_count", sa.Integer),
        sa.Column("params", _JSON, nullable=False),
        sa.Column("provenance", _JSON, nullable=False),
        sa.UniqueConstraint("run_id", name="uq_runs_run_id"),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name="ck_runs_progress"),
        sa.CheckConstraint("initial_capital > 0", name="ck_runs_positive_capital"),
        sa.CheckConstraint("max_drawdown <= 0", name="ck_runs_drawdown_sign"),
        sa.CheckConstraint("win_rate >= 0 AND win_rate <= 1", name="ck_runs_win_rate"),
        sa.CheckConstraint(
            " AND ".join(f"{name} >= 0" for name in (*_COUNTS, "flag_count")),
            name="ck_runs_nonnegative_counts",
        ),
        sa.CheckConstraint(
            "total_trades = winning_trades + losing_trades + break_even_trades",
            name="ck_runs_trade_count_consistency",
        ),
        sa.CheckConstraint(
            "status <> 'succeeded' OR (dataset_id IS NOT NULL AND strategy_id IS NOT NULL "
            "AND digest IS NOT NULL AND error IS NULL)",
            name="ck_runs_succeeded_is_whole",
        ),
        sa.CheckConstraint(
            "status <> 'failed' OR error IS NOT NULL", name="ck_runs_failed_says_why"
        ),
        sa.CheckConstraint("window_start <= window_end", name="ck_runs_valid_window"),
    )
    for name in _SORTED:
        columns = dict.fromkeys((name, "id", "status"))
        op.create_index(f"ix_runs_by_{name}", "runs", [*columns])
    for name in _FILTERED:
        columns = dict.fromkeys((name, "status", "executed_at", "id"))
        op.create_index(f"ix_runs_of_{name}", "runs", [*columns])
    op.create_index("ix_runs_mode_date", "runs", ["run_mode", "executed_at"])
    op.create_index("ix_runs_dagster_run", "runs", ["dagster_run_id"])
    _partial("ix_runs_unfinished", ["executed_at"], "status IN ('queued', 'running')")
    _partial("ix_runs_failed", ["executed_at", "id"], "status = 'failed'")


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", _KEY, primary_key=True),
        sa.Column("run_id", _KEY, sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", _enum("artifact_kind"), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("storage_path", sa.String(512), nullable=False),
        sa.Column("mime_type", sa.String(127), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.UniqueConstraint("run_id", "storage_path", name="uq_artifacts_path"),
        sa.CheckConstraint("size_bytes >= 0", name="ck_artifacts_nonnegative_size"),
    )
    op.create_index("ix_artifacts_run_kind", "artifacts", ["run_id", "kind"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column(
            "run_id",
            _KEY,
            sa.ForeignKey("runs.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("sequence", _KEY, primary_key=True, autoincrement=False),
        sa.Column("event_type", sa.String(50), nullable=False),
        sa.Column("timestamp", _TIME, nullable=False),
        sa.Column("payload", _JSON, nullable=False),
        sa.CheckConstraint("sequence >= 0", name="ck_events_sequence"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_events_run_timestamp", "events", ["run_id", "timestamp"])
    op.create_index("ix_events_type", "events", ["event_type", "timestamp"])


def _enum(name: str) -> sa.Enum:
    return sa.Enum(*_ENUMS[name], name=name, create_constraint=True)


def _partial(name: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "runs", columns, sqlite_where=condition, postgresql_where=condition)
