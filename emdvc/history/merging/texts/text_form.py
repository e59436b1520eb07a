"""What is about a text as a whole: a byte order mark, its line ends, whether its last line has one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emdvc.history.merging.contract import Side
from emdvc.history.merging.texts.yaml_nodes import UnusualYamlError, parse


@dataclass(frozen=True, slots=True)
class Form:
    """The form of one side's text.

    Parameters
    ----------
    mark
        Whether it begins with a byte order mark.
    crlf
        Whether its lines end with CR LF.
    ended
        Whether its last line has an end.
    """

    mark: bool
    crlf: bool
    ended: bool


def read(content: bytes) -> tuple[str, Form]:
    """Return a text with LF line ends, and what it had instead.

    Raises
    ------
    UnusualYamlError
        It is no UTF-8, or mixes line ends.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnusualYamlError("no UTF-8") from error
    mark = text.startswith("\ufeff")
    text = text.removeprefix("\ufeff")
    crlf = "\r\n" in text
    if crlf:
        if re.search(r"(?<!\r)\n", text):
            raise UnusualYamlError("two kinds of line ends")
        text = text.replace("\r\n", "\n")
    if re.search("[\r\x85\u2028\u2029]", text):
        raise UnusualYamlError("a line end that is none")
    ended = text.endswith("\n") or not text
    if not ended:
        with_end = parse(text + "\n")
        if with_end is not None and with_end.end[1] == 0:
            raise UnusualYamlError("a text whose last line end counts")
        text += "\n"
    return text, Form(mark, crlf, ended)


def formed(text: str, forms: dict[Side, Form]) -> bytes:
    """Return the bytes of a merged text with LF line ends, in the form that its sides had."""
    base = forms.get(Side.BASE, Form(False, False, True))
    ours, theirs = forms[Side.OURS], forms[Side.THEIRS]

    def of(name: str) -> bool:
        was, one, other = (getattr(form, name) for form in (base, ours, theirs))
        # of two states the one that somebody chose against the base
        return bool(one if one == other else not was)

    if not of("ended"):
        text = text.removesuffix("\n")
    if of("crlf"):
        text = text.replace("\n", "\r\n")
    return (("\ufeff" if of("mark") else "") + text).encode("utf-8")
