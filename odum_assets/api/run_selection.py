"""Which runs a request asks for: filters, words, bounds of figures, order and page.

What belongs here: the parameters and what they mean. What does not: the questions to the registry
(``registry.queries``).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, create_model

from odum_assets.registry import queries
from odum_assets.registry.models import NUMERIC_FIGURES, SORTED_COLUMNS
from odum_assets.registry.queries import RunFilter
from odum_assets.registry.types import RunMode, RunStatus
from odum_assets.results.annotations import Annotations

_LARGEST = 1e24
_MOST_WORDS = 8


def _parsed(value: object) -> object:
    # Numbers would be taken for seconds since 1970.
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise ValueError("allowed a time of the years 1 to 9999 in UTC") from None
    return moment


_Moment = Annotated[AwareDatetime, BeforeValidator(_parsed)]


def _with_bounds[T: BaseModel](model: type[T]) -> type[T]:
    """Return a model with a lowest and a highest value for each figure of the registry."""
    bounds: dict[str, Any] = {
        f"{bound}_{column.name}": (
            float | None,
            Field(
                default=None,
                ge=-_LARGEST,
                le=_LARGEST,
                allow_inf_nan=False,
                description=f"{column.name}: {word}, as a list has it.",
            ),
        )
        for column in NUMERIC_FIGURES
        for bound, word in (("min", "at least this"), ("max", "at most this"))
    }
    return create_model(model.__name__, __base__=model, **bounds)


@_with_bounds
class RunSelection(BaseModel):
    """Which runs."""

    model_config = ConfigDict(extra="forbid")

    q: str | None = Field(
        default=None,
        max_length=200,
        description="Words that are all found in run id, configuration, instrument, partition, "
        "tags or note, whatever their case.",
    )
    flagged: bool | None = Field(default=None, description="Whether there are warnings about it.")
    star: bool | None = Field(default=None, description="Whether somebody marked it.")
    tag: str | None = Field(default=None, max_length=64)
    verified: bool | None = Field(
        default=None, description="Whether the latest verification gave the same digest."
    )

    status: list[RunStatus] | None = Field(
        default=None, max_length=len(RunStatus), description="One of these; give it several times."
    )
    config_name: str | None = Field(default=None, max_length=255)
    instrument: str | None = Field(default=None, max_length=128)
    partition: str | None = Field(default=None, max_length=32, examples=["2024-07-18"])
    detail: Literal["fast", "report"] | None = None
    run_mode: RunMode | None = None
    dataset_id: int | None = Field(default=None, ge=1, lt=2**63)
    strategy_id: int | None = Field(default=None, ge=1, lt=2**63)
    sweep_id: str | None = Field(default=None, max_length=80)
    dagster_run_id: str | None = Field(default=None, max_length=64)
    executed_from: _Moment | None = None
    executed_to: _Moment | None = Field(default=None, description="Not included.")

    def where(self, annotated: Mapping[str, Annotations]) -> RunFilter:
        """Return which runs.

        Parameters
        ----------
        annotated : mapping
            Tags, notes and stars by run id.
        """
        names = {field.name for field in fields(RunFilter)} & RunSelection.model_fields.keys()
        return RunFilter(
            **{name: getattr(self, name) for name in names},
            words=_runs_with_words(self.q, annotated),
            run_ids=self._tagged(annotated),
            not_run_ids=_starred(annotated) if self.star is False else (),
            bounds=tuple(self._bounds()),
        )

    def _tagged(self, annotated: Mapping[str, Annotations]) -> Sequence[str] | None:
        """Return the only runs that may be meant, None where any may be."""
        if self.tag is None:
            return _starred(annotated) if self.star else None
        return [
            run_id
            for run_id, annotations in annotated.items()
            if self.tag in annotations.tags and (annotations.star or not self.star)
        ]

    def _bounds(self) -> Iterator[queries.Bound]:
        for column in NUMERIC_FIGURES:
            lowest = getattr(self, f"min_{column.name}")
            highest = getattr(self, f"max_{column.name}")
            if lowest is not None or highest is not None:
                yield queries.Bound(column.name, lowest, highest)


def _starred(annotated: Mapping[str, Annotations]) -> list[str]:
    return [run_id for run_id, annotations in annotated.items() if annotations.star]


def _runs_with_words(
    text: str | None, annotated: Mapping[str, Annotations]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the words of a text, each with the runs whose tags or note have it."""
    words = dict.fromkeys((text or "").lower().split()[:_MOST_WORDS])
    if not words:
        return ()
    notes = {
        run_id: " ".join((*annotations.tags, annotations.note)).lower()
        for run_id, annotations in annotated.items()
    }
    return tuple(
        (word, tuple(run_id for run_id, note in notes.items() if word in note)) for word in words
    )


class RunQuery(RunSelection):
    """Which runs, in which order, how many of them."""

    sort: str = Field(
        default="-executed_at",
        pattern=rf"^-?({'|'.join(SORTED_COLUMNS)})$",
        description="A column, with - before it for the highest first.",
    )
    limit: int = Field(default=50, ge=1, le=queries.MAX_LIMIT)
    offset: int = Field(default=0, ge=0, le=2**40)
    cursor: str | None = Field(
        default=None,
        max_length=1_000,
        description="next_cursor of the previous page, instead of an offset.",
    )
