"""Errors of a user's own step: they show the script's lines, never emdvc's."""

from __future__ import annotations

import inspect
import linecache
import traceback
from collections.abc import Callable, Collection
from pathlib import Path
from types import CodeType, FunctionType, TracebackType
from typing import Any

from emdvc.errors import Code, StepError

#: Lines of an exception's message that are shown; compilers write whole pages.
_MESSAGE_LINES = 6


def shown(file: str | Path) -> str:
    """Return a file as a person would type it: relative to the current folder where it lies below it."""
    try:
        return Path(file).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return str(file)


def failed(cause: str, error: BaseException, files: Collection[str], code: CodeType | None = None) -> StepError:
    """Return the error of an exception that was raised by a script, or by what the script called.

    Parameters
    ----------
    cause
        What was being done.
    error
        The exception.
    files
        The files of the script: only lines in them are shown, the innermost first.
    code
        The function that was called; its first line is shown where no line of the script ran.
    """
    if isinstance(error, SyntaxError) and error.filename is not None and error.filename in files:
        text = f"{shown(error.filename)}:{error.lineno}: {error.msg}"
        return StepError(cause, code=Code.STEP_USER, evidence=_with_source(text, error.filename, error.lineno))
    lines = list(_lines_in(error.__traceback__, files))
    message = f"{type(error).__name__}: {_message(error)}" if str(error) else type(error).__name__
    if not lines:
        where = f"{at(code)}: " if code is not None else ""
        return StepError(cause, code=Code.STEP_USER, evidence=f"{where}{message}", hint=_hint(error))
    (name, file, number), *callers = reversed(lines)
    texts = [_with_source(f"{_place(file, number, name)}: {message}", file, number)]
    texts += [_with_source(f"called from {_place(file, number, name)}", file, number) for name, file, number in callers]
    return StepError(cause, code=Code.STEP_USER, evidence="\n  ".join(texts), hint=_hint(error))


def refused(cause: str, code: CodeType, *, evidence: str | None = None, hint: str | None = None) -> StepError:
    """Return the error of a step that was declared wrongly, or that gave what it must not give; it names the function.

    Parameters
    ----------
    code
        The function.
    evidence
        What was found.
    """
    place = at(code)
    return StepError(cause, code=Code.STEP_USER, evidence=f"{place}: {evidence}" if evidence else place, hint=hint)


def plain(function: Callable[..., Any]) -> FunctionType:
    """Return the function as it was written, of one that numba compiled or another decorator wrapped."""
    found: FunctionType = inspect.unwrap(getattr(function, "py_func", function))
    return found


def code_of(function: Callable[..., Any]) -> CodeType:
    """Return the code of a function as it was written."""
    return plain(function).__code__


def at(code: CodeType) -> str:
    """Return where a function begins: ``scripts/halo.py:5 in halo``."""
    number = code.co_firstlineno
    while linecache.getline(code.co_filename, number).lstrip().startswith("@"):  # the decorator's line, to Python
        number += 1
    return _place(code.co_filename, number, code.co_name)


def _place(file: str, number: int | None, name: str) -> str:
    where = f"{shown(file)}:{number}"
    return where if name == "<module>" else f"{where} in {name}"


def _lines_in(trace: TracebackType | None, files: Collection[str]) -> list[tuple[str, str, int | None]]:
    return [
        (frame.f_code.co_name, frame.f_code.co_filename, number)
        for frame, number in traceback.walk_tb(trace)
        if frame.f_code.co_filename in files
    ]


def _with_source(text: str, file: str, number: int | None) -> str:
    linecache.checkcache(file)
    source = linecache.getline(file, number).strip() if number is not None else ""
    return f"{text}\n    {source}" if source else text


def _message(error: BaseException) -> str:
    lines = [line.rstrip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > _MESSAGE_LINES:
        lines = [*lines[:_MESSAGE_LINES], "..."]
    return "\n    ".join(lines)


def _hint(error: BaseException) -> str | None:
    if isinstance(error, ModuleNotFoundError):
        return "a script may import installed packages, and modules that lie beside it (one file each)"
    if isinstance(error, ValueError) and "read-only" in str(error):
        return "every step sees the same memory, so it cannot be changed: work on frame.copy(), or write frame - dark"
    return None
