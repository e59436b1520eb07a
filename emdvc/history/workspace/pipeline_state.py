"""The state of every stage and ``.dvc`` file, by the rules of DVC and without its taking seconds to say it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.project import Project
from emdvc.history.workspace.cache_presence import CachePresence
from emdvc.history.workspace.index import WorkspaceIndex
from emdvc.history.workspace.parsed_texts import ParsedTexts
from emdvc.history.workspace.pipeline_files import Declared, Params, Tracked
from emdvc.history.workspace.stage_state import StageState


class Comparison:
    """Compares what is declared and recorded with the workspace and the cache.

    Parameters
    ----------
    project
        The project.
    cache
        What DVC's cache holds.
    index
        What the files of the workspace hash to.
    texts
        What was parsed before.
    """

    def __init__(self, project: Project, cache: CachePresence, index: WorkspaceIndex, texts: ParsedTexts) -> None:
        self._project = project
        self._cache = cache
        self._index = index
        self._texts = texts

    def state(self, one: Declared) -> StageState:
        """Return the state of a stage or a ``.dvc`` file.

        Raises
        ------
        AskDvcError
            Only DVC is to judge it.
        """
        deps, params = {}, {}
        for dep in () if one.frozen else one.deps:
            if (how := self._in_workspace(dep)) is not None:
                deps[dep.path] = how
        for file in () if one.frozen else one.params:
            if changed := self._changed_params(file):
                params[file.path] = changed
        outs = {}
        for out in one.outs:
            lost = out.cached and out.md5 is not None and not self._cache.holds(out.md5)
            how = "not in cache" if lost else self._in_workspace(out)
            if how is not None:
                outs[out.path] = how
        return StageState(
            one.name,
            one.source,
            (*(dep.path for dep in one.deps), *(file.path for file in one.params)),
            tuple(out.path for out in one.outs),
            deps,
            params,
            outs,
            one.changed_command,
            one.always,
            not one.source and not any(out.md5 for out in one.outs),
            one.frozen,
        )

    def _in_workspace(self, tracked: Tracked) -> str | None:
        md5 = self._index.md5(tracked.path)
        if md5 is None:
            return "deleted"
        return None if md5 == tracked.md5 else "modified"

    def _changed_params(self, file: Params) -> dict[str, str]:
        path = self._project.root / file.path
        if not path.exists():
            return {"": "deleted"}
        if file.recorded is None:
            return {"": "new"}
        now = self._values(path, file.keys)
        found = {}
        for key in file.keys or dict.fromkeys([*now, *file.recorded]):
            if key not in now:
                found[key] = "deleted"
            elif key not in file.recorded:
                found[key] = "new"
            elif now[key] != file.recorded[key]:
                found[key] = "modified"
        return found

    def _values(self, path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
        """Return the values of dotted keys, those that are there; of a whole file its own keys."""
        tree = _tree(path, self._texts)
        if not keys:
            return tree
        found = {}
        for key in keys:
            node: Any = tree
            parts = key.split(".")
            if not all(parts) or set(key) & set("*?[]!"):
                raise AskDvcError(f"the key {key} of {path.name}")
            for part in parts:
                if isinstance(node, list) or (isinstance(node, dict) and not all(isinstance(one, str) for one in node)):
                    raise AskDvcError(f"the key {key} of {path.name}")
                if not isinstance(node, Mapping) or part not in node:
                    break
                node = node[part]
            else:
                found[key] = node
        return found


def _tree(path: Path, texts: ParsedTexts) -> dict[str, Any]:
    suffix = path.suffix.lower()
    if suffix in (".toml", ".py") or path.is_dir():
        raise AskDvcError(f"parameters in {path.name}")
    try:
        tree = json.loads(path.read_text(encoding="utf-8")) if suffix == ".json" else texts.read(path)
    except Exception as error:
        raise AskDvcError(f"{path.name} cannot be read") from error
    if not isinstance(tree, dict):
        raise AskDvcError(f"{path.name} holds no mapping")
    return tree
