"""A person's own answer to a conflict: typed or written in an editor, and checked before it is taken."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emdvc.errors import Code, EmdvcError, EnvironmentFault, MetadataError, UsageError
from emdvc.history import git
from emdvc.history.merging.asking.asked import ConflictFile, Question
from emdvc.history.merging.asking.words import spoken
from emdvc.history.merging.contract import ABSENT, Conflict, Edited, Side
from emdvc.history.merging.texts.mapping import quantity_of
from emdvc.model import units
from emdvc.model.quantity import Quantity, is_quantity

#: What stands below this line in the editor is the answer.
_BELOW = "# ------ write the value below this line; nothing below it answers nothing ------"


def edited(kept: ConflictFile, conflict: Conflict, text: str) -> Edited:
    """Return what a person typed for a conflict, as a value of the kind that it is about.

    Parameters
    ----------
    kept
        The file's conflicts.
    conflict
        The conflict, with its values as they stand in the file.
    text
        What was typed: ``300 keV``; of anything but a quantity, YAML.

    Raises
    ------
    MetadataError, UsageError
        It is no value that can stand there.
    """
    sides = [side for side in (conflict.ours, conflict.theirs, conflict.base) if side is not ABSENT]
    if kept.path.name.endswith(".em.yaml"):
        from emdvc.model.record import BY_KEY, parse_value

        if conflict.key in BY_KEY and BY_KEY[conflict.key].kind != "map":
            value = parse_value(conflict.key, text)
            return Edited(value.to_dict() if isinstance(value, Quantity) else value)
    quantity = next((side for side in sides if is_quantity(side)), None)
    if quantity is not None:
        return Edited(_quantity(conflict.key, quantity, text))
    axis = next((side for side in sides if isinstance(side, Mapping) and {"size", "role"} <= set(side)), None)
    if axis is not None:
        return Edited(_axis(conflict.key, axis, text))
    if sides and all(isinstance(side, str) and "\n" in side for side in sides):
        return Edited(text)
    value = _yaml(conflict.key, text)
    _check_unit(conflict.key, next((side for side in sides if quantity_of(side) is not None), None), value)
    return Edited(value)


def _check_unit(key: str, like: Any, value: Any) -> None:
    """Refuse a text that measures something else than the text of a side (``20 mrad``)."""
    was, now = quantity_of(like), quantity_of(value)
    if was is not None and (now is None or not units.compatible(now.unit, was.unit)):
        raise MetadataError(
            f"{key} is given in {was.unit}",
            code=Code.METADATA_UNIT,
            evidence=f"got '{value}'",
            hint=f"--value '{like}'",
        )


def _quantity(key: str, like: Mapping[str, Any], text: str) -> dict[str, Any]:
    was = Quantity.from_dict(dict(like))
    found = Quantity.parse(text, unit=was.unit)
    if found.unit != was.unit and not units.compatible(found.unit, was.unit):
        raise MetadataError(
            f"{key} is given in {was.unit or 'no unit'}, not in {found.unit or 'no unit'}",
            code=Code.METADATA_UNIT,
            evidence=f"got '{text}'",
            hint=f"write it as in --value '{was}'",
        )
    if isinstance(was.value, tuple) and len(found.values) != len(was.value):
        raise MetadataError(f"{key} holds {len(was.value)} numbers", evidence=f"got '{text}'", hint=f"as in '{was}'")
    return found.to_dict()


def _axis(key: str, like: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return an axis from YAML, or with another step where only a step was typed."""
    from emdvc.model.axis import Axis

    try:
        value: Any = _yaml(key, text)
    except UsageError:
        value = text
    if not isinstance(value, dict):
        if like.get("scale") is None:
            raise UsageError(f"{key} has no step of its own", evidence=spoken(dict(like)), hint="take ours or theirs")
        value = {**like, "scale": _quantity(f"the step of {key}", like["scale"], text)}
    try:
        return Axis.from_dict(key.rsplit(".", 1)[-1], value).to_dict()
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{key} is an axis: size, role and its scale", evidence=f"got '{text}'") from error


def _yaml(key: str, text: str) -> Any:
    from emdvc.formats.sidecar import load_yaml

    try:
        return load_yaml(text, f"the value of {key}")
    except EmdvcError as error:
        raise UsageError(f"'{text}' is no value for {key}", evidence=error.evidence, hint="write it as YAML") from error


def from_editor(folder: Path, kept: ConflictFile, question: Question, start: str) -> str | None:
    """Return what a person writes for a conflict in git's editor; None where the file was left empty.

    Parameters
    ----------
    folder
        The git root: its settings name the editor.
    kept, question
        What is asked.
    start
        What the file holds at first.

    Raises
    ------
    EnvironmentFault
        There is no editor, or it failed.
    """
    lines = [f"# {question.key} of {kept.path}: {question.why}"]
    lines += [f"# {side:<6}  {_one_line(question.side(side))}" for side in Side]
    lines += [_BELOW]
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "EMDVC_VALUE.yaml")
        file.write_text("\n".join([*lines, start.rstrip("\n"), ""]), encoding="utf-8")
        _edit(file, folder)
        written = file.read_text(encoding="utf-8")
    text = written.partition(f"{_BELOW}\n")[2] if _BELOW in written else written
    return text if text.strip() else None


def _one_line(text: str) -> str:
    return " / ".join(text.splitlines())


def _edit(file: Path, folder: Path) -> None:
    editor = git.git(["var", "GIT_EDITOR"], folder)
    # as git itself does: the setting may hold arguments and quotes
    command = f'{editor} "{file}"' if os.name == "nt" else f"{editor} {shlex.quote(str(file))}"
    done = subprocess.run(command, shell=True, cwd=folder, check=False)
    if done.returncode:
        raise EnvironmentFault(
            "the editor failed; nothing was answered",
            code=Code.PROGRAM_FAILED,
            evidence=f"{editor}: exit status {done.returncode}",
            hint="--value takes the value without an editor",
        )
