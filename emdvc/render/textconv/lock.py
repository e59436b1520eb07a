"""dvc.lock as text for git: of each stage its command, what it read and what came out; parameters by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emdvc.render.textconv import leaves
from emdvc.render.textconv.pointer import checksum

_TOLD = ("path", "size", "nfiles", "hash", "md5")


def lock_lines(mapping: Mapping[str, Any]) -> list[str]:
    """Return the lines of the text of a dvc.lock.

    Parameters
    ----------
    mapping
        Plain values of the file.
    """
    lines = []
    for name in sorted(mapping["stages"], key=str):
        said = mapping["stages"][name] or {}
        lines.append(f"stage {leaves.one_line(str(name))}:")
        commands = said.get("cmd")
        for command in commands if isinstance(commands, list) else [commands]:
            lines.append(f"  cmd: {leaves.plain(command)}")
        lines += [_entry("dep", one) for one in _by_path(said.get("deps"))]
        for file, keys in sorted((said.get("params") or {}).items(), key=lambda pair: str(pair[0])):
            lines += leaves.lines(keys or {}, indent=f"  param {leaves.one_line(str(file))} ")
        lines += [_entry("out", one) for one in _by_path(said.get("outs"))]
        lines += leaves.lines({key: one for key, one in said.items() if key not in ("cmd", "deps", "params", "outs")})
    rest = leaves.lines({key: one for key, one in mapping.items() if key not in ("stages", "schema")})
    return lines + (["lock:", *rest] if rest else [])


def _by_path(entries: Any) -> list[Mapping[str, Any]]:
    return sorted(entries or [], key=lambda one: str(one["path"]))


def _entry(word: str, one: Mapping[str, Any]) -> str:
    parts = [leaves.digest(checksum(one)) or "not recorded"]
    if one.get("nfiles") is not None:
        parts.append(f"{one['nfiles']} files")
    if one.get("size") is not None:
        parts.append(f"{one['size']} bytes")
    parts += [f"{key} {leaves.value(one[key])}" for key in sorted(one) if key not in (*_TOLD, one.get("hash"))]
    return f"  {word} {leaves.one_line(str(one['path']))}: {', '.join(parts)}"
