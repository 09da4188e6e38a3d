"""How a command ends: the exit codes, and the errors that only a command line has."""

from odum_assets.errors import OdumError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_STOPPED = 130


class UsageError(OdumError):
    """Report a command line that cannot be carried out as it is written."""


class WorkError(OdumError):
    """Report work that was started and failed; the message names what failed and why."""


def did_you_mean(word: str, known: list[str]) -> str:
    """Return the end of a message that names what may have been meant.

    Parameters
    ----------
    word : str
        What was given.
    known : list[str]
        What would have been right.
    """
    from difflib import get_close_matches

    if not known:
        return ""
    near = get_close_matches(word, known, n=3, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; known: {', '.join(known)}"
