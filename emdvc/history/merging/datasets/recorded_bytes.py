"""What a ``.dvc`` file records of the bytes of its data: taken out of a text as one value, and put into another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import EmdvcError
from emdvc.history import edited, yaml_files
from emdvc.history.edited import Edited
from emdvc.history.yaml_files import YamlFile, plain

#: Of an entry of ``outs``, what speaks of its bytes.
_OUT = ("md5", "size", "nfiles", "isexec", "hash", "files", "etag", "checksum", "version_id")
#: Of the file, what speaks of where they were imported from.
_TOP = ("md5", "deps", "frozen")
#: Under ``meta:``, what emdvc keeps of these very bytes.
_META = ("emdvc", "emdvc_source")


@dataclass(frozen=True, slots=True)
class RecordedBytes:
    """What one side's ``.dvc`` file records.

    Parameters
    ----------
    path
        Of the data, relative to the file's folder.
    out, top, meta
        What the entry of ``outs``, the file, and its ``meta:`` say of the bytes.
    declared
        What is declared of data that people go on editing; None of raw data.
    remote
        Remote that it is kept on; None for the default one.
    """

    path: PurePosixPath
    out: dict[str, Any]
    top: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    declared: Edited | None = None
    remote: str | None = None

    @property
    def md5(self) -> str:
        """The md5 of the bytes; empty where none is noted."""
        return str(self.out.get("md5") or "")

    @property
    def is_directory(self) -> bool:
        """Whether a list of files stands for the bytes."""
        return self.md5.endswith(".dir")

    @property
    def size(self) -> int | None:
        """Bytes; None where unknown."""
        size = self.out.get("size")
        return size if isinstance(size, int) else None

    @property
    def identity(self) -> str:
        """A text that is the same for the same bytes from the same place."""
        known = {key: value for key, value in self.out.items() if key not in ("size", "nfiles")}
        return json.dumps([known, self.top.get("deps")], sort_keys=True, default=str)

    @property
    def all_said(self) -> str:
        """A text of everything that is said of the bytes."""
        return json.dumps([self.out, self.top, self.meta], sort_keys=True, default=str)

    def of(self, md5: str, size: int | None, files: int | None) -> RecordedBytes:
        """Return the same data with other bytes."""
        kept = {key: value for key, value in self.out.items() if key == "hash"}
        out = {"md5": md5} | ({"size": size} if size is not None else {})
        return replace(self, out=out | ({"nfiles": files} if files is not None else {}) | kept, meta={})

    def in_words(self) -> str:
        """Return what a person is told of the bytes."""
        parts = [f"md5 {self.md5[:10]}" if self.md5 else "no md5"]
        if self.size is not None:
            parts.append(f"{self.size} bytes")
        if self.out.get("nfiles") is not None:
            parts.append(f"{self.out['nfiles']} files")
        return ", ".join(parts)


def read(content: bytes | None) -> RecordedBytes | None:
    """Return what a ``.dvc`` file records; None where it is not there, or no plain one with a single entry."""
    said = mapping(content)
    outs = said.get("outs")
    if not isinstance(outs, list) or len(outs) != 1 or not isinstance(outs[0], dict) or "path" not in outs[0]:
        return None
    out, meta = outs[0], said.get("meta")
    remote = out.get("remote")
    return RecordedBytes(
        PurePosixPath(str(said.get("wdir") or ".")) / str(out["path"]),
        {key: out[key] for key in _OUT if key in out},
        {key: said[key] for key in _TOP if key in said},
        {key: meta[key] for key in _META if key in meta} if isinstance(meta, dict) else {},
        edited.declared(said),
        str(remote) if remote is not None else None,
    )


def declared(content: bytes | None) -> Edited | None:
    """Return what a ``.dvc`` file's text declares of edited data; None of raw data, or where there is none."""
    return edited.declared(mapping(content))


def mapping(content: bytes | None) -> Mapping[str, Any]:
    """Return the plain mapping of a ``.dvc`` file; empty where there is none, or it is damaged."""
    if content is None:
        return {}
    try:
        found = plain(YamlFile(Path("a .dvc file"), content.decode("utf-8", "replace")).content)
    except EmdvcError:
        return {}
    return found if isinstance(found, dict) else {}


def with_bytes(content: bytes, said: RecordedBytes) -> bytes:
    """Return a ``.dvc`` file's text with other bytes recorded; what else stands there stays as it is."""
    file = YamlFile(Path("a .dvc file"), content.decode("utf-8"))
    now = read(content)
    if now is not None and now.all_said == said.all_said:
        return content
    _put(file.content["outs"][0], said.out, _OUT)
    _put(file.content, said.top, _TOP)
    meta = file.content.get("meta")
    if said.meta or isinstance(meta, dict):
        if not isinstance(meta, dict):
            meta = file.content["meta"] = {}
        _put(meta, said.meta, _META)
        if not meta:
            del file.content["meta"]
    return file.text().encode()


def with_declared(content: bytes, said: Edited) -> bytes:
    """Return a ``.dvc`` file's text with a declaration; what else stands there stays as it is."""
    file = YamlFile(Path("a .dvc file"), content.decode("utf-8"))
    if edited.declared(plain(file.content)) == said:
        return content
    edited.put(file.content, said)
    return file.text().encode()


def _put(node: Any, values: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if key not in values:
            node.pop(key, None)
        elif key in node:
            if plain(node[key]) != values[key]:
                node[key] = yaml_files.flow(values[key]) if isinstance(values[key], dict) else values[key]
        else:
            # DVC writes the checksum first, then the size and the number of files
            place = next((index + 1 for index, name in enumerate(node) if name in keys[: keys.index(key)]), 0)
            _insert(node, place, key, values[key])


def _insert(node: Any, place: int, key: str, value: Any) -> None:
    if hasattr(node, "insert"):
        node.insert(place, key, value)
    else:
        node[key] = value
