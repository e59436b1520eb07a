"""Every error that emdvc raises on purpose: one tree, drawn here.

::

    EmdvcError                      exit status
    |-- UsageError                  2   what was asked for cannot be done as asked
    |   |-- FormatError             2   a file is truncated, foreign, or needs a package that is not installed
    |   |-- MetadataError           2   an unknown key, a bad unit, a missing or impossible value
    |   |-- StepError               2   a step's parameters, its input's dimensions, or counts it must refuse
    |   `-- ProjectError            2   the folder is not (or not yet) a project that can do this
    |-- EnvironmentFault            2   the machine said no: disk full, no permission, a program is missing
    |-- DataMissingError            3   bytes that are recorded are neither here nor on a remote
    |-- ConflictError               4   doing it would overwrite or contradict what is recorded
    `-- InternalError               70  a fault of emdvc itself

A handler chooses by class (what can I do about it?), a script by :class:`Code` (which one was it?), a person by
the text: one cause, one line of evidence, one command that helps.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar


class Code(StrEnum):
    """Stable names of single errors. Append only: a name once published keeps its meaning."""

    USAGE = "EM-USAGE"
    NOT_FOUND = "EM-NOT-FOUND"
    FORMAT_UNKNOWN = "EM-FORMAT-UNKNOWN"
    FORMAT_BROKEN = "EM-FORMAT-BROKEN"
    FORMAT_AMBIGUOUS = "EM-FORMAT-AMBIGUOUS"
    READER_MISSING = "EM-READER-MISSING"
    SCAN_SHAPE = "EM-SCAN-SHAPE"
    METADATA_KEY = "EM-METADATA-KEY"
    METADATA_UNIT = "EM-METADATA-UNIT"
    METADATA_VALUE = "EM-METADATA-VALUE"
    METADATA_MISSING = "EM-METADATA-MISSING"
    SIDECAR_BROKEN = "EM-SIDECAR-BROKEN"
    STEP_UNKNOWN = "EM-STEP-UNKNOWN"
    STEP_PARAMETER = "EM-STEP-PARAMETER"
    STEP_DIMENSIONS = "EM-STEP-DIMENSIONS"
    STEP_COUNTS = "EM-STEP-COUNTS"
    STEP_VERSION = "EM-STEP-VERSION"
    STAGE_UNDECLARED = "EM-STAGE-UNDECLARED"
    STAGE_UNKNOWN = "EM-STAGE-UNKNOWN"
    STAGE_EXISTS = "EM-STAGE-EXISTS"
    PROJECT_NONE = "EM-PROJECT-NONE"
    PROJECT_BROKEN = "EM-PROJECT-BROKEN"
    REVISION_UNKNOWN = "EM-REVISION-UNKNOWN"
    REMOTE = "EM-REMOTE"
    DISK_FULL = "EM-DISK-FULL"
    PERMISSION = "EM-PERMISSION"
    PROGRAM_MISSING = "EM-PROGRAM-MISSING"
    PROGRAM_FAILED = "EM-PROGRAM-FAILED"
    DATA_MISSING = "EM-DATA-MISSING"
    DATA_CORRUPT = "EM-DATA-CORRUPT"
    RAW_CHANGED = "EM-RAW-CHANGED"
    RAW_EXISTS = "EM-RAW-EXISTS"
    BUSY = "EM-BUSY"
    INTERNAL = "EM-INTERNAL"
    STEP_USER = "EM-STEP-USER"
    REMOTE_SILENT = "EM-REMOTE-SILENT"
    REMOTE_REFUSED = "EM-REMOTE-REFUSED"
    REMOTE_UNTRUSTED = "EM-REMOTE-UNTRUSTED"
    REMOTE_PLACE = "EM-REMOTE-PLACE"
    PARTIAL = "EM-PARTIAL"
    SOURCE_CHANGED = "EM-SOURCE-CHANGED"
    DATA_NEEDED = "EM-DATA-NEEDED"
    MERGE_CONFLICT = "EM-MERGE-CONFLICT"
    MERGE_UNDERWAY = "EM-MERGE-UNDERWAY"
    LOCKED = "EM-LOCKED"
    PROGRAM_ENVIRONMENT = "EM-PROGRAM-ENVIRONMENT"


class EmdvcError(Exception):
    """Base of all errors that emdvc raises on purpose.

    Parameters
    ----------
    cause
        One sentence that says what is wrong, in the user's words.
    code
        Stable name of the error; the class has a default.
    evidence
        One line that shows it: the first offending value, path or position.
    hint
        The next command to type, or the next thing to do.
    """

    exit_status: ClassVar[int] = 70
    default_code: ClassVar[Code] = Code.INTERNAL

    def __init__(
        self, cause: str, *, code: Code | None = None, evidence: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.code = code or self.default_code
        self.evidence = evidence
        self.hint = hint

    def __str__(self) -> str:
        """Return the error as it is printed on a terminal."""
        lines = [f"error[{self.code}]: {self.cause}"]
        if self.evidence:
            lines.append(f"  {self.evidence}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain values, for ``--json``."""
        return {
            "code": str(self.code),
            "cause": self.cause,
            "evidence": self.evidence,
            "hint": self.hint,
            "exit_status": self.exit_status,
        }


class UsageError(EmdvcError):
    """What was asked for cannot be done as asked."""

    exit_status = 2
    default_code = Code.USAGE


class FormatError(UsageError):
    """A file is truncated, foreign, or needs a package that is not installed."""

    default_code = Code.FORMAT_BROKEN


class MetadataError(UsageError):
    """An unknown metadata key, a bad unit, or a missing or impossible value."""

    default_code = Code.METADATA_VALUE


class StepError(UsageError):
    """A step's parameters, its input's dimensions, or counts that it must refuse."""

    default_code = Code.STEP_PARAMETER


class ProjectError(UsageError):
    """The folder is not (or not yet) a project that can do this."""

    default_code = Code.PROJECT_NONE


class EnvironmentFault(EmdvcError):  # noqa: N818 - `EnvironmentError` is Python's own
    """The machine said no: disk full, no permission, a program is missing."""

    exit_status = 2
    default_code = Code.PERMISSION


class DataMissingError(EmdvcError):
    """Bytes that are recorded are neither here nor on a remote."""

    exit_status = 3
    default_code = Code.DATA_MISSING


class ConflictError(EmdvcError):
    """Doing it would overwrite or contradict what is recorded."""

    exit_status = 4
    default_code = Code.RAW_EXISTS


class InternalError(EmdvcError):
    """A fault of emdvc itself."""


def suggest(word: str, known: list[str] | tuple[str, ...]) -> str | None:
    """Return the known word nearest to a misspelt one, or None when nothing is near."""
    import difflib

    found = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else None
