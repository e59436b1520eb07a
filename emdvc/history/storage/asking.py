"""Asking the person at the terminal for what stands in no settings."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from emdvc.errors import Code
from emdvc.history.storage.contract import RemoteSettings, fault

#: What was answered, by URL and word: nobody is asked twice in a process.
_answers: dict[tuple[str, str], str] = {}


async def asked(settings: RemoteSettings, word: str) -> str:
    """Return a ``password`` or ``passphrase``, typed without an echo.

    Parameters
    ----------
    settings
        Of the remote that it is for.
    word
        What is asked for, in DVC's word.

    Raises
    ------
    EnvironmentFault
        There is no terminal.
    """
    place = settings.url, word
    if place not in _answers:
        _answers[place] = await asyncio.to_thread(_typed, settings, word)
    return _answers[place]


def _typed(settings: RemoteSettings, word: str) -> str:
    from getpass import getpass

    try:
        if not sys.stdin.isatty():
            with Path("/dev/tty").open(encoding="utf-8"):
                pass  # getpass asks there, wherever our input comes from
        return getpass(f"{word} for the remote {settings.name} ({settings.url}): ")
    except (EOFError, OSError) as error:
        hint = f"dvc remote modify --local {settings.name} {word} ..., or run it in a terminal"
        said = "there is no terminal to ask at"
        raise fault(settings, f"needs a {word}", said, hint, code=Code.REMOTE_REFUSED) from error
