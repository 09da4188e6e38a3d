"""What every section of a run configuration, and every whole one, has in common."""

from abc import abstractmethod
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from odum_assets.config.problems import Problem, raise_problems


class Section(BaseModel):
    """A part of a configuration: unknown keys are refused, and nothing changes it.

    The text below a key is its description in the JSON Schema.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class WholeConfig(Section):
    """A whole configuration: its sections are valid by themselves, and agree with each other."""

    cross_checked: ClassVar[tuple[str, ...]]
    """Sections that `cross_problems` compares."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        raise_problems(
            *self.cross_problems({name: getattr(self, name) for name in self.cross_checked})
        )
        return self

    @staticmethod
    @abstractmethod
    def cross_problems(sections: dict[str, Any]) -> list[Problem]:
        """Return what is wrong between sections that are valid by themselves."""
