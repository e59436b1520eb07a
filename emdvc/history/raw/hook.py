"""The hooks that git calls before a commit, a merge and a push: plain POSIX, also for git's shell on Windows.

A hook that was there is kept under another name, and called first. Where emdvc is gone the hooks let everything pass:
they protect, they do not lock out; the check on the forge is the one that nobody can pass by.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from emdvc.formats.sidecar import write_text
from emdvc.history import git, own_program
from emdvc.history.project import Project

#: Before a commit, before the commit of a merge that met no conflict, before a push.
NAMES = ("pre-commit", "pre-merge-commit", "pre-push")
#: What a hook that was there is kept as, after its name.
KEPT = ".before-emdvc"
_MARK = "# Raw data is safe: written by `emdvc git install`, taken back by `emdvc git uninstall`."
_TEXT = """\
#!/bin/sh
{mark}
# A hook that was here before is kept beside it, with the ending {kept}, and called first.
emdvc_python={python}
emdvc_package={package}
emdvc_name=$(basename -- "$0")
emdvc_kept=$(dirname -- "$0")/${{emdvc_name%.legacy}}{kept}
emdvc_pushed=
if [ "$emdvc_name" = pre-push ]; then emdvc_pushed=$(cat); fi
if [ -x "$emdvc_kept" ]; then
  if [ -n "$emdvc_pushed" ]; then printf '%s\\n' "$emdvc_pushed" | "$emdvc_kept" "$@" || exit
  else "$emdvc_kept" "$@" || exit; fi
fi
emdvc_check() {{
  if [ -x "$emdvc_python" ] && [ -f "$emdvc_package" ]; then "$emdvc_python" -P -m emdvc verify --raw "$@" >&2
  elif command -v emdvc >/dev/null 2>&1; then emdvc verify --raw "$@" >&2
  else echo "warning: emdvc is not to be found: raw data is not checked" >&2; return 0; fi
  emdvc_status=$?
  # 1: raw data was lost, or a conflict is not resolved; any other status says that the check itself did not work, and
  # that must lock nobody out
  if [ "$emdvc_status" -eq 1 ]; then return 1; fi
  if [ "$emdvc_status" -ne 0 ]; then echo 'warning: raw data was not checked; `emdvc doctor` may say why' >&2; fi
}}
emdvc_asked() {{
  # also without a merge that git knows of (a stash that was applied): what is asked lies beside a staged file
  git -c core.quotepath=off diff --cached --name-only --diff-filter=AM | {{
    while read -r emdvc_file; do if [ -e "$emdvc_file.conflict.yaml" ]; then exit 0; fi; done; exit 1; }}
}}
case $emdvc_name in
  pre-push*)
    # a line for each branch: what it is called here, its commit, what it is called there, the commit it has there
    printf '%s\\n' "$emdvc_pushed" | while read -r emdvc_ref emdvc_new emdvc_to emdvc_old; do
      case $emdvc_new in *[!0]*) ;; *) continue ;; esac
      case $emdvc_to in refs/heads/*|refs/tags/*) ;; *) continue ;; esac
      if git cat-file -e "$emdvc_old^{{commit}}" 2>/dev/null
      then emdvc_check "$emdvc_old..$emdvc_new" </dev/null || exit 1
      else emdvc_check --unshared "$emdvc_new" </dev/null || exit 1; fi
    done || exit 1 ;;
  *)
    # most commits touch no pointer, which git alone knows at once; a merge may lose what only the other side has, and
    # what it asks about may have been staged without an answer
    emdvc_underway=$emdvc_name
    for emdvc_sign in MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD rebase-merge rebase-apply; do
      if [ -e "$(git rev-parse --git-path $emdvc_sign)" ]; then emdvc_underway=pre-merge-commit; fi
    done
    if [ "${{emdvc_underway#pre-merge-commit}}" != "$emdvc_underway" ] || emdvc_asked ||
       ! git diff --cached --quiet --diff-filter=a -- '*.dvc'
    then emdvc_check --index || exit 1; fi ;;
esac
exit 0
"""


def text() -> str:
    """Return the hook; it remembers the interpreter that runs now, for a shell in which emdvc is not on PATH."""
    return _TEXT.format(mark=_MARK, kept=KEPT, **own_program.words())


def folder(project: Project) -> Path | None:
    """Return where git looks for the clone's hooks; None where a setting names a folder that others share."""
    if git.config("core.hooksPath", project.git_root) is not None:
        return None
    common = git.git(["rev-parse", "--git-common-dir"], project.git_root)
    return project.git_root / common / "hooks"


def lacking(project: Project) -> list[str]:
    """Return the hooks that are not there, or are not as this emdvc writes them."""
    place = folder(project)
    return list(NAMES) if place is None else [name for name in NAMES if not _current(_read(place / name))]


def install(project: Project, *, dry_run: bool = False) -> tuple[list[str], list[str]]:
    """Write the hooks that lack, keeping those of others; return what was written, and what stays and why."""
    place = folder(project)
    if place is None:
        path = git.config("core.hooksPath", project.git_root)
        return [], [f"hooks of {path}, which the setting core.hooksPath names: raw data is not checked at a commit"]
    made = []
    for name in lacking(project):
        hook, kept = place / name, place / f"{name}{KEPT}"
        there = _read(hook)
        if not dry_run:
            place.mkdir(parents=True, exist_ok=True)
            if there is not None and _MARK not in there:
                hook.replace(kept)
            write_text(hook, text())
            hook.chmod(0o755)
        foreign = there is not None and _MARK not in there
        made.append(f"hook {name}" + (f" (yours is kept as {kept.name}, and called first)" if foreign else ""))
    return made, []


def uninstall(project: Project, *, dry_run: bool = False) -> list[str]:
    """Take the hooks back, and give those of others their names again; return what was taken back."""
    place = folder(project)
    removed = []
    for name in NAMES if place is not None else ():
        assert place is not None
        hook, kept = place / name, place / f"{name}{KEPT}"
        if _MARK not in (_read(hook) or ""):
            continue
        if not dry_run:
            hook.unlink()
            if kept.exists():
                kept.replace(hook)
        removed.append(f"hook {name}")
    return removed


def _read(hook: Path) -> str | None:
    with suppress(OSError):
        return hook.read_text(encoding="utf-8", errors="replace")
    return None


def _current(there: str | None) -> bool:
    # an interpreter that is gone is written anew
    return there is not None and own_program.same_script(there, text()) and own_program.there(there)
