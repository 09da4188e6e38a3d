"""Reading the registry: lists that filter, sort and page, and single rows.

Every function takes an open connection (`odum_assets.registry.database.reading`) of an engine from
`odum_assets.registry.register.open_registry`, and returns plain dictionaries: times have a zone,
amounts and fractions are `Decimal`, enums their members. Pages follow each other by a cursor or an
offset. What is not known comes last in either direction, which is why no library does the paging:
sqlakeyset takes columns without nulls only.

Active runs are rows like the others: `status`, `progress` and `phase` say how far they are.
Events come from the file of a run that ended, so an active run has none yet.
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from odum_assets.registry.created import IDENTITY, uuid_of
from odum_assets.registry.database import RegistryError
from odum_assets.registry.models import (
    ARTIFACTS,
    DATASETS,
    EVENTS,
    IS_PENDING,
    PENDING,
    RUNS,
    SORTED_COLUMNS,
    STRATEGIES,
)
from odum_assets.registry.records import VERIFIED, Row
from odum_assets.registry.types import (
    MONEY_DECIMALS,
    MONEY_DIGITS,
    Exact,
    RunMode,
    RunStatus,
    UtcTime,
)
from odum_assets.results.run_id import is_run_id

MAX_LIMIT = 1_000

_PART = re.compile(r"[A-Za-z0-9_]{3,64}")
_LARGEST = 2**63 - 1
_LARGEST_AMOUNT = Decimal(10) ** (MONEY_DIGITS - MONEY_DECIMALS)

_INNER = {"params", "provenance"}
_LISTED = [column for column in RUNS.c if column.name not in _INNER]


_SEARCHED = (
    RUNS.c.run_id + " " + RUNS.c.config_name + " " + RUNS.c.instrument + " " + RUNS.c.partition
)
_EQUAL = (
    "config_name",
    "instrument",
    "partition",
    "dataset_id",
    "strategy_id",
    "run_mode",
    "detail",
    "dagster_run_id",
    "sweep_id",
)
_MOMENTS = ("executed_from", "executed_to")


class QueryError(RegistryError):
    """Report a question that the registry cannot answer: a column, limit or cursor."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Lowest and highest value of a figure, both included; None is none."""

    figure: str
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; what is None does not narrow.

    Parameters
    ----------
    config_name, instrument, partition, dagster_run_id, sweep_id : str or None
        Exactly these.
    status : RunStatus, several of them, or None
        One of these.
    run_mode : RunMode or None
        Exactly this.
    detail : str or None
        ``fast`` or ``report``.
    dataset_id, strategy_id : int or None
        Keys of what was run over and what was run.
    executed_from, executed_to : datetime or None
        Time of the end, `executed_to` not included.
    params : dict or None
        Options that the run's ``params`` hold: ``{"exec_algorithm": {"type": "TWAP"}}`` finds every
        run with this type, whatever its other options. Of a list, some of its plain values.
    flagged : bool or None
        Whether there are warnings about it.
    verified : bool or None
        Whether the latest verification gave the same digest; None where it does not matter.
    words : tuple of (str, tuple of str)
        Texts that are all found in run id, configuration, instrument or partition, whatever their
        case; each with runs that have it elsewhere.
    run_ids : sequence of str or None
        Only these.
    not_run_ids : sequence of str
        None of these.
    bounds : tuple of Bound
        Lowest and highest values of figures.
    """

    config_name: str | None = None
    status: RunStatus | Sequence[RunStatus] | None = None
    instrument: str | None = None
    partition: str | None = None
    dataset_id: int | None = None
    strategy_id: int | None = None
    run_mode: RunMode | None = None
    detail: str | None = None
    dagster_run_id: str | None = None
    sweep_id: str | None = None
    executed_from: datetime | None = None
    executed_to: datetime | None = None
    params: Row | None = None
    flagged: bool | None = None
    verified: bool | None = None
    words: tuple[tuple[str, tuple[str, ...]], ...] = ()
    run_ids: Sequence[str] | None = None
    not_run_ids: Sequence[str] = ()
    bounds: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list.

    Parameters
    ----------
    rows : list of dict
        In order.
    next_cursor : str or None
        Where the next page starts; None on the last one.
    total : int or None
        Rows of all pages; None where that was not asked for.
    """

    rows: list[Row] = field(default_factory=list)
    next_cursor: str | None = None
    total: int | None = None


def list_runs(
    connection: sa.Connection,
    where: RunFilter | None = None,
    sort: str = "-executed_at",
    limit: int = 50,
    cursor: str | None = None,
    offset: int = 0,
    with_total: bool = False,
) -> Page:
    """Return a page of runs without their inner documents (params, provenance).

    Parameters
    ----------
    connection : sa.Connection
        To read from.
    where : RunFilter, optional
        All runs by default.
    sort : str
        A column of `SORTED_COLUMNS`, with ``-`` before it for the highest first.
    limit : int
        Rows of a page, up to `MAX_LIMIT`.
    cursor : str, optional
        `next_cursor` of the page before, with the same filter and sort.
    offset : int
        Rows to leave out first, in place of a cursor; thousands of them take time under a filter.
    with_total : bool
        Whether to count the rows of all pages.

    Raises
    ------
    QueryError
        If a column, limit, offset or cursor cannot be used.
    """
    name, is_down = _sorting(sort)
    if not 1 <= limit <= MAX_LIMIT:
        raise QueryError(f"limit: found {limit}, allowed 1 to {MAX_LIMIT}")
    if not 0 <= offset <= _LARGEST or (offset and cursor is not None):
        raise QueryError(f"offset: found {offset}, allowed 0 or more, and none with a cursor")
    where = where or RunFilter()
    # One more than asked for tells whether there is a next page.
    keys = _keys(connection, name, is_down, where, limit + 1, _position(cursor, sort), offset)
    query = sa.select(*_LISTED).where(RUNS.c.id.in_(keys[:limit]))
    by_key = {row["id"]: dict(row) for row in connection.execute(query).mappings()}
    rows = [by_key[key] for key in keys[:limit]]
    following = _cursor(rows[-1], name, sort) if len(keys) > limit else None
    return Page(rows, following, count_runs(connection, where) if with_total else None)


def count_runs(connection: sa.Connection, where: RunFilter | None = None) -> int:
    """Return how many runs a filter leaves."""
    query = sa.select(sa.func.count()).select_from(RUNS)
    conditions = _conditions(connection, where or RunFilter())
    return int(connection.execute(query.where(*conditions)).scalar_one())


def get_run(connection: sa.Connection, run_id: str) -> Row | None:
    """Return a run with everything, its dataset and strategy as rows; None when unknown."""
    if not is_run_id(run_id):
        return None
    run = _one(connection, sa.select(RUNS).where(RUNS.c.run_id == run_id))
    if run is None:
        return None
    dataset = sa.select(DATASETS).where(DATASETS.c.id == run["dataset_id"])
    strategy = sa.select(STRATEGIES).where(STRATEGIES.c.id == run["strategy_id"])
    return {**run, "dataset": _one(connection, dataset), "strategy": _one(connection, strategy)}


def get_runs_of_dagster(connection: sa.Connection, dagster_run_id: str) -> list[Row]:
    """Return the runs of a Dagster run, in the order in which they came: several for a sweep."""
    query = sa.select(*_LISTED).where(RUNS.c.dagster_run_id == dagster_run_id)
    return _all(connection, query.order_by(RUNS.c.id))


def get_run_ids(connection: sa.Connection, dagster_run_ids: Sequence[str]) -> dict[str, str]:
    """Return the run ids of Dagster runs by their ids; unknown ones are left out."""
    which = RUNS.c.dagster_run_id.in_(dagster_run_ids)
    rows = connection.execute(sa.select(RUNS.c.dagster_run_id, RUNS.c.run_id).where(which))
    return {row.dagster_run_id: row.run_id for row in rows}


def find_run_ids(connection: sa.Connection, part: str) -> list[str]:
    """Return the ids of runs that begin or end with a text, in any case."""
    if _PART.fullmatch(part) is None:
        return []
    name = RUNS.c.run_id
    fits = name.istartswith(part, autoescape=True) | name.iendswith(part, autoescape=True)
    query = sa.select(name).where(fits).order_by(name).limit(MAX_LIMIT)
    return list(connection.execute(query).scalars())


def get_runs(connection: sa.Connection, run_ids: Sequence[str]) -> list[Row]:
    """Return several runs in the order of their ids; unknown ones are left out."""
    known = [run_id for run_id in run_ids if is_run_id(run_id)]
    query = sa.select(*_LISTED).where(RUNS.c.run_id.in_(known))
    by_id = {row["run_id"]: dict(row) for row in connection.execute(query).mappings()}
    return [by_id[run_id] for run_id in dict.fromkeys(run_ids) if run_id in by_id]


def list_artifacts(connection: sa.Connection, run_id: str) -> list[Row]:
    """Return the files of a run by path."""
    if not is_run_id(run_id):
        return []
    query = (
        sa.select(ARTIFACTS)
        .join(RUNS, RUNS.c.id == ARTIFACTS.c.run_id)
        .where(RUNS.c.run_id == run_id)
        .order_by(ARTIFACTS.c.storage_path)
    )
    return _all(connection, query)


def list_events(
    connection: sa.Connection,
    run_id: str,
    after: int = -1,
    limit: int = 100,
    event_type: str | None = None,
) -> list[Row]:
    """Return events of a run in order of their sequence.

    Parameters
    ----------
    connection : sa.Connection
        To read from.
    run_id : str
        The run.
    after : int
        Sequence of the last event of the page before.
    limit : int
        Events of a page.
    event_type : str, optional
        Only of this type.
    """
    if not is_run_id(run_id):
        return []
    key = sa.select(RUNS.c.id).where(RUNS.c.run_id == run_id).scalar_subquery()
    query = (
        sa.select(EVENTS)
        .where(EVENTS.c.run_id == key, EVENTS.c.sequence > after)
        .order_by(EVENTS.c.sequence)
        .limit(limit)
    )
    return _all(connection, _with(query, EVENTS.c.event_type, event_type))


def latest_events(connection: sa.Connection, event_type: str, limit: int = 100) -> list[Row]:
    """Return the newest events of a type over all runs, with the ids of their runs."""
    query = (
        sa.select(
            RUNS.c.run_id,
            EVENTS.c.sequence,
            EVENTS.c.event_type,
            EVENTS.c.timestamp,
            EVENTS.c.payload,
        )
        .join(RUNS, RUNS.c.id == EVENTS.c.run_id)
        .where(EVENTS.c.event_type == event_type)
        .order_by(EVENTS.c.timestamp.desc())
        .limit(limit)
    )
    return _all(connection, query)


def list_datasets(
    connection: sa.Connection, instrument: str | None = None, limit: int = 100, offset: int = 0
) -> list[Row]:
    """Return datasets by instrument and first day."""
    query = sa.select(DATASETS).order_by(
        DATASETS.c.instrument, DATASETS.c.start_date, DATASETS.c.id
    )
    query = _with(query, DATASETS.c.instrument, instrument)
    return _all(connection, query.limit(limit).offset(offset))


def count_datasets(connection: sa.Connection, instrument: str | None = None) -> int:
    """Return how many datasets there are, of one instrument or all."""
    return _count(connection, DATASETS.c.instrument, instrument)


def count_strategies(connection: sa.Connection, name: str | None = None) -> int:
    """Return how many strategies there are, of one name or all."""
    return _count(connection, STRATEGIES.c.name, name)


def list_strategies(
    connection: sa.Connection, name: str | None = None, limit: int = 100, offset: int = 0
) -> list[Row]:
    """Return strategies by name and version."""
    query = sa.select(STRATEGIES).order_by(
        STRATEGIES.c.name, STRATEGIES.c.version, STRATEGIES.c.params_hash
    )
    query = _with(query, STRATEGIES.c.name, name)
    return _all(connection, query.limit(limit).offset(offset))


def get_entry(connection: sa.Connection, table: sa.Table, name: int | UUID) -> Row | None:
    """Return a dataset or strategy by its id or its UUID, None if there is none."""
    key: int | None = name if isinstance(name, int) else None
    if isinstance(name, UUID):
        columns = [table.c[column] for column in IDENTITY[table]]
        rows = connection.execute(sa.select(table.c.id, *columns)).mappings()
        key = next((row["id"] for row in rows if uuid_of(table, row) == name), None)
    return None if key is None else _one(connection, sa.select(table).where(table.c.id == key))


def _keys(
    connection: sa.Connection,
    name: str,
    is_down: bool,
    where: RunFilter,
    limit: int,
    position: tuple[Any, int] | None,
    offset: int,
) -> list[int]:
    """Return the keys of a page; what is not known comes last in either direction."""
    column, key = RUNS.c[name], RUNS.c.id
    way = sa.desc if is_down else sa.asc
    query = sa.select(key).where(*_conditions(connection, where))
    if position is not None:
        query = query.where(_after(column, is_down, position))
    order = way(column).nulls_last() if column.nullable else way(column)
    query = query.order_by(order, way(key)).limit(limit).offset(offset)
    return list(connection.execute(query).scalars())


def _after(
    column: sa.Column[Any], is_down: bool, position: tuple[Any, int]
) -> sa.ColumnElement[bool]:
    """Return the condition of the rows after a position in the order of a column and the keys."""
    value, key = position[0], sa.literal(position[1])
    if value is None:
        later = RUNS.c.id < key if is_down else RUNS.c.id > key
        return sa.and_(column.is_(None), later)
    current, previous = sa.tuple_(column, RUNS.c.id), sa.tuple_(sa.literal(value, column.type), key)
    known = current < previous if is_down else current > previous
    return sa.or_(known, column.is_(None)) if column.nullable else known


def _conditions(connection: sa.Connection, where: RunFilter) -> list[sa.ColumnElement[bool]]:
    equal = {name: getattr(where, name) for name in _EQUAL}
    for name, value in (*equal.items(), *((name, getattr(where, name)) for name in _MOMENTS)):
        _check_value(name, value)
    conditions = [RUNS.c[name] == value for name, value in equal.items() if value is not None]
    if where.status is not None:
        statuses = [where.status] if isinstance(where.status, RunStatus) else [*where.status]
        is_pending = sorted(statuses) == sorted(PENDING)
        conditions.append(IS_PENDING if is_pending else RUNS.c.status.in_(statuses))
    if where.executed_from is not None:
        conditions.append(RUNS.c.executed_at >= where.executed_from)
    if where.executed_to is not None:
        conditions.append(RUNS.c.executed_at < where.executed_to)
    conditions += _narrowing(where)
    if where.params is not None:
        if connection.dialect.name == "postgresql":
            conditions.append(RUNS.c.params.op("@>")(sa.literal(where.params, RUNS.c.params.type)))
        else:
            conditions += _holding("$", where.params)
    return conditions


def _narrowing(where: RunFilter) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions on warnings, verifications, words, named runs and figures."""
    if where.flagged is not None:
        yield RUNS.c.flag_count > 0 if where.flagged else RUNS.c.flag_count == 0
    if where.verified is not None:
        yield RUNS.c.id.in_(_verified(where.verified))
    for word, elsewhere in where.words:
        _check_value("q", word)
        matches = _SEARCHED.icontains(word, autoescape=True)
        yield matches | RUNS.c.run_id.in_(elsewhere) if elsewhere else matches
    if where.run_ids is not None:
        yield RUNS.c.run_id.in_(where.run_ids)
    if where.not_run_ids:
        yield RUNS.c.run_id.not_in(where.not_run_ids)
    for bound in where.bounds:
        column = RUNS.c[bound.figure]
        if bound.lowest is not None:
            yield column >= sa.literal(bound.lowest, sa.Double())
        if bound.highest is not None:
            yield column <= sa.literal(bound.highest, sa.Double())


def _verified(equal: bool) -> sa.Select[Any]:
    """Return the keys of the runs whose latest verification ended like this."""
    later = EVENTS.alias()
    is_latest = ~(
        sa.select(1)
        .where(
            later.c.run_id == EVENTS.c.run_id,
            later.c.event_type == VERIFIED,
            later.c.sequence > EVENTS.c.sequence,
        )
        .exists()
    )
    ended = EVENTS.c.payload["equal"].as_boolean()
    return sa.select(EVENTS.c.run_id).where(
        EVENTS.c.event_type == VERIFIED, ended.is_(sa.true() if equal else sa.false()), is_latest
    )


def get_verified(connection: sa.Connection, keys: Sequence[int]) -> dict[int, bool]:
    """Return how the latest verification ended, by the keys of runs that have one."""
    which = EVENTS.c.run_id.in_(keys) & (EVENTS.c.event_type == VERIFIED)
    query = sa.select(EVENTS.c.run_id, EVENTS.c.payload).where(which).order_by(EVENTS.c.sequence)
    return {row.run_id: row.payload["equal"] for row in connection.execute(query)}


def get_costs(connection: sa.Connection, where: RunFilter, limit: int) -> list[tuple[float, int]]:
    """Return wall time (s) of replay and counting, and replayed rows, of the latest runs."""
    query = (
        sa.select(RUNS.c.provenance)
        .where(*_conditions(connection, where))
        .order_by(RUNS.c.executed_at.desc(), RUNS.c.id.desc())
        .limit(limit)
    )
    costs = []
    for provenance in connection.execute(query).scalars():
        resources = provenance["resources"]
        seconds = resources["replay_secs"] + resources["accounting_secs"]
        costs.append((seconds, provenance["rows_replayed"]))
    return costs


def get_runs_over(
    connection: sa.Connection, instrument: str, data_type: str, day: date, limit: int
) -> list[Row]:
    """Return the latest runs that read a catalog partition, with its ``digest`` then."""
    midnight = datetime.combine(day, time(), UTC)
    query = sa.select(DATASETS.c.id, DATASETS.c.instrument, DATASETS.c.partitions).where(
        DATASETS.c.start_date <= midnight, DATASETS.c.end_date > midnight
    )
    wanted = {"data_type": data_type, "day": day.isoformat()}
    digests = {
        row.id: part["digest"]
        for row in connection.execute(query)
        for part in row.partitions
        # Of ticks the dataset says whose they are.
        if part.get("instrument", row.instrument) == instrument
        and {name: part.get(name) for name in wanted} == wanted
    }
    runs = (
        sa.select(RUNS.c.run_id, RUNS.c.config_name, RUNS.c.executed_at, RUNS.c.dataset_id)
        .where(RUNS.c.dataset_id.in_(digests))
        .order_by(RUNS.c.executed_at.desc(), RUNS.c.id.desc())
        .limit(limit)
    )
    rows = _all(connection, runs)
    for row in rows:
        row["digest"] = digests[row.pop("dataset_id")]
    return rows


def list_sweeps(connection: sa.Connection, config_name: str | None = None) -> list[Row]:
    """Return sweeps whose variants are in the registry, newest first.

    Returns
    -------
    list of dict
        ``sweep_id config_name partition instrument created_at``, and ``by_status``, the number of
        variants by their status.
    """
    names = ("sweep_id", "config_name", "partition", "instrument", "status")
    columns = [RUNS.c[name] for name in names]
    query = (
        sa.select(*columns, sa.func.count(), sa.func.min(RUNS.c.executed_at))
        .where(RUNS.c.sweep_id.is_not(None))
        .group_by(*columns)
    )
    sweeps: dict[str, Row] = {}
    for *values, count, moment in connection.execute(_with(query, RUNS.c.config_name, config_name)):
        row = dict(zip(names, values, strict=True))
        status = row.pop("status")
        sweep = sweeps.setdefault(row["sweep_id"], {**row, "created_at": moment, "by_status": {}})
        sweep["by_status"][status] = sweep["by_status"].get(status, 0) + count
        sweep["created_at"] = min(sweep["created_at"], moment)
    return sorted(
        sweeps.values(), key=lambda row: (row["created_at"], row["sweep_id"]), reverse=True
    )


def get_variants(connection: sa.Connection, sweep_id: str) -> list[Row]:
    """Return the runs of a sweep with what is varied (``sweep``) and their warnings (``flags``).

    ``sweep`` is as in the provenance of a result; None where an earlier version registered it.
    """
    asked = RUNS.c.provenance[("request", "metadata", "sweep")]
    query = sa.select(*_LISTED, RUNS.c.provenance["sweep"].label("own"), asked.label("asked"))
    rows = _all(connection, query.where(RUNS.c.sweep_id == sweep_id).order_by(RUNS.c.id))
    flags: dict[int, list[str]] = {}
    warnings = (
        sa.select(EVENTS.c.run_id, EVENTS.c.payload)
        .join(RUNS, RUNS.c.id == EVENTS.c.run_id)
        .where(RUNS.c.sweep_id == sweep_id, EVENTS.c.event_type == "warning")
        .order_by(EVENTS.c.run_id, EVENTS.c.sequence)
    )
    for row in connection.execute(warnings):
        flags.setdefault(row.run_id, []).append(row.payload["text"])
    return [
        {**row, "sweep": row["own"] or row["asked"], "flags": flags.get(row["id"], [])}
        for row in rows
    ]


def get_dagster_runs(connection: sa.Connection, sweep_ids: Sequence[str]) -> dict[str, str]:
    """Return the Dagster runs that carried sweeps out, by the ids of the sweeps."""
    query = (
        sa.select(RUNS.c.sweep_id, sa.func.max(RUNS.c.dagster_run_id))
        .where(RUNS.c.sweep_id.in_(sweep_ids))
        .group_by(RUNS.c.sweep_id)
    )
    return {sweep: run for sweep, run in connection.execute(query).tuples() if run is not None}


def count_groups(
    connection: sa.Connection, where: RunFilter, names: Sequence[str]
) -> list[tuple[tuple[Any, ...], int]]:
    """Return the combinations of values that runs have in some columns, and how many have each.

    A name may be ``flagged``, whether there are warnings.
    """
    columns = [(RUNS.c.flag_count > 0) if name == "flagged" else RUNS.c[name] for name in names]
    query = sa.select(*columns, sa.func.count()).where(*_conditions(connection, where))
    rows = connection.execute(query.group_by(*columns))
    return [(tuple(row[:-1]), row[-1]) for row in rows]


def group_runs(connection: sa.Connection, where: RunFilter, column: str, limit: int) -> list[Row]:
    """Return runs by what they have in a column: how many, and their best and worst figures.

    Parameters
    ----------
    connection : sa.Connection
        To read from.
    where : RunFilter
        Which runs.
    column : str
        One of `FILTERED_COLUMNS`.
    limit : int
        Groups at most: those with most runs.
    """
    # Not by the column's own index, which would lead to the rows one by one.
    key, runs = sa.func.coalesce(RUNS.c[column], sa.null()), sa.func.count()
    figures: list[sa.ColumnElement[Any]] = [
        sa.func.sum(sa.case((RUNS.c.status == RunStatus.FAILED, 1), else_=0)).label("failed"),
        sa.func.max(RUNS.c.executed_at).label("executed_at"),
        sa.func.max(RUNS.c.total_return).label("best_return"),
        sa.func.avg(RUNS.c.total_return).label("mean_return"),
        sa.func.min(RUNS.c.total_return).label("worst_return"),
        sa.func.max(RUNS.c.sharpe_ratio).label("best_sharpe"),
        sa.func.min(RUNS.c.max_drawdown).label("worst_drawdown"),
        sa.func.sum(sa.case((RUNS.c.flag_count > 0, 1), else_=0)).label("flagged"),
    ]
    columns: list[sa.ColumnElement[Any]] = [key.label("value"), runs.label("runs"), *figures]
    query = sa.select(*columns).where(*_conditions(connection, where)).group_by(key)
    return _all(connection, query.order_by(runs.desc(), key).limit(limit))


def _check_value(name: str, value: Any) -> None:  # noqa: ANN401 - any value of a filter
    """Refuse what no column can hold, before a driver stumbles over it."""
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise QueryError(f"{name}: found {value}, which is too large")
    if isinstance(value, Decimal) and not (value.is_finite() and abs(value) < _LARGEST_AMOUNT):
        raise QueryError(f"{name}: not a number that a column holds")
    if isinstance(value, str) and ("\x00" in value or not _is_encodable(value)):
        raise QueryError(f"{name}: found {value!r}, allowed text without half characters and NUL")
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise QueryError(f"{name}: found {value}, allowed a time with its zone")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _holding(path: str, value: Any) -> Iterator[sa.ColumnElement[bool]]:  # noqa: ANN401 - JSON
    """Yield the conditions that a place in ``params`` holds a value, as ``@>`` means it."""
    inside = sa.type_coerce(RUNS.c.params, sa.Text)
    kind = sa.func.json_type(inside, path)
    if isinstance(value, dict):
        yield kind == "object"
        for name, inner in value.items():
            if '"' in name:
                raise QueryError(f"params: found the name {name!r}, allowed names without quotes")
            yield from _holding(f'{path}."{name}"', inner)
    elif isinstance(value, list):
        yield kind == "array"
        for item in value:
            if isinstance(item, dict | list):
                raise QueryError("params: lists of plain values only")
            items = sa.func.json_each(inside, path).table_valued("value", "type")
            one = sa.select(1).select_from(items).where(*_is(items.c.value, items.c.type, item))
            yield one.correlate(RUNS).exists()
    else:
        yield from _is(sa.func.json_extract(inside, path), kind, value)


def _is(
    stored: sa.ColumnElement[Any],
    kind: sa.ColumnElement[Any],
    value: Any,  # noqa: ANN401 - any plain JSON value
) -> Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions that a plain value is found: a text is no number, 1 is not true."""
    if value is None or isinstance(value, bool):
        yield kind == {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, str):
        yield kind == "text"
        yield stored == value
    else:
        yield kind.in_(["integer", "real"])
        yield stored == sa.literal(value)


def _sorting(sort: str) -> tuple[str, bool]:
    name = sort.removeprefix("-")
    if name not in SORTED_COLUMNS:
        raise QueryError(f"sort: found {sort!r}, allowed {', '.join(SORTED_COLUMNS)}")
    return name, sort.startswith("-")


def _cursor(row: Row, name: str, sort: str) -> str:
    value = row[name]
    if isinstance(value, Enum):
        value = value.value
    elif isinstance(value, datetime):
        value = value.isoformat()
    elif isinstance(value, Decimal):
        value = str(value)
    text = json.dumps([sort, value, row["id"]], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def _position(cursor: str | None, sort: str) -> tuple[Any, int] | None:
    if cursor is None:
        return None
    try:
        of, value, key = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if of != sort or type(key) is not int or not 0 <= key <= _LARGEST:
            raise ValueError
        name = sort.removeprefix("-")
        position = _parsed(RUNS.c[name].type, value)
        _check_value(name, position)
        return position, key
    except (ValueError, TypeError, ArithmeticError, QueryError):
        raise QueryError(
            f"cursor: not one that a list sorted by {sort} gave; start again without it"
        ) from None


def _parsed(kind: sa.types.TypeEngine[Any], value: Any) -> Any:  # noqa: ANN401 - JSON in, column out
    if value is None:
        return None
    if isinstance(kind, UtcTime):
        return datetime.fromisoformat(value)
    if isinstance(kind, Exact):
        return Decimal(value)
    if isinstance(kind, sa.Enum) and kind.enum_class is not None:
        return kind.enum_class(value)
    expected = str if isinstance(kind, sa.String) else int
    if type(value) is not expected:
        raise TypeError
    return value


def _with(statement: sa.Select[Any], column: sa.Column[Any], value: str | None) -> sa.Select[Any]:
    """Narrow a question to one value of a column; None is any."""
    return statement if value is None else statement.where(column == value)


def _count(connection: sa.Connection, column: sa.Column[Any], value: str | None) -> int:
    query = _with(sa.select(sa.func.count()).select_from(column.table), column, value)
    return int(connection.execute(query).scalar_one())


def _one(connection: sa.Connection, statement: sa.Select[Any]) -> Row | None:
    row = connection.execute(statement).mappings().one_or_none()
    return None if row is None else dict(row)


def _all(connection: sa.Connection, statement: sa.Select[Any]) -> list[Row]:
    return [dict(row) for row in connection.execute(statement).mappings()]
