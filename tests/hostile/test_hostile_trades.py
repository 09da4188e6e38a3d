"""Whatever a trades file holds: every row is written exactly or counted, or nothing is written."""

import pytest
from hostilefile import HostileFile, check, examples
from hypothesis import given
from rawtrades import catalog_trades, hostile_trades


@examples(60)
@given(made=hostile_trades())
def test_every_trade_is_written_or_rejected_for_its_reason(made: HostileFile) -> None:
    check(made, catalog_trades)


@pytest.mark.torture
@pytest.mark.timeout(3000)
@examples(4000)
@given(made=hostile_trades())
def test_many_hostile_trades_files(made: HostileFile) -> None:
    check(made, catalog_trades)
