"""Why a result changed: which of the things that its stage depends on differs between two revisions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from emdvc.compare.plain import plain


class CauseKind(StrEnum):
    """What of a stage changed."""

    #: Another dataset that the stage reads.
    INPUT = "input"
    #: A key of params.yaml.
    PARAMETER = "parameter"
    #: A key of an input's acquisition record.
    METADATA = "metadata"
    #: A file of the project that the stage runs or reads.
    SCRIPT = "script"
    #: The version of a step.
    VERSION = "step version"
    #: The stage's command line.
    COMMAND = "command"
    #: No run of the stage is recorded on one side, as after a merge of two lines of work that both ran it.
    UNRECORDED = "no run recorded"
    #: Nothing that the stage depends on: it does not give the same result twice.
    NONE = "nothing recorded"


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that changed and made a result change.

    Parameters
    ----------
    kind
        What it is.
    where
        The dataset, the file or the step.
    key
        Dotted key of a parameter or a metadata key; empty else.
    before, after
        What it was and what it is: a :class:`emdvc.model.quantity.Quantity`, a plain value; of a script the first
        lines that differ; of an input `after` says in a word what differs of it (``values``, ``encoding only``, ``now
        read``), as far as that is known; None where there is none. Of a run that is not recorded: whether it is
        (True) or not (None).
    line
        Of a script: number of the first line that differs, in the new version; 0 else, and where the lines that ran
        are not known.
    lines
        Of a script: how many lines differ.
    through
        Stages between this cause and the result, nearest to the cause first; empty for a direct cause.
    """

    kind: CauseKind
    where: str
    key: str = ""
    before: Any = None
    after: Any = None
    line: int = 0
    through: tuple[str, ...] = ()
    lines: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the cause as plain values."""
        return {
            "kind": str(self.kind),
            "where": self.where,
            "key": self.key,
            "before": plain(self.before),
            "after": plain(self.after),
            "line": self.line,
            "lines": self.lines,
            "through": list(self.through),
        }
