"""Keys that a stage depends on and that differ between two of its runs, and its command line."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.causes.lineage import Lineage
from emdvc.compare.causes.recipe_parts import Part
from emdvc.compare.leaves import known, leaves
from emdvc.compare.measure import same_measure, typed
from emdvc.errors import MetadataError
from emdvc.formats import sidecar as sidecars
from emdvc.history.recorded import LockedStage, stage_address
from emdvc.history.stages import POINTER_KEYS

#: Where the versions of the steps stand.
_STEPS = (".emdvc", "steps.yaml")


def key_causes(
    old: Lineage, new: Lineage, before: LockedStage, after: LockedStage, part: Part, *, spelling: bool = False
) -> Iterator[Cause]:
    """Yield the parameters, metadata keys and step versions that differ.

    Parameters
    ----------
    old, new
        The revisions, which tell of a key that the stage declares in one of them only.
    before, after
        What dvc.lock says of the stage.
    part
        Which of the keys matter to the result.
    spelling
        Whether a value that measures the same and is written in another way differs, too.
    """
    for file in dict.fromkeys((*before.params, *after.params)):
        trees = before.params.get(file) or {}, after.params.get(file) or {}
        for name in dict.fromkeys((*trees[0], *trees[1])):
            if name in POINTER_KEYS and file.name.endswith(sidecars.SUFFIX):
                continue  # they stand for an input that is read in place
            was, now = (
                _leaves(name, tree[name] if name in tree else at(lineage.text(file), name))
                for tree, lineage in zip(trees, (old, new), strict=True)
            )
            for key in dict.fromkeys((*was, *now)):
                values = was.get(key), now.get(key)
                same = values[0] == values[1] if spelling else same_measure(*values)
                if not same and part.depends_on(file, key):
                    yield _cause(file, key, *(map(typed, values) if not spelling else values))


def _cause(file: PurePosixPath, key: str, before: Any, after: Any) -> Cause:
    if file.parts[-2:] == _STEPS:
        return Cause(CauseKind.VERSION, key, before=before, after=after)
    if file.name.endswith(sidecars.SUFFIX):
        return Cause(CauseKind.METADATA, str(file).removesuffix(sidecars.SUFFIX), key, before, after)
    return Cause(CauseKind.PARAMETER, str(file), key, before, after)


def _leaves(name: str, value: Any) -> dict[str, Any]:
    return {key: known(leaf) for key, leaf in leaves({name: value})}


def at(text: str | None, key: str) -> Any:
    """Return what stands at a dotted key of a YAML text; None where there is nothing."""
    node = _loaded(text) if text else None
    for name in key.split("."):
        if not isinstance(node, dict) or name not in node:
            return None
        node = node[name]
    return node


@lru_cache(maxsize=64)
def _loaded(text: str) -> Any:
    try:
        return sidecars.load_yaml(text, "a file of parameters")
    except MetadataError:
        return None


def command_cause(before: LockedStage, after: LockedStage) -> Iterator[Cause]:
    """Yield the command line where it differs by more than the names of the inputs and of the result itself."""
    lines = [_line(stage.cmd) for stage in (before, after)]
    if lines[0] == lines[1]:
        return
    words = [_words(line) for line in lines]
    if len(words[0]) == len(words[1]):
        named = [{str(one) for one in _paths(stage)} for stage in (before, after)]
        differing = [(a, b) for a, b in zip(*words, strict=True) if a != b]
        if all(a in named[0] and b in named[1] for a, b in differing):
            return
    yield Cause(CauseKind.COMMAND, stage_address(after.name, after.folder), before=lines[0], after=lines[1])


def _paths(stage: LockedStage) -> Iterator[PurePosixPath]:
    for path in (*stage.deps, *stage.outs):
        yield path
        if path.is_relative_to(stage.folder):
            yield path.relative_to(stage.folder)  # as the command sees it


def _line(cmd: Any) -> str:
    return " && ".join(map(str, cmd)) if isinstance(cmd, list) else str(cmd or "")


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def section(tree: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping at a key; empty where there is none."""
    found = tree.get(key)
    return found if isinstance(found, dict) else {}
