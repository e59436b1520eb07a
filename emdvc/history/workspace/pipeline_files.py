"""What ``.dvc`` files, dvc.yaml and dvc.lock say, read without DVC as far as they use nothing out of the ordinary.

Templates, imports, folders with pipelines of their own, places outside the project and older formats are left to DVC.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from emdvc.errors import EmdvcError
from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.project import Project
from emdvc.history.workspace.parsed_texts import ParsedTexts

_POINTER = {"wdir", "outs", "meta", "desc", "frozen"}
_NOTES = {"desc", "type", "labels", "meta"}
_OUT = {"cache", "persist", "remote", "push", *_NOTES}
_POINTED = {"path", "md5", "size", "nfiles", "isexec", "hash", *_OUT}
_LOCKED = {"path", "md5", "size", "nfiles", "isexec", "hash"}
_PLOT = {"template", "x", "y", "x_label", "y_label", "title", "header"}
_STAGE = {"cmd", "wdir", "deps", "params", "frozen", "meta", "desc", "always_changed", "outs", "metrics", "plots"}
_PIPELINE = {"stages", "params", "metrics", "plots", "artifacts"}


class Tracked(NamedTuple):
    """A dependency or an output.

    Parameters
    ----------
    path
        Relative to the project.
    md5
        As recorded; None where nothing is.
    cached
        Whether DVC keeps it.
    shared
        Whether it goes to a remote.
    remote
        Which one; None for the default one.
    at_source
        Whether its bytes stay where they were recorded, and only the list of its files goes to a remote.
    """

    path: str
    md5: str | None
    cached: bool = False
    shared: bool = False
    remote: str | None = None
    at_source: bool = False


class Params(NamedTuple):
    """A file of parameters that a stage depends on.

    Parameters
    ----------
    path
        Relative to the project.
    keys
        Dotted keys; none for the whole file.
    recorded
        Key -> value, as dvc.lock has them; None where it has none.
    """

    path: str
    keys: tuple[str, ...]
    recorded: Mapping[str, Any] | None


class Declared(NamedTuple):
    """A stage, or a ``.dvc`` file.

    Parameters
    ----------
    name
        Address: the stage's name, or the path of the ``.dvc`` file.
    source
        Whether it is a ``.dvc`` file.
    deps, params, outs
        What it reads and writes.
    changed_command
        Whether the command is not the recorded one.
    always
        Whether it always runs.
    frozen
        Whether it is kept from running.
    """

    name: str
    source: bool
    outs: tuple[Tracked, ...]
    deps: tuple[Tracked, ...] = ()
    params: tuple[Params, ...] = ()
    changed_command: bool = False
    always: bool = False
    frozen: bool = False


class _Lock(NamedTuple):
    """The entry of a stage in dvc.lock; empty before it ran."""

    entry: Mapping[str, Any]

    def md5(self, kind: str, path: str) -> str | None:
        """Return what is recorded of a path of ``deps`` or ``outs``, written as it is in dvc.yaml."""
        found: dict[str, Any] = next((one for one in self.entry.get(kind) or [] if one.get("path") == path), {})
        _only(found, _LOCKED, f"dvc.lock: {path}")
        return _md5(found, path)


def declared(project: Project, files: list[str], texts: ParsedTexts) -> list[Declared]:
    """Return the stages of dvc.yaml in its order, then the ``.dvc`` files in theirs.

    Parameters
    ----------
    files
        The files of the project that git does not ignore, relative to it.
    texts
        What was parsed before.

    Raises
    ------
    AskDvcError
        They say something that only DVC is to judge, or are damaged: DVC then says how.
    """
    pipelines = [file for file in files if posixpath.basename(file) == "dvc.yaml"]
    if any(file != "dvc.yaml" for file in pipelines) or (project.root / "dvc.yaml").exists() != bool(pipelines):
        raise AskDvcError("dvc.yaml lies in a folder, or git ignores it")
    pointers = [file for file in files if file.endswith(".dvc") and posixpath.basename(file) != ".dvc"]
    try:
        found = [*_stages(project, texts), *(_pointer(project, file, texts) for file in sorted(pointers))]
    except (EmdvcError, UnicodeDecodeError, AttributeError, TypeError, ValueError, KeyError) as error:
        raise AskDvcError("a file is damaged") from error
    outs = [out.path for one in found for out in one.outs]
    if len(outs) != len(set(outs)) or any(out in _folders(pointer) for pointer in pointers for out in outs):
        raise AskDvcError("two outputs have one path, or a .dvc file lies in an output")
    return found


def _pointer(project: Project, file: str, texts: ParsedTexts) -> Declared:
    said = texts.read(project.root / file)
    _only(said, _POINTER, file)
    folder = posixpath.join(posixpath.dirname(file), said.get("wdir") or ".")
    at_source = "emdvc_source" in (said.get("meta") or {})
    outs = []
    for out in said.get("outs") or []:
        _only(out, _POINTED, file)
        outs.append(_out(_below(folder, out["path"]), _md5(out, file), out)._replace(at_source=at_source))
    return Declared(file, True, tuple(outs), frozen=bool(said.get("frozen", False)))


def _stages(project: Project, texts: ParsedTexts) -> Iterator[Declared]:
    pipeline, lock = texts.read(project.root / "dvc.yaml"), texts.read(project.root / "dvc.lock")
    _only(pipeline, _PIPELINE, "dvc.yaml")
    if _templated(pipeline):
        raise AskDvcError("dvc.yaml is a template")
    if lock and lock.get("schema") != "2.0":
        raise AskDvcError("dvc.lock has another schema")
    locked = lock.get("stages") or {}
    for name, stage in (pipeline.get("stages") or {}).items():
        _only(stage, _STAGE, f"the stage {name}")
        yield _stage(str(name), stage, _Lock(locked.get(name) or {}))


def _stage(name: str, stage: dict[str, Any], lock: _Lock) -> Declared:
    folder = str(stage.get("wdir") or ".")
    deps = tuple(Tracked(_below(folder, path), lock.md5("deps", path)) for path in stage.get("deps") or [])
    outs = []
    for path, settings in _outs(stage):
        outs.append(_out(_below(folder, path), lock.md5("outs", path), settings))
    recorded = lock.entry.get("params") or {}
    params = tuple(
        Params(_below(folder, path), tuple(keys), recorded.get(path) if lock.entry else None)
        for path, keys in _params(stage).items()
    )
    changed = bool(lock.entry) and lock.entry.get("cmd") != stage["cmd"]
    # DVC runs a stage that reads and writes nothing each time
    always = bool(stage.get("always_changed", False)) or not (deps or params or outs)
    return Declared(name, False, tuple(outs), deps, params, changed, always, bool(stage.get("frozen", False)))


def _outs(stage: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in ("outs", "metrics", "plots"):
        found: dict[str, dict[str, Any]] = {}
        entry: Any
        for entry in stage.get(kind) or []:
            for path, settings in ({entry: {}} if isinstance(entry, str) else entry).items():
                _only(settings, _OUT | _PLOT if kind == "plots" else _OUT, path)
                found.setdefault(path, {}).update(settings)
        yield from found.items()


def _params(stage: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return file -> keys, none for a whole file, as DVC puts a stage's ``params`` together."""
    entries = [entry if isinstance(entry, dict) else {"params.yaml": [entry]} for entry in stage.get("params") or []]
    whole = {path for entry in entries for path, keys in entry.items() if not keys}
    found: dict[str, list[str]] = {}
    for entry in entries:
        for path, keys in entry.items():
            found.setdefault(path, []).extend([] if path in whole else [str(key) for key in keys])
    return found


def _out(path: str, md5: str | None, settings: Mapping[str, Any]) -> Tracked:
    cached = bool(settings.get("cache", True))
    remote = settings.get("remote")
    shared = cached and bool(settings.get("push", True))
    return Tracked(path, md5, cached, shared, str(remote).lower() if remote else None)


def _md5(entry: Mapping[str, Any], where: str) -> str | None:
    md5 = entry.get("md5")
    if md5 and entry.get("hash") != "md5":
        raise AskDvcError(f"{where} was recorded by DVC 2")
    return str(md5) if md5 else None


def _below(folder: str, path: Any) -> str:
    """Return a path relative to the project."""
    if not isinstance(path, str) or "://" in path or "\\" in path or posixpath.isabs(path) or path[1:2] == ":":
        raise AskDvcError(f"the place {path}")
    found = posixpath.normpath(posixpath.join(folder, path))
    if found.startswith("..") or found == "." or posixpath.isabs(found):
        raise AskDvcError(f"the place {path}")
    return found


def _folders(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _only(mapping: Mapping[str, Any], known: set[str], where: str) -> None:
    """Refuse keys that are not known here."""
    if not isinstance(mapping, dict) or not mapping.keys() <= known:
        raise AskDvcError(f"{where} says more than is read here")


def _templated(node: Any) -> bool:
    if isinstance(node, dict):
        return any(_templated(part) for pair in node.items() for part in pair)
    if isinstance(node, list):
        return any(map(_templated, node))
    return isinstance(node, str) and "${" in node
