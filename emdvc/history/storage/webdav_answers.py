"""What a WebDAV server says of its files (RFC 4918, multistatus)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from emdvc.history.storage.contract import Stat

#: What is asked of every file.
WANTED = (
    b'<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/>'
    b"<D:getcontentlength/><D:getetag/><D:getlastmodified/></D:prop></D:propfind>"
)
#: What is asked of a folder's disk (RFC 4331).
SPACE = (
    b'<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop>'
    b"<D:quota-available-bytes/><D:quota-used-bytes/></D:prop></D:propfind>"
)
_D = "{DAV:}"


@dataclass(frozen=True, slots=True)
class Resource:
    """A file or folder: the path of its address, without quoting; what is known of it; None for a folder."""

    path: str
    stat: Stat | None


def resources(content: bytes) -> list[Resource]:
    """Return the files and folders in an answer.

    Raises
    ------
    ValueError
        It is no such answer.
    """
    found = []
    for response in _parsed(content).iter(f"{_D}response"):
        href = response.findtext(f"{_D}href")
        if href is None:
            continue
        values = _values(response)
        folder = any(kind.tag == f"{_D}collection" for one in values.get("resourcetype", []) for kind in one)
        path = unquote(urlsplit(href.strip()).path)
        found.append(Resource(path, None if folder else _stat(values)))
    return found


def space(content: bytes) -> tuple[int, int] | None:
    """Return the free and all bytes of a disk; None where the server does not say.

    Raises
    ------
    ValueError
        It is no such answer.
    """
    for response in _parsed(content).iter(f"{_D}response"):
        values = _values(response)
        free, used = (_text(values, f"quota-{word}-bytes") for word in ("available", "used"))
        if free.isdigit() and used.isdigit():
            return int(free), int(free) + int(used)
    return None


def _parsed(content: bytes) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"no XML: {error}") from error
    if root.tag != f"{_D}multistatus":
        raise ValueError(f"no answer of WebDAV: <{root.tag}>")
    return root


def _values(response: ElementTree.Element) -> dict[str, list[ElementTree.Element]]:
    """Return the properties that the server has, by name."""
    values: dict[str, list[ElementTree.Element]] = {}
    for group in response.findall(f"{_D}propstat"):
        if " 200" in (group.findtext(f"{_D}status") or " 200"):
            for one in group.findall(f"{_D}prop/*"):
                values.setdefault(one.tag.removeprefix(_D), []).append(one)
    return values


def _text(values: dict[str, list[ElementTree.Element]], name: str) -> str:
    return (values[name][0].text or "").strip() if name in values else ""


def _stat(values: dict[str, list[ElementTree.Element]]) -> Stat:
    length, when = _text(values, "getcontentlength"), _text(values, "getlastmodified")
    try:
        date = parsedate_to_datetime(when)
        modified: float | None = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        modified = None
    etag = _text(values, "getetag").removeprefix("W/").strip('"') or None
    return Stat(int(length) if length.isdigit() else 0, etag, modified)
