"""A dvc.lock by its stages, as text: only the entries that are asked about are parsed.

A pipeline of 300 stages has a dvc.lock of some 6000 lines, and parsing it takes a second; a merge touches a few of its
entries. What is not laid out as DVC lays it out is parsed whole and written again as DVC would.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from emdvc.errors import Code, MetadataError
from emdvc.formats import sidecar as sidecars
from emdvc.model.quantity import is_quantity

_TOP = re.compile(r"^(?=[^\s#])", re.MULTILINE)
_STAGE = re.compile(r"^  (?=[^\s#-])", re.MULTILINE)
_PLAIN = re.compile(r"[A-Za-z_][\w@./+-]*")
# an alias may stand for what another stage's entry says: only the whole file can be understood then
_ALIAS = re.compile(r"[ \[,][&*]id\d{3}\b")
_PART = re.compile(r"^    (cmd|deps|params|outs):", re.MULTILINE)
_PATH = re.compile(r"^    - path: ([\w./+@=-]+)\n((?: {6}.*\n?)*)", re.MULTILINE)
_MD5 = re.compile(r"^ {6}md5: (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LockFile:
    """A dvc.lock.

    Parameters
    ----------
    sections
        Key at the top level -> its text, in the order of the file; that of ``stages`` is empty.
    stages
        Name -> the text of its entry, in the order of the file.
    """

    sections: Mapping[str, str] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the whole file."""
        body = "".join(self.stages.values())
        return "".join((f"stages:\n{body}" if body else "") if key == "stages" else said
                       for key, said in self.sections.items())  # fmt: skip


class Entry(NamedTuple):
    """What dvc.lock says of the last run of a stage.

    Parameters
    ----------
    inputs
        What it was computed from, each atom by what it is called -> its value as text that is the same for the same
        value: ``command``, a path, ``params KEY``.
    outs
        Path -> what is recorded of it, in the same way.
    """

    inputs: dict[str, str]
    outs: dict[str, str]


class Files(NamedTuple):
    """The files of a stage, path -> md5; empty where none is recorded."""

    deps: dict[str, str]
    outs: dict[str, str]


def read(content: bytes | None, where: str) -> LockFile:
    """Return a dvc.lock by its stages; an empty one where there is none.

    Parameters
    ----------
    content
        Its bytes; None where there is none.
    where
        What it is called in an error.

    Raises
    ------
    MetadataError
        It is no YAML, or none that DVC 3 reads.
    """
    text = "" if content is None else content.decode("utf-8", "replace").replace("\r\n", "\n")
    if not text.strip():
        return LockFile()
    return _laid_out(text) or _parsed_whole(text, where)


def entry(text: str, where: str) -> Entry:
    """Return what the text of an entry says.

    Raises
    ------
    MetadataError
        It is no YAML, or no entry.
    """
    ((_, said),) = _mapping(sidecars.load_yaml(text, where), where).items()
    said = _mapping(said, where)
    inputs = {"command": same(said.get("cmd"))}
    for one in said.get("deps") or []:
        inputs[str(_mapping(one, where).get("path"))] = _recorded(one)
    for file, keys in (said.get("params") or {}).items():
        start = "params " if file == "params.yaml" else f"{file} "
        for key, value in (keys or {}).items():
            inputs |= {f"{start}{name}": same(atom) for name, atom in _atoms(str(key), value)}
    return Entry(inputs, {str(_mapping(one, where).get("path")): _recorded(one) for one in said.get("outs") or []})


@lru_cache(maxsize=4096)
def files(text: str) -> Files:
    """Return the files that the text of an entry names, without parsing what stands there as DVC writes it.

    Raises
    ------
    MetadataError
        It is no YAML.
    """
    found: dict[str, dict[str, str]] = {"deps": {}, "outs": {}}
    starts = [*_PART.finditer(text)]
    for match, end in zip(starts, [*(one.start() for one in starts[1:]), len(text)], strict=True):
        if match[1] not in found:
            continue
        part = text[match.end() + 1 : end]
        for one in _PATH.finditer(part):
            md5 = _MD5.search(one[2])
            found[match[1]][one[1]] = md5[1] if md5 else ""
        if sum(line.startswith("    - ") for line in part.splitlines()) != len(found[match[1]]):
            return _files_parsed(text)
    return Files(found["deps"], found["outs"])


def same(value: Any) -> str:
    """Return a value as text that is equal for equal values, and tells 1 from 1.0 and from true."""
    return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)


def dumped(key: str, value: Any) -> str:
    """Return a section of the top level as DVC writes it."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    buffer = io.StringIO()
    yaml.dump({key: value}, buffer)
    return buffer.getvalue()


def _laid_out(text: str) -> LockFile | None:
    """Return the parts of a dvc.lock that is laid out as DVC does it; None for any other."""
    if _ALIAS.search(text) or not text.endswith("\n"):
        return None
    starts = [match.start() for match in _TOP.finditer(text)]
    if not starts or text[: starts[0]].strip():
        return None
    sections: dict[str, str] = {}
    stages: dict[str, str] = {}
    for a, b in zip(starts, [*starts[1:], len(text)], strict=True):
        part = text[a:b]
        key, colon, rest = part.partition(":")
        if not colon or _PLAIN.fullmatch(key) is None or key in sections:
            return None  # among them a list at the top level, which DVC writes without indentation
        sections[key] = part
        if key == "stages":
            found = _blocks(rest)
            if found is None:
                return None
            sections[key], stages = "", found
    return LockFile(sections, stages) if sections.get("schema", "").strip() == "schema: '2.0'" else None


def _blocks(text: str) -> dict[str, str] | None:
    line, _, body = text.partition("\n")
    starts = [match.start() for match in _STAGE.finditer(body)]
    if line.strip() or not starts or body[: starts[0]].strip():
        return None
    found: dict[str, str] = {}
    for a, b in zip(starts, [*starts[1:], len(body)], strict=True):
        block = body[a:b]
        name, _, rest = block[2:].partition(":\n")
        if _PLAIN.fullmatch(name) is None or name in found or not rest.startswith("    cmd:"):
            return None
        found[name] = block
    return found


def _parsed_whole(text: str, where: str) -> LockFile:
    from ruamel.yaml import YAML

    # its errors name the line
    content = _mapping(sidecars.load_yaml(text, where), where)
    if str(content.get("schema")) != "2.0" or not isinstance(content.get("stages") or {}, dict):
        raise MetadataError(
            f"{where} is no dvc.lock that DVC 3 reads",
            code=Code.PROJECT_BROKEN,
            evidence=f"schema {content.get('schema', 'is not given')}, where 2.0 is known",
            hint="dvc repro writes it anew",
        )
    for name, said in (content.get("stages") or {}).items():
        _mapping(said, f"stage {name} of {where}")
    whole = YAML().load(text)
    sections = {str(key): "" if key == "stages" else dumped(str(key), value) for key, value in whole.items()}
    stages = {
        str(name): dumped("stages", {name: said}).partition("\n")[2]
        for name, said in (whole.get("stages") or {}).items()
    }
    return LockFile(sections, stages)


def _files_parsed(text: str) -> Files:
    ((_, said),) = sidecars.load_yaml(text, "dvc.lock").items()
    deps, outs = (
        {str(one.get("path")): str(one.get("md5") or "") for one in said.get(kind) or []} for kind in ("deps", "outs")
    )
    return Files(deps, outs)


def _recorded(one: Mapping[str, Any]) -> str:
    # the bytes are what counts; size and number of files follow from them, and DVC 2 did not note how it hashed
    return same(one["md5"]) if one.get("md5") else same({key: one[key] for key in one if key != "path"})


def _atoms(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Return a parameter by its dotted keys; a quantity is one value."""
    if isinstance(value, dict) and value and not is_quantity(value):
        for name, part in value.items():
            yield from _atoms(f"{key}.{name}", part)
    else:
        yield key, value


def _mapping(content: Any, where: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise MetadataError(f"{where} holds no mapping", code=Code.PROJECT_BROKEN, hint="dvc repro writes it anew")
    return content
