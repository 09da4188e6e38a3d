"""The code that a result names is the code that ran, whatever becomes of the files meanwhile."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from tinydays import DAY, NOON, Market, own_strategy, text, variant, with_strategy

from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.strategies import trade_replay
from odum_assets.config.variants import grid, make_variants
from odum_assets.results.sweep import run_sweep
from odum_assets.results.verify import verify_result

STRATEGY = '''
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
from nautilus_trader.model import OrderSide, Quantity
from pydantic import BaseModel

from odum_assets.backtest.strategies.base import OdumStrategy

from . import signals
from .sizes.table import amount

if TYPE_CHECKING:
    import only_for_types


class Params(BaseModel):
    edits: dict[str, str] = {}
    loads: str = ""
    order: int = 0


class Buyer(OdumStrategy):
    """Buy once; edit files first, as a person does while a run is active."""

    Params = Params

    def on_start(self):
        for name, content in self.params.edits.items():
            Path(name).write_text(content)
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, trade):
        import late

        size = amount() * signals.FACTOR * late.FACTOR
        if self.params.loads:
            size *= importlib.import_module(self.params.loads).FACTOR
        if not getattr(self, "done", False):
            self.done = True
            self.submit_order(
                self.order_factory.market(
                    self.setup.instrument_id, OrderSide.BUY, Quantity.from_str(f"{size}.000")
                )
            )
'''
FILES = {
    "company/momentum.py": STRATEGY,
    "company/signals.py": "import beside\nFACTOR = beside.FACTOR\n",
    "company/sizes/__init__.py": "",
    "company/sizes/table.py": "from .. import signals\nfrom ..base import ONE\ndef amount():\n"
    "    return ONE\n",
    "company/base.py": "ONE = 1\n",
    "beside.py": "FACTOR = 2\n",
    "late.py": "FACTOR = 1\n",
    "by_name.py": "FACTOR = 3\n",
    "only_for_types.py": "import broken (\n",
    "not_imported.py": "FACTOR = 100\n",
}
OWN = "company.momentum:Buyer"
RAN = {
    "beside",
    "company.base",
    "company.momentum",
    "company.signals",
    "company.sizes.table",
    "late",
    # Imported as far as anybody can tell without running it.
    "only_for_types",
}


@pytest.fixture
def place(market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Market:
    for name, content in FILES.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "project")
    market.trades([(NOON + second, "buy", "64000.0", "50") for second in (1, 2, 3)])
    return market


def _sha(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _file(module: str) -> str:
    return module.replace(".", "/") + ".py"


def _hashes(names: set[str], **changed: str) -> dict[str, str]:
    return {name: _sha(changed.get(name, FILES[_file(name)])) for name in sorted(names)}


def _bought(run: Any) -> str:
    return text(run.fills[0]["quantity"])


def test_the_modules_that_a_strategy_is_made_of_are_hashed(place: Market) -> None:
    run = place.run(with_strategy(own_strategy(OWN)))
    assert _bought(run) == "2"
    assert run.metadata["strategy_modules"] == _hashes(RAN)
    assert not any("edited" in flag for flag in run.summary["flags"])
    again = place.run(with_strategy(own_strategy(OWN)))
    assert again.metadata["strategy_sha256"] == run.metadata["strategy_sha256"]

    by_name = place.run(with_strategy(own_strategy(OWN, loads="by_name")))
    assert _bought(by_name) == "6"
    assert by_name.metadata["strategy_modules"] == _hashes(RAN | {"by_name"})


def test_a_module_by_itself_is_known_by_its_own_hash(place: Market) -> None:
    alone = STRATEGY.replace("from . import signals\nfrom .sizes.table import amount\n", "")
    alone = alone.replace("        import late\n", "").replace(
        "    import only_for_types", "    pass"
    )
    alone = alone.replace("amount() * signals.FACTOR * late.FACTOR", "4")
    Path("company/__init__.py").write_text("\n")
    Path("company/momentum.py").write_text(alone)
    run = place.run(with_strategy(own_strategy(OWN)))
    assert run.metadata["strategy_sha256"] == _sha(alone)
    built_in = place.run(variant())
    source = _sha(Path(str(trade_replay.__file__)).read_bytes())
    assert built_in.metadata["strategy_sha256"] == source
    assert built_in.metadata["strategy_modules"] == {trade_replay.__name__: source}


def test_files_edited_during_a_run_do_not_count_and_are_named(place: Market) -> None:
    edits = {
        "late.py": "FACTOR = 10\n",
        "company/momentum.py": "raise RuntimeError('half an edit')\n",
    }
    run = place.run(with_strategy(own_strategy(OWN, edits=edits)))
    # Late is imported after it was edited.
    assert _bought(run) == "2"
    assert run.metadata["strategy_modules"] == _hashes(RAN)
    assert (
        "company.momentum, late was edited during the run; this is the result of the code as it "
        "was at the start, which strategy_sha256 identifies." in run.summary["flags"]
    )


def test_a_compiled_file_of_the_same_second_and_size_does_not_run(place: Market) -> None:
    config = with_strategy(own_strategy(OWN))
    path = Path("late.py")
    __import__("py_compile").compile(str(path), doraise=True)
    stat = path.stat()
    path.write_text("FACTOR = 7\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    run = place.run(config)
    assert run.metadata["strategy_modules"]["late"] == _sha("FACTOR = 7\n")
    assert _bought(run) == "14"


def _sweep(market: Market, chosen: list[dict[str, Any]]) -> Any:
    config = with_strategy(own_strategy(OWN))
    request = RunRequest(config, (DAY,), DAY.isoformat(), snapshot_mode="trades")
    return run_sweep(request, make_variants(config, chosen), market.settings, slots=1)


def test_variants_that_start_after_an_edit_run_the_code_of_the_first(place: Market) -> None:
    edits = {"company/signals.py": "FACTOR = 9\n", "late.py": "FACTOR = 9\n"}
    first = {"strategy.params.edits": edits}
    swept = _sweep(place, [first, *grid({"strategy.params.order": [1, 2]})])
    assert [each.error for each in swept.variants] == [None, None, None]
    assert len({each.digest for each in swept.variants}) == 1
    # Each says that files were edited under it.
    assert all(any("edited" in flag for flag in each.flags) for each in swept.variants)


def test_a_module_loaded_by_name_and_edited_between_variants_is_noticed(place: Market) -> None:
    loads = {"strategy.params.loads": "by_name"}
    swept = _sweep(
        place,
        [
            loads,
            {"strategy.params.edits": {"by_name.py": "FACTOR = 5\n"}},
            {**loads, "strategy.params.order": 1},
            {"strategy.params.order": 2},
        ],
    )
    first, second, third, fourth = (each.error for each in swept.variants)
    assert (first, second, fourth) == (None, None, None)
    assert third is not None
    assert "by_name was edited during the sweep" in third


def test_verify_names_the_modules_that_are_others_now(place: Market) -> None:
    run = place.run(with_strategy(own_strategy(OWN)))
    Path("beside.py").write_text("FACTOR = 3\n")
    found = verify_result(run.result.run_id, place.settings)
    assert not found.equal
    assert found.changed_inputs == ("strategy source beside",)


def test_a_namespace_inside_a_namespace_and_a_broken_module(place: Market) -> None:
    Path("outer/inner").mkdir(parents=True)
    Path("outer/inner/momentum.py").write_text(
        STRATEGY.replace("from . import signals", "from company import signals").replace(
            "from .sizes.table import amount", "from company.sizes.table import amount"
        )
    )
    run = place.run(with_strategy(own_strategy("outer.inner.momentum:Buyer")))
    assert {"outer.inner.momentum", "company.signals"} <= set(run.metadata["strategy_modules"])
    Path("beside.py").write_text("FACTOR = (\n")
    with pytest.raises(Exception, match=r"cannot be imported from .*SyntaxError.*beside\.py"):
        place.run(with_strategy(own_strategy(OWN)))
