"""The files that describe the pipeline, and the entry of a stage in each of them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from emdvc.formats import sidecar as sidecars
from emdvc.history import attributes, git
from emdvc.history.journal import Journal
from emdvc.history.merging.drivers import install as merging
from emdvc.history.project import Project
from emdvc.history.remotes.routing import lead_out
from emdvc.history.snapshot import sidecar_path
from emdvc.history.stages import POINTER_KEYS, STEPS_FILE, StageInfo, declared_params, paths_of
from emdvc.history.yaml_files import YamlFile, flow
from emdvc.model import record as rec
from emdvc.model.sidecar import Sidecar


def new_stage(info: StageInfo, remote: str | None = None) -> dict[str, Any]:
    """Return the entry of dvc.yaml for a stage; a remote, where given, is named with its results."""
    from ruamel.yaml.comments import CommentedMap

    stage = CommentedMap()
    in_place = " --in-place" if info.in_place else ""
    stage["cmd"] = f"emdvc run {_quoted(info.step)} {_quoted(info.input)} {_quoted(info.output)}{in_place}"
    if info.reads:
        stage["deps"] = flow([str(path) for path in info.reads])
    stage["params"] = params_of(info, [])
    write_results(stage, info, remote)
    return stage


def write_results(stage: dict[str, Any], info: StageInfo, remote: str | None = None) -> None:
    """Write what a stage gives: its datasets, their sidecars as metrics, their pictures as plots.

    A dataset that was there keeps its settings; a new one is given the remote.
    """
    kept = {path: entry for entry in stage.get("outs") or [] for path in paths_of([entry])}
    fresh = {path: lead_out(str(path), remote) if remote else str(path) for path in info.results}
    stage["outs"] = flow([kept.get(path, entry) for path, entry in fresh.items()])
    stage["metrics"] = flow([{str(sidecar_path(path)): {"cache": False}} for path in info.results])
    stage["plots"] = flow([{str(path.with_suffix(".png")): {"cache": False}} for path in info.results])


def params_of(info: StageInfo, others: list[Any]) -> list[Any]:
    """Return the ``params`` of a stage: its section of params.yaml, the metadata keys, the step's version.

    Of data that is read in place the keys that say which bytes are meant come first.
    """
    params: list[Any] = [info.name]
    keys: dict[PurePosixPath, list[str]] = {path: list(POINTER_KEYS) for path in info.recorded}
    if info.sidecar is not None:
        keys.setdefault(info.sidecar, []).extend(info.metadata)
    params += [{str(path): flow(named)} for path, named in keys.items()]
    if info.versions:
        params.append({STEPS_FILE: flow(list(info.versions))})
    return [*params, *others]


def write_deps(stage: dict[str, Any], info: StageInfo) -> None:
    """Write the ``deps`` of a stage: entries that stay keep their place, their comments and their settings."""
    deps = stage.setdefault("deps", flow([])) if info.reads else stage.pop("deps", [])
    for index in reversed(range(len(deps))):
        if not set(info.reads).intersection(paths_of([deps[index]])):
            del deps[index]
    deps.extend(str(path) for path in info.deps if path not in paths_of(deps))


def foreign_params(stage: dict[str, Any], info: StageInfo) -> list[Any]:
    """Return the entries of ``params`` that a person added for reasons of their own."""
    kept: list[Any] = []
    for entry in stage.get("params") or []:
        for path, keys in declared_params({"params": [entry]}).items():
            if path.endswith(sidecars.SUFFIX) or path == STEPS_FILE or (path, keys) == ("params.yaml", (info.name,)):
                continue
            kept.append(entry if isinstance(entry, str) else {path: flow([key for key in keys if key]) or None})
    return kept


def _quoted(path: PurePosixPath | str) -> str:
    """Return a path or a step as a word of a command line; double quotes hold in every shell, Windows' included."""
    text = str(path)
    if re.fullmatch(r"[\w./+@%:=,-]+", text):
        return text
    return '"' + re.sub(r'(["$`\\])', r"\\\1", text) + '"'


class PipelineFiles:
    """The files that describe the pipeline, written together."""

    def __init__(self, project: Project, journal: Journal) -> None:
        self._project, self._journal = project, journal
        self.pipeline = YamlFile(project.root / "dvc.yaml")
        self.parameters = YamlFile(project.root / "params.yaml")
        self.versions = YamlFile(project.root / STEPS_FILE)
        self._written = [file.path for file in (self.pipeline, self.parameters, self.versions)]

    def write(self) -> None:
        """Write all of them."""
        for file in (self.pipeline, self.parameters, self.versions):
            self._journal.will_change(file.path)
            file.path.parent.mkdir(exist_ok=True)
            file.write()
        self._let_git_merge()

    def _let_git_merge(self) -> None:
        """Name emdvc in .gitattributes for what the stages write and git keeps, where nothing does so yet."""
        lacking = merging.attributes_lacking(self._project)
        if lacking:
            path = self._project.root / ".gitattributes"
            self._journal.will_change(path)
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            sidecars.write_text(path, attributes.completed(text, lacking, merging.ATTRIBUTE))
            self._written.append(path)

    def complete(self, raw: PurePosixPath, sidecar: Sidecar, keys: tuple[str, ...]) -> None:
        """Write null at declared keys that the raw sidecar lacks: DVC cannot depend on a key that is not there."""
        lacking = [key for key in keys if not key.startswith("axes.") and not _has(sidecar.record, key)]
        if lacking:
            for key in lacking:
                rec.put(sidecar.record, key, None)
            path = self._project.path(sidecar_path(raw))
            self._journal.will_change(path)
            sidecars.write(self._project.path(raw), sidecar)
            self._written.append(path)

    def stage(self) -> None:
        """Tell git of them."""
        self._journal.will_stage(self._written)
        root = self._project.git_root
        git.add([path.relative_to(root).as_posix() for path in self._written], root)


def _has(record: dict[str, Any], key: str) -> bool:
    node: Any = record
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True
