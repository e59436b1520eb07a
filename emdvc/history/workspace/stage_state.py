"""In what a stage differs from what was recorded of its last run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StageState:
    """A stage or a ``.dvc`` file, and in what it differs from what was recorded.

    Parameters
    ----------
    name
        Address: the stage's name, or the path of the ``.dvc`` file.
    source
        Whether it is a ``.dvc`` file.
    deps, outs
        Paths, relative to the project.
    changed_deps
        Path -> how (``modified``, ``deleted``, ``new``).
    changed_params
        File -> key -> how.
    changed_outs
        Path -> how (``modified``, ``deleted``, ``not in cache``).
    changed_command
        Whether ``cmd`` was edited.
    never_run
        Whether nothing is recorded of it yet.
    frozen
        Whether it is kept from running.
    """

    name: str
    source: bool
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    changed_deps: dict[str, str] = field(default_factory=dict)
    changed_params: dict[str, dict[str, str]] = field(default_factory=dict)
    changed_outs: dict[str, str] = field(default_factory=dict)
    changed_command: bool = False
    always: bool = False
    never_run: bool = False
    frozen: bool = False

    @property
    def dirty(self) -> bool:
        """Whether anything differs."""
        return bool(
            self.changed_deps
            or self.changed_params
            or self.changed_outs
            or self.changed_command
            or self.always
            or self.never_run
        )


def absent(states: Iterable[StageState]) -> list[str]:
    """Return the data that is recorded but was not fetched: raw data that is not here, results that are not cached."""
    found = []
    for state in states:
        hows = ("deleted", "not in cache") if state.source else ("not in cache",)
        found += [out for out, how in state.changed_outs.items() if how in hows and not state.never_run]
    return found
