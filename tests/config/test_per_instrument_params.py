"""Parameters of single instruments over those of all."""

from odum_assets.config.sections.bars import BarStrategyConfig


def test_objects_are_merged_key_by_key() -> None:
    spy, qqq = "ARCA:EQUITY:SPY", "NASDAQ:EQUITY:QQQ"
    section = BarStrategyConfig(
        name="ORB",
        params={"orb": {"base_minutes": 15, "adaptive": False}, "trade": {"partials": True}},
        per_instrument={spy: {"orb": {"base_minutes": 30}, "trade": 1, "new": {"a": 2}}},
    )
    assert section.params_of(spy) == {
        "orb": {"base_minutes": 30, "adaptive": False},
        "trade": 1,
        "new": {"a": 2},
    }
    assert section.params_of(qqq) == section.params
    assert section.params["orb"] == {"base_minutes": 15, "adaptive": False}
