"""The opening-range breakout as a strategy on bars: one machine for each instrument."""

from collections.abc import Sequence
from pathlib import Path

from odum_assets.bars.broker import BarHandler
from odum_assets.bars.orb.files import write_files
from odum_assets.bars.orb.governance import AccountGovernance
from odum_assets.bars.orb.machine import OrbMachine
from odum_assets.bars.orb.params import OrbParams
from odum_assets.bars.orb.study import prepare_study
from odum_assets.bars.orb.tables import Traded
from odum_assets.bars.strategy import BarSetup, BarStrategy


class OpeningRangeBreakout(BarStrategy):
    """Enter where price leaves the range of a session's first minutes.

    Limits of the account are those of the first instrument's parameters.
    """

    Params = OrbParams

    def __init__(self, setups: Sequence[BarSetup]) -> None:
        self._setups = setups
        self._starting_balance = float(setups[0].account.equity)
        account = AccountGovernance(setups[0].params.governance)
        self.machines = [_machine(setup, account) for setup in setups]

    @property
    def handlers(self) -> Sequence[BarHandler]:
        """Return one machine for each instrument."""
        return self.machines

    def finish(self, folder: Path) -> None:
        """Write trades, figures, sessions and factors of every instrument."""
        every = []
        for setup, machine in zip(self._setups, self.machines, strict=True):
            machine.finish()
            symbol = symbol_of(setup.instrument)
            every.append(Traded(symbol, machine, setup.params, setup.tick_value, setup.fees))
        write_files(every, self._starting_balance, folder)


def symbol_of(instrument: str) -> str:
    """Return what tables and files call an instrument: SPY of ``ARCA:EQUITY:SPY``."""
    return instrument.rpartition(":")[2].replace("@", "-")


def _machine(setup: BarSetup, account: AccountGovernance) -> OrbMachine:
    study = prepare_study(setup.series, setup.rules, setup.params)
    first = setup.first
    trade_from = 0
    if first < len(setup.series):
        # Sessions before the first bar of the run are for indicators only.
        session = study.bars.session[study.bars.row_of[first]]
        trade_from = study.ranges[session].session.open_ns
    return OrbMachine(
        study,
        setup.params,
        setup.broker,
        account,
        setup.path,
        setup.tick_value,
        trade_from,
        first,
    )
