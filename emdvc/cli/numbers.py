"""Numbers that a person types, understood without the validation library behind typer."""

from __future__ import annotations

from emdvc.errors import UsageError


def number(text: str | None, option: str, *, whole: bool = False, least: float = 0.0) -> float:
    """Return the number that was typed; without one the least.

    Parameters
    ----------
    text
        As typed.
    option
        Name of the option, for the error.
    whole
        Whether it must be a whole number.
    least
        Smallest number that makes sense.

    Raises
    ------
    UsageError
        It is no such number.
    """
    if text is None:
        return least
    try:
        found = int(text) if whole else float(text)
    except ValueError:
        found = float("nan")
    if not least <= found < float("inf"):
        kind = "whole number" if whole else "number"
        raise UsageError(f"'{text}' cannot be meant by {option}", hint=f"write a {kind} from {least:g} on")
    return found
