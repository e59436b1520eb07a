"""The error that names the files whose bytes are to be had nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from emdvc.errors import Code, DataMissingError

#: How many files an error names; :class:`LostError` knows all of them.
_NAMED = 10


class LostError(DataMissingError):
    """Some files are on no remote, or what a remote has under their name are other bytes.

    Parameters
    ----------
    cause, code, evidence, hint
        As of every error.
    absent, corrupt
        What messages call the files: all of them.
    """

    def __init__(
        self,
        cause: str,
        *,
        code: Code | None = None,
        evidence: str | None = None,
        hint: str | None = None,
        absent: Sequence[str] = (),
        corrupt: Sequence[str] = (),
    ) -> None:
        super().__init__(cause, code=code, evidence=evidence, hint=hint)
        self.absent = tuple(absent)
        self.corrupt = tuple(corrupt)


def lost(absent: Sequence[str], corrupt: Sequence[str], count: int, dataset: str, remote: str) -> LostError:
    """Return the error that says which files could not be fetched.

    Parameters
    ----------
    absent
        Those that the remote does not have.
    corrupt
        Those of which it has other bytes.
    count
        Files that were wanted in all.
    dataset
        What messages call all of them.
    remote
        Name of the remote.
    """
    named = [f"{what}: {names(found)}" for what, found in (("missing", absent), ("corrupt", corrupt)) if found]
    if absent:
        many = f"{len(absent)} of {count} files" if count > 1 else "the data"
        verb = "are" if count > 1 else "is"
        cause = f"{many} of {dataset} {verb} neither in the cache nor on the remote {remote}"
        hint = "whoever computed or added it runs: emdvc push"
    else:
        many = f"{len(corrupt)} of {count} files" if count > 1 else "the data"
        cause = f"what the remote {remote} has of {many} of {dataset} is corrupt, and was not taken"
        hint = "whoever has good copies runs: emdvc push; where that does not help: emdvc verify --bytes --repair"
    return LostError(
        cause,
        code=Code.DATA_MISSING if absent else Code.DATA_CORRUPT,
        evidence="; ".join(named),
        hint=hint,
        absent=absent,
        corrupt=corrupt,
    )


def joined(errors: Sequence[LostError]) -> LostError:
    """Return one error for several."""
    if len(errors) == 1:
        return errors[0]
    absent, corrupt = ([name for one in errors for name in getattr(one, kind)] for kind in ("absent", "corrupt"))
    found = lost(absent, corrupt, len(absent) + len(corrupt), "the data", "")
    return LostError(
        "; ".join(one.cause for one in errors),
        code=found.code,
        evidence=found.evidence,
        hint=found.hint,
        absent=absent,
        corrupt=corrupt,
    )


def names(found: Sequence[str]) -> str:
    """Return some names as one text, not more than a person reads."""
    shown = ", ".join(found[:_NAMED])
    return shown + (f" and {len(found) - _NAMED} more" if len(found) > _NAMED else "")
