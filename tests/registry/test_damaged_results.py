"""A result of unexpected content is named, and every other one is registered."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from contents import contents
from resultfiles import stored

from odum_assets.registry import register
from odum_assets.registry.database import RegistryError, result_store, writing
from odum_assets.registry.records import record_of
from odum_assets.registry.register import rebuild, register_run
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.settings import Settings

type _Damage = Callable[[Path], object]


def _change(place: str, value: Any) -> _Damage:
    """Return what writes a value into a document; `...` removes it."""

    def damage(path: Path) -> None:
        document = json.loads(path.read_text())
        *outer, last = place.split(".")
        inner = document
        for name in outer:
            inner = inner[int(name)] if isinstance(inner, list) else inner[name]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
        path.write_text(json.dumps(document))

    return damage


def _deep(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


def _link(path: Path) -> None:
    path.rename(path.with_name("kept.txt"))
    path.symlink_to(path.with_name("kept.txt"))


def _broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nothing"))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, _Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[:900]),
    "not UTF-8": lambda path: path.write_bytes(b'{"\xff": 1}'),
    "deep": lambda path: path.write_bytes(b"[" * 200_000),
    "list": lambda path: path.write_text("[]"),
    "no catalog": _change("metadata.catalog", []),
    "catalog of lists": _change("metadata.catalog", [[]]),
    "rows that no number holds": _change("metadata.catalog.0.rows", 10**30),
    "negative rows": _change("metadata.catalog.0.rows", -1),
    "day that is none": _change("metadata.catalog.0.day", "2024-13-01"),
    "no account": _change("summary.account", None),
    "text for a number": _change("summary.orders", "many"),
    "truth for a number": _change("summary.fills", True),
    "list for an object": _change("summary.trades", []),
    "object for a list": _change("summary.flags", {}),
    "figure that no column holds": _change("summary.pnl", 10**30),
    "figure that is none": _change("summary.account.final_balance", float("nan")),
    "win rate of 200": _change("summary.trades.win_rate", 200.0),
    "counts that do not add up": _change("summary.trades.total_trades", 77),
    "no capital": _change("summary.account.starting_balance", 0.0),
    "another's id": _change("run_id", "BNF_BTC_20240305_00000000_99a518_00000f"),
    "id that is a number": _change("run_id", 7),
    "no metadata": _change("metadata", ...),
    "time that is none": _change("metadata.created", "yesterday"),
    "time without zone": _change("metadata.created", "2026-01-01T00:00:00"),
    "long name": _change("metadata.config_name", "x" * 300),
    "no instrument": _change("metadata.instrument_key", "???"),
    "link": _link,
    "broken link": _broken_link,
    "folder": _folder,
    "pipe": _pipe,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_damaged_result_is_named_and_the_others_are_registered(
    registry: sa.Engine, settings: Settings, sample: Path, damage: str
) -> None:
    documents = stored(sample, settings.results_path, 5)
    ids = [each["run_id"] for each in documents]
    damaged = settings.results_path / "fast" / f"{ids[2]}.json"
    DAMAGES[damage](damaged)
    done = rebuild(registry, result_store(settings))

    assert (done.runs, len(done.problems)) == (4, 1), done.problems
    assert str(damaged) in done.problems[0]
    assert done.problems[0].isprintable()
    known = {row["run_id"] for row in contents(registry)["runs"]}
    assert known == {*ids} - {ids[2]}
    before = contents(registry)
    with pytest.raises(ResultError):
        register_run(settings, ids[2])
    assert contents(registry) == before
    register_run(settings, ids[3])
    # Lists go on, too.
    problems: list[str] = []
    listed = [each.run_id for each in ResultStore(settings.results_path).entries(problems)]
    assert set(listed) >= known
    assert len(listed) + len(problems) == 5 - (damage == "broken link" and not problems)


def test_what_only_postgresql_refuses(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    """Characters that its texts and JSON cannot hold; SQLite holds them."""
    documents = stored(sample, settings.results_path, 4)
    for number, value in ((1, "a\x00b"), (2, "\ud800")):
        path = settings.results_path / "fast" / f"{documents[number]['run_id']}.json"
        _change("metadata.window.first_trade", value)(path)
        _change("metadata.versions", {"odum_assets": value})(path)
    done = rebuild(registry, result_store(settings))
    assert len(done.problems) + done.runs == 4
    assert done.runs == 2


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
def test_refused_rows_take_nobody_with_them(
    registry: sa.Engine,
    settings: Settings,
    sample: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    """The first of a dataset is refused; those that share it are there with it."""
    monkeypatch.setattr(register, "_BATCH", batch)
    documents = stored(sample, settings.results_path, 20)
    bad = {0, 1, 7, 19}
    for number in bad:
        path = settings.results_path / "fast" / f"{documents[number]['run_id']}.json"
        _change("summary.trades.total_trades", 77)(path)
    done = rebuild(registry, result_store(settings))
    found = contents(registry)
    assert (done.runs, len(done.problems)) == (16, 4)
    assert len(found["datasets"]) == len(found["strategies"]) == 1
    assert all(row["dataset_id"] is not None for row in found["runs"])
    assert {row["run_id"] for row in found["runs"]} == {
        each["run_id"] for number, each in enumerate(documents) if number not in bad
    }
    # New runs get keys that nobody has.
    register_run(settings, documents[2]["run_id"])


def test_a_failure_s_damaged_record_is_named(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    stored(sample, settings.results_path, 2)
    folder = settings.results_path / "failed"
    folder.mkdir()
    for number, text in enumerate(("", "[]", "{}", "[" * 100_000, '{"run_id": 1}')):
        (folder / f"BNF_BTC_20240305_00000000_99a518_aaaa{number:02x}.json").write_text(text)
    (folder / "x.json").write_text("{}")
    done = rebuild(registry, result_store(settings))
    assert (done.runs, len(done.problems)) == (2, 6)
    assert all(str(folder) in each for each in done.problems)


def test_a_file_that_is_no_part_of_a_run_is_left_out_and_named(
    registry: sa.Engine, settings: Settings, sample: Path, tmp_path: Path
) -> None:
    (document,) = stored(sample, settings.results_path, 1)
    run_id = document["run_id"]
    report = settings.results_path / "report" / run_id
    report.mkdir(parents=True)
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (report / "good.json").write_text("{}")
    (report / os.fsdecode(b"\xff\xfe.json")).write_text("{}")
    (report / "out.txt").symlink_to(secret)
    (report / "inside.json").symlink_to(report / "good.json")
    (report / "folder").mkdir()
    database = settings.results_path / "registry.sqlite"
    if database.exists():
        (report / "in.sqlite").hardlink_to(database)
        (report / "link.sqlite").symlink_to(database)
    done = rebuild(registry, result_store(settings))

    found = {row["filename"] for row in contents(registry)["artifacts"]}
    assert found == {f"{run_id}.json", "good.json"}
    assert done.runs == 1
    assert len(done.problems) == 4 + 2 * database.exists()
    assert all(str(report) in each and each.isprintable() for each in done.problems)


def test_a_report_that_is_a_link_is_left_out(
    registry: sa.Engine, settings: Settings, sample: Path, tmp_path: Path
) -> None:
    (document,) = stored(sample, settings.results_path, 1)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.json").write_text("{}")
    (settings.results_path / "report").mkdir()
    (settings.results_path / "report" / document["run_id"]).symlink_to(outside)
    done = rebuild(registry, result_store(settings))
    assert done.runs == 1
    assert [row["filename"] for row in contents(registry)["artifacts"]] == [
        f"{document['run_id']}.json"
    ]
    assert "outside the results" in done.problems[0]


def test_what_is_wrong_with_the_database_blames_no_file(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    (document,) = stored(sample, settings.results_path, 1)
    with writing(registry) as connection:
        connection.execute(sa.text("DROP TABLE events"))
    for attempt in (
        lambda: register_run(settings, document["run_id"]),
        lambda: rebuild(registry, result_store(settings)),
    ):
        with pytest.raises(RegistryError, match="events"):
            attempt()
    assert record_of(result_store(settings), document["run_id"]).problems == []
