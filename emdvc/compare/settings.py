"""How a project wants to be compared: ``compare`` in ``.emdvc/config.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Any

from emdvc.compare.numbers.values import Tolerance
from emdvc.errors import Code, ProjectError
from emdvc.formats.sidecar import load_yaml
from emdvc.history.snapshot import Snapshot

CONFIG = ".emdvc/config.yaml"
_KEYS = ("volatile", "tolerance")
_TOLERANCES = ("rtol", "atol", "ulp")


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """What a project says.

    Parameters
    ----------
    volatile
        Keys of the record, or sections, that change without meaning anything.
    tolerances
        Pattern of a dataset's path -> what is tolerated there; the last that fits holds.
    given
        What was asked for on the command line: holds everywhere.
    """

    volatile: tuple[str, ...] = ()
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    given: Tolerance = Tolerance()  # noqa: RUF009 - a frozen value

    def tolerance_for(self, path: PurePath | str) -> Tolerance:
        """Return what is tolerated of a dataset."""
        if self.given:
            return self.given
        text = path.as_posix() if isinstance(path, PurePath) else path
        fitting = [one for pattern, one in self.tolerances.items() if fnmatchcase(text, pattern)]
        return fitting[-1] if fitting else Tolerance()

    def with_tolerance(self, given: Tolerance) -> CompareSettings:
        """Return the settings with a tolerance that was asked for."""
        return replace(self, given=given)


def settings(snapshot: Snapshot | None) -> CompareSettings:
    """Return what a project says at a revision; the defaults without a project.

    Raises
    ------
    ProjectError
        The settings hold an unknown key, or no numbers where numbers are wanted.
    MetadataError
        They are no YAML.
    """
    text = snapshot.text(CONFIG) if snapshot is not None else None
    if not text or "compare" not in text:
        return CompareSettings()
    content = load_yaml(text, CONFIG)
    said = content.get("compare") if isinstance(content, dict) else None
    if said is None:
        return CompareSettings()
    if not isinstance(said, dict) or set(said) - set(_KEYS):
        unknown = sorted(map(str, set(said) - set(_KEYS))) if isinstance(said, dict) else [repr(said)]
        raise _broken(f"compare: {', '.join(unknown)}", f"known are {', '.join(_KEYS)}")
    volatile, tolerances = said.get("volatile") or [], said.get("tolerance") or {}
    if not isinstance(volatile, list) or not isinstance(tolerances, dict):
        raise _broken("compare", "volatile is a list of keys, tolerance a mapping of paths")
    return CompareSettings(
        tuple(str(key) for key in volatile),
        {str(pattern): _tolerance(str(pattern), one) for pattern, one in tolerances.items()},
    )


def _tolerance(pattern: str, said: Any) -> Tolerance:
    if not isinstance(said, dict) or set(said) - set(_TOLERANCES):
        raise _broken(f"compare: tolerance: {pattern}", f"write {{rtol: 1.0e-6}}; known are {', '.join(_TOLERANCES)}")
    try:
        numbers = {key: float(value) for key, value in said.items()}
    except (TypeError, ValueError) as error:
        raise _broken(f"compare: tolerance: {pattern}", str(error)) from error
    rtol, atol, ulp = (numbers.get(name, 0.0) for name in _TOLERANCES)
    if not all(0 <= number < float("inf") for number in (rtol, atol, ulp)) or ulp != int(ulp):
        where = f"compare: tolerance: {pattern}"
        raise _broken(where, f"rtol {rtol}, atol {atol}, ulp {ulp}: none may be negative, ulp is a whole number")
    return Tolerance(rtol, atol, int(ulp))


def _broken(what: str, evidence: str) -> ProjectError:
    return ProjectError(f"{CONFIG} cannot be understood at {what}", code=Code.PROJECT_BROKEN, evidence=evidence)
