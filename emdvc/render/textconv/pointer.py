"""A ``.dvc`` pointer as text for git: what it points to, and a directory's files, chunks as the regions they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from emdvc.render.textconv import leaves
from emdvc.render.textconv.chunks import StoredArray, stored_arrays

_TOLD = ("path", "size", "nfiles", "hash", "md5")


class Objects(Protocol):
    """Where the recorded bytes are looked up."""

    def manifest(self, md5: str) -> dict[str, str] | None:
        """Return the files of a directory with their md5s; None where its list is not here."""

    def content(self, md5: str) -> bytes | None:
        """Return the bytes of a small file; None where they are not here."""


def pointer_lines(mapping: Mapping[str, Any], objects: Objects) -> tuple[list[str], bool]:
    """Return the lines of a pointer's text, and whether they are complete.

    They are not where the list of a directory's files, or the metadata of an array in it, is not in the cache.

    Parameters
    ----------
    mapping
        Plain values of the file.
    objects
        The caches.
    """
    found, complete = [], True
    for out in sorted(mapping["outs"], key=lambda one: str(one["path"])):
        lines, whole = _out(out, objects)
        found += lines
        complete = complete and whole
    rest = leaves.lines({key: node for key, node in mapping.items() if key not in ("outs", "meta")})
    meta, readable = _meta(mapping.get("meta"))
    rest += leaves.lines({"meta": meta}) if meta else []
    return found + readable + (["pointer:", *rest] if rest else []), complete


def _meta(meta: Any) -> tuple[Any, list[str]]:
    """Return what people wrote under ``meta``, and a line on what emdvc keeps there: checksums tell nobody anything."""
    if not isinstance(meta, Mapping) or not isinstance(meta.get("emdvc"), Mapping):
        return meta, []
    others = {key: node for key, node in meta.items() if key != "emdvc"}
    arrays = meta["emdvc"].get("arrays")
    names = sorted(map(str, arrays)) if isinstance(arrays, Mapping) else []
    return others, [f"readable in parts: {leaves.one_line(', '.join(names)) or 'no array'}"]


def _out(out: Mapping[str, Any], objects: Objects) -> tuple[list[str], bool]:
    path, md5 = leaves.one_line(str(out["path"])), checksum(out)
    lines = [f"data {path}:"]
    if out.get("size") is not None:
        lines.append(f"  bytes: {out['size']}")
    if out.get("nfiles") is not None:
        lines.append(f"  files: {out['nfiles']}")
    lines.append(f"  {out.get('hash') or 'md5'}: {leaves.digest(md5) or 'none'}")
    lines += leaves.lines({key: node for key, node in out.items() if key not in (*_TOLD, out.get("hash"))})
    if not md5.endswith(".dir"):
        return lines, True
    files = objects.manifest(md5)
    if files is None:
        return [*lines, f"  which files it holds is not in the cache: dvc fetch {path}.dvc"], False
    told, complete = _files(files, objects)
    if not complete:
        told.append(f"  metadata of its arrays is not in the cache: dvc fetch {path}.dvc")
    return lines + told, complete


def checksum(out: Mapping[str, Any]) -> str:
    """Return the checksum of an entry of DVC's files, whatever its kind; empty where none is noted."""
    return str(out.get(str(out.get("hash") or "md5")) or out.get("md5") or "")


def _files(files: Mapping[str, str], objects: Objects) -> tuple[list[str], bool]:
    arrays, complete = stored_arrays(files, objects.content)
    lines, left = [], dict(files)
    for array in arrays:
        lines += _array(array, left)
    if left:
        lines += ["files:", *(f"  {leaves.one_line(name)}  {left[name][:8]}" for name in sorted(left))]
    return lines, complete


def _array(array: StoredArray, left: dict[str, str]) -> list[str]:
    """Return the lines of an array; its chunk files are taken out of those that are left."""
    chunks = []
    folder = f"{array.keys.folder}/" if array.keys.folder else ""
    for name in [name for name in left if name.startswith(folder)]:
        region = array.keys.region(name)
        if region is not None:
            chunks.append((tuple(part.start for part in region), array.spoken(region), left.pop(name)[:8]))
    return [
        f"array {leaves.one_line(array.name)}: {array.form}",
        *(f"  {said}  {md5}" for _, said, md5 in sorted(chunks)),
    ]
