"""What verifications of a result found, kept as ``verifications/<run_id>.json`` beside it.

They change nothing of the result itself; the registry shows them as events of the run.
"""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from odum_assets.results.store import ResultStore, json_text
from odum_assets.results.stored_file import ResultError, StoredFile
from odum_assets.storage.files import write_synced
from odum_assets.storage.locks import hold_lock

if TYPE_CHECKING:
    from odum_assets.results.verify import Verification

_MOST: Final = 20
"""Verifications of a result that are kept."""


@dataclass(frozen=True, slots=True)
class VerifiedResult:
    """How one verification ended.

    Parameters
    ----------
    number : int
        From 0, over all verifications of the result.
    verified_at : str
        Wall-clock time of its end, ISO 8601.
    dagster_run_id : str
        The Dagster run that ran the result again.
    equal : bool or None
        Whether both digests are equal; None where it could not be run again.
    expected : str
        Digest of the result.
    found : str or None
        Digest of the run just made.
    changed_inputs : tuple[str, ...]
        Inputs that differ from the result's.
    error : str or None
        Why it could not be run again.
    """

    number: int
    verified_at: str
    dagster_run_id: str
    equal: bool | None
    expected: str
    found: str | None
    changed_inputs: tuple[str, ...]
    error: str | None

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Return one as it is stored."""
        return cls(**{**document, "changed_inputs": tuple(document["changed_inputs"])})


def read_verifications(file: StoredFile) -> list[VerifiedResult]:
    """Return the verifications in a file, in order; none where there is no file.

    Raises
    ------
    ResultError
        If the file cannot be read; it is named.
    """
    try:
        return [VerifiedResult.read(document) for document in file.read_json()["verifications"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResultError(
            f"{file.path}: verifications cannot be read ({type(error).__name__}: {error}); move it "
            "away"
        ) from error


def store_verification(
    store: ResultStore,
    run_id: str,
    outcome: "Verification | str",
    dagster_run_id: str,
    verified_at: str,
) -> VerifiedResult:
    """Add a verification to those of a result.

    Parameters
    ----------
    store : ResultStore
        The results.
    run_id : str
        The result.
    outcome : Verification or str
        What was found, or why it could not be run again.
    dagster_run_id : str
        The Dagster run that did it.
    verified_at : str
        Time, ISO 8601.

    Raises
    ------
    ResultError
        If the result is gone, or the file cannot be read or written.
    """
    with store.explained(), store.scratch() as work, hold_lock(store.publish_lock):
        # With the lock held: a deleted result must not get a new file.
        expected = store.entry(run_id).digest
        path = store.root / "verifications" / f"{run_id}.json"
        before = read_verifications(store.file("verifications", path.name))
        again, error = (None, outcome) if isinstance(outcome, str) else (outcome, None)
        latest = VerifiedResult(
            number=before[-1].number + 1 if before else 0,
            verified_at=verified_at,
            dagster_run_id=dagster_run_id,
            equal=None if again is None else again.equal,
            expected=expected,
            found=None if again is None else again.found,
            changed_inputs=() if again is None else again.changed_inputs,
            error=error,
        )
        after = [*before, latest][-_MOST:]
        path.parent.mkdir(exist_ok=True)
        text = json_text({"verifications": [asdict(verification) for verification in after]})
        write_synced(work / "verifications", text).rename(path)
    return latest
