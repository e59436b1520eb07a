"""How long work tells how far it is: a contract only; what shows it on a terminal is in emdvc.cli.progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

#: Called with the number of bytes done since the last call.
Advance = Callable[[int], None]


class Progress(Protocol):
    """Starts one piece of work that is worth showing."""

    def __call__(self, what: str, total: int) -> AbstractContextManager[Advance]:
        """Return a context in which the work is shown.

        Parameters
        ----------
        what
            The work in a few words, such as ``copying scan01.mib``.
        total
            Bytes to do.
        """


def _unseen(count: int) -> None:
    return None


def silent(what: str, total: int) -> AbstractContextManager[Advance]:
    """Show nothing."""
    return nullcontext(_unseen)
