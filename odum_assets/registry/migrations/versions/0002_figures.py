"""Add growth, volatility, Calmar ratio, drawdown duration and the version of the figures' rules.

Drawdowns in money become zero or negative like those in fractions, and the profit net of
commissions and funding on every account. Runs that are there keep their other figures, which follow
version 1 of the rules; ``odum registry rebuild`` computes what it can from the files again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_RATIO = sa.Numeric(24, 12).with_variant(sa.Double(), "sqlite")
_RATIOS = ("cagr", "volatility", "calmar_ratio", "drawdown_duration_secs")


def upgrade() -> None:
    """Add the columns and bring the runs that are there to today's signs."""
    op.add_column("runs", sa.Column("figures_version", sa.Integer))
    for name in _RATIOS:
        op.add_column("runs", sa.Column(name, _RATIO))
        op.create_index(f"ix_runs_by_{name}", "runs", [name, "id", "status"])
    op.execute("UPDATE runs SET figures_version = 1 WHERE status = 'succeeded'")
    op.execute("UPDATE runs SET drawdown_amount = 0 - drawdown_amount")
    # Only where it is another figure: sums of floats differ from the one that the file has.
    op.execute(
        "UPDATE runs SET pnl = realized - commissions + funding "
        "WHERE abs(pnl - (realized - commissions + funding)) > 0.000000005"
    )


def downgrade() -> None:
    """Remove the columns; the profit stays net."""
    op.execute("UPDATE runs SET drawdown_amount = 0 - drawdown_amount")
    for name in _RATIOS:
        op.drop_index(f"ix_runs_by_{name}", "runs")
        op.drop_column("runs", name)
    op.drop_column("runs", "figures_version")
