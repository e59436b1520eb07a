"""The checks of ``emdvc doctor`` that look into the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from emdvc.errors import EmdvcError
from emdvc.formats import sidecar as sidecars
from emdvc.history import dvc, dvc_pipeline, dvc_settings, edited, git, stage_writing
from emdvc.history.initialise import LINES, SETTINGS, lines_lacking
from emdvc.history.journal import recover
from emdvc.history.project import Project, shown
from emdvc.history.protection import writable
from emdvc.history.raw.files import linked
from emdvc.history.snapshot import Snapshot, sidecar_path
from emdvc.history.textconv import install as git_install
from emdvc.model import record as rec

#: check, verdict, what was found, remedy
Found = tuple[str, Literal["ok", "warn", "fail"], str, str | None]


def interrupted(project: Project) -> Iterator[Found]:
    """Take back what a killed command left."""
    undone = recover(project)
    if undone:
        yield "interrupted", "warn", f"a killed `{undone}` was taken back", f"run it again: {undone}"
    else:
        yield "interrupted", "ok", "no command was interrupted", None
    partials = [path for path in project.root.rglob("*.partial") if ".git" not in path.parts]
    if partials:
        names = ", ".join(path.relative_to(project.root).as_posix() for path in partials[:3])
        yield "partial files", "warn", f"{len(partials)} left by killed runs: {names}", "delete them when nothing runs"


def settings(project: Project) -> Iterator[Found]:
    """Compare the settings with those that ``emdvc init`` makes."""
    have = dvc_settings.settings(project)
    mend = f"emdvc init {shown(project.root)}"
    wrong = []
    for section, values in SETTINGS.items():
        for key, value in values.items():
            found = have.get(section, {}).get(key)
            text = ",".join(found) if isinstance(found, list) else str(found).lower()
            if text != value and key != "type":
                wrong.append(f"{section}.{key} is {text if found is not None else 'not set'}")
    if wrong:
        yield "settings", "warn", "; ".join(wrong), mend
    else:
        yield "settings", "ok", "as emdvc init makes them", None
    kinds = have.get("cache", {}).get("type") or ["reflink", "copy"]
    unsafe = [kind for kind in kinds if kind in ("hardlink", "symlink")]
    if unsafe:
        text = f"cache.type has {', '.join(unsafe)}: a program that writes in place corrupts the cache unseen"
        yield "links", "fail", text, "dvc config cache.type reflink,copy && dvc checkout --relink"
    else:
        cheap = "reflink" in dvc.link_types(project)
        text = "reflinks: data lies on the disk once" if cheap else "copies: data lies on the disk twice"
        yield "links", "ok", text, None


def files(project: Project) -> Iterator[Found]:
    """Look for the lines of .gitignore, .dvcignore and .gitattributes, and for line ends that git may change."""
    mend = f"emdvc init {shown(project.root)}"
    for name in LINES:
        path = project.root / name
        lacking = lines_lacking(name, path.read_text(encoding="utf-8") if path.exists() else "")
        if lacking:
            yield name, "warn", f"lacks {', '.join(lacking)}", mend
    crlf = [
        path
        for path in git.tracked(project.root, ["*.em.yaml", "*.dvc", "dvc.lock", "dvc.yaml", "params.yaml"])
        if (project.root / path).is_file() and b"\r\n" in (project.root / path).read_bytes()
    ]
    if crlf:
        text = f"{crlf[0]} has Windows line ends: DVC takes it for changed" + _more(crlf)
        yield "line ends", "fail", text, f"{mend} && git add --renormalize . && git checkout -- ."
    clone = git_install.examine(project)
    if clone.lacking:
        text = f"git shows sidecars and pointers as they are: it lacks {', '.join(clone.lacking)}"
        yield "git diff", "warn", text, "emdvc git install"
    elif clone.program is None:
        text = "git shows sidecars and pointers as they are: it does not find emdvc"
        yield "git diff", "warn", text, "activate the environment that emdvc is installed in, then: emdvc git install"
    else:
        yield "git diff", "ok", "shows metadata and chunks", None
    if clone.merging:
        text = f"git merges line by line, which may break files: it lacks {_first(list(clone.merging))}"
        yield "git merge", "warn", text, "emdvc git install"
    elif clone.program is None:
        text = "git merges line by line: it does not find emdvc"
        yield "git merge", "warn", text, "activate the environment that emdvc is installed in, then: emdvc git install"
    else:
        yield "git merge", "ok", "by key, stage and chunk", None
    if clone.hooks:
        text = f"raw data is not checked before a {', '.join(clone.hooks)}"
        yield "hooks", "warn", text, "emdvc git install"


def raw_data(project: Project) -> Iterator[Found]:
    """Look for raw data that was changed, that can be written, or that has no sidecar."""
    outs = [out for out in dvc.outs(project) if out.source]
    changed = [
        path for state in dvc_pipeline.states(project) if state.source for path, how in state.changed_outs.items()
        if how == "modified" and edited.of(project.path(path)) is None
    ]  # fmt: skip
    for path in changed:
        yield "raw data", "fail", f"{path} is not what was recorded", f"dvc checkout --force {path}"
    here = [(out, project.path(out.path)) for out in outs if project.path(out.path).exists()]
    open_ = [str(out.path) for out, place in here if writable(place) and edited.of(place) is None]
    if open_:
        yield "raw data", "warn", f"{open_[0]} can be written" + _more(open_), f"emdvc add {open_[0]}"
    shared = [str(out.path) for out in outs if out.digest and any(linked(project, project.path(out.path), out.digest))]
    if shared:
        text = f"{shared[0]} is the cache's own file: who writes into it changes every copy" + _more(shared)
        yield "raw data", "fail", text, "emdvc verify --raw gives it bytes of its own"
    bare = [str(out.path) for out in outs if not project.path(sidecar_path(out.path)).exists()]
    if bare:
        yield "raw data", "warn", f"{bare[0]} has no sidecar" + _more(bare), f"emdvc add {bare[0]}"
    if not (changed or open_ or shared or bare):
        raw = sum(edited.of(project.path(out.path)) is None for out in outs)
        by_hand = f"; {len(outs) - raw} of edited data, writable" if raw < len(outs) else ""
        yield "raw data", "ok", f"{raw} dataset{'s' if raw != 1 else ''}, read-only and described{by_hand}", None


def records(project: Project) -> Iterator[Found]:
    """Parse every sidecar and check its units."""
    count = 0
    with Snapshot(project) as snapshot:
        for path in snapshot.datasets():
            count += 1
            try:
                rec.check(snapshot.sidecar(path).record)
            except EmdvcError as error:
                text = f"{sidecar_path(path)}: {error.cause}" + (f" ({error.evidence})" if error.evidence else "")
                yield "sidecars", "fail", text, error.hint or f"git diff {path}{sidecars.SUFFIX}"
                count = -1
    if count >= 0:
        yield "sidecars", "ok", f"{count} can be read", None


def stages(project: Project) -> Iterator[Found]:
    """Look for stages that declare other keys than their steps read."""
    stale = stage_writing.stale(project)
    for one in stale:
        text = f"{one.info.name} {'; '.join(one.changes)}"
        yield "stages", "fail", text, f"emdvc stage update {one.info.name}"
    if not stale:
        yield "stages", "ok", "each declares what its step reads", None


def remote(project: Project) -> Iterator[Found]:
    """Ask each remote, and see that what it gives is checked; `emdvc remote check` looks closer."""
    from emdvc.history.remotes import checking
    from emdvc.history.storage.settings import default_name, remote_names

    names = remote_names(project)
    if default_name(project) is None:
        yield "remote", "warn", "data is shared nowhere", "emdvc remote add lab /path/or/s3://bucket"
    for name in names:
        fine = "answers"
        for found in checking.check(project, name, quick=True):
            if found.verdict != "ok":
                fine = ""
                yield "remote", found.verdict, f"{name}: {found.text}", found.remedy
            elif found.check == "reach" and fine:
                fine = found.text
        if fine:
            yield "remote", "ok", f"{name} {fine}", None


def _first(names: list[str]) -> str:
    return names[0] + _more(names)


def _more(paths: list[str]) -> str:
    return f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""


Check = Callable[[Project], Iterator[Found]]
CHECKS_WITHOUT_REMOTE: tuple[Check, ...] = (interrupted, settings, files, raw_data, records, stages)
CHECKS: tuple[Check, ...] = (*CHECKS_WITHOUT_REMOTE, remote)
