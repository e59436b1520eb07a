"""What emdvc does not compare itself: DVC is asked then, which takes seconds but is always right."""

from __future__ import annotations


class AskDvcError(Exception):
    """The project uses something of DVC that only DVC itself is to judge; says what."""
