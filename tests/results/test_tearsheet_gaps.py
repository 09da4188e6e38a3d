"""Times without trades are those that the result's provenance names."""

from datetime import UTC, datetime

from odum_assets.results.tearsheet.gaps import gaps_of


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


SPAN = (_ns("2024-03-01T12:00:00"), _ns("2024-03-05T12:00:00"))


def _partial(day: str, first: str, last: str, data_type: str = "trades") -> dict[str, str]:
    return {
        "data_type": data_type,
        "day": day,
        "first": f"{day}T{first}.123456789Z",
        "last": f"{day}T{last}.5Z",
    }


def test_missing_and_partial_days_are_one_gap_where_they_touch() -> None:
    metadata = {
        "missing_days": ["2024-03-03"],
        "partial_days": [
            _partial("2024-03-02", "00:00:01", "18:00:00"),
            _partial("2024-03-04", "06:00:00", "23:59:58"),
        ],
    }
    assert gaps_of(metadata, SPAN) == [(_ns("2024-03-02T18:00:00"), _ns("2024-03-04T06:00:00"))]


def test_what_lies_outside_the_chart_or_is_of_other_data_is_none() -> None:
    metadata = {
        "missing_days": ["2024-02-28"],
        "partial_days": [
            _partial("2024-03-01", "12:00:00", "23:59:59"),
            _partial("2024-03-02", "10:00:00", "11:00:00", "book_snapshot_5"),
        ],
    }
    assert gaps_of(metadata, SPAN) == []


def test_an_earlier_result_names_none() -> None:
    assert gaps_of({}, SPAN) == []
    assert gaps_of({"missing_days": None, "partial_days": None}, SPAN) == []
