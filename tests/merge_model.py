"""Random edits of a project by several people, and what their merge must come to: by plain values, with no emdvc in it.

A state is what one person's files say. Its *atoms* are the smallest things that can be changed alone: a parameter, a
field of the record, one of a set's members, the command of a stage, one label of an array.
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from ruamel.yaml import YAML

from emdvc.formats.sidecar import dump_yaml

SCANS = ("raw/a.zarr", "raw/b.zarr", "raw/c.zarr")
LABELS = "labels/grains.zarr"
SIDE = 32
CHUNK = 8
STAGES = 8
MISSING = "<missing>"

_QUANTITIES = [
    {"value": value, "unit": unit, "origin": "user"}
    for value, unit in ((80.0, "keV"), (200.0, "keV"), (300.0, "keV"), (60.0, "keV"), (120.0, "keV"), (30.0, "keV"))
]
_RECORD: dict[str, list[Any]] = {
    "title": ["gold", "gold, second grid", "gold on carbon", "silver"],
    "operator": ["Anna", "Ben", "Cleo", "Dora"],
    "facility": ["Jülich", "Oxford", "Grenoble"],
    "notes": ["drift in the second half", "good", "tip changed: see the log", "# not a comment"],
    "sample.id": ["G-17", "G-18", "G-19", "1e3", "007"],
    "sample.description": ["gold nanocrystals", "three grains", "a film"],
    "instrument.model": ["Titan", "Themis", "ARM"],
    "beam.energy": _QUANTITIES,
    "beam.defocus": [{"value": float(value), "unit": "nm", "origin": "user"} for value in range(-40, 50, 10)],
}
_ELEMENTS = ["Ag", "Au", "C", "Cu", "Fe", "Ni", "O", "Pt", "Si", "Ti"]
_VALUES: list[Any] = [1, 2, 3.5, "20 mrad", "0.1/angstrom", True, "sum", [1, 2], "4", None, 5, 6, 7, 8]


@dataclass
class State:
    """What one person's files say."""

    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    record: dict[str, dict[str, Any]] = field(default_factory=dict)
    elements: dict[str, set[str]] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    labels: np.ndarray = field(default_factory=lambda: np.zeros((SIDE, SIDE), "i4"))

    def copy(self) -> State:
        """Return a state of its own."""
        return copy.deepcopy(self)

    def atoms(self) -> dict[tuple[str, ...], Any]:
        """Return every atom but the labels, by (file, key)."""
        found: dict[tuple[str, ...], Any] = {}
        for section, values in self.params.items():
            found |= {("params.yaml", f"{section}.{key}"): value for key, value in values.items()}
        for scan, values in self.record.items():
            found |= {(f"{scan}.em.yaml", key): value for key, value in values.items()}
            found |= {(f"{scan}.em.yaml", "sample.elements", one): True for one in self.elements[scan]}
        for name, stage in self.stages.items():
            found[("dvc.yaml", f"stages.{name}.cmd")] = stage["cmd"]
            found |= {("dvc.yaml", f"stages.{name}.deps", dep): True for dep in stage["deps"]}
            found |= {("dvc.yaml", f"stages.{name}.params", one): True for one in stage["params"]}
        found |= {(f"scripts/{name}", ""): text for name, text in self.scripts.items()}
        return found


def first() -> State:
    """Return the state that everybody starts from."""
    state = State()
    for number in range(30):
        state.params[f"section{number:02}"] = {f"key{one}": _VALUES[(number + one) % len(_VALUES)] for one in range(6)}
    for scan in SCANS:
        state.record[scan] = {key: values[0] for key, values in _RECORD.items()}
        state.elements[scan] = {"Au", "C"}
    for number in range(STAGES):
        state.scripts[f"s{number:02}.txt"] = f"script {number}\n"
        state.stages[f"s{number:02}"] = _stage(f"s{number:02}", f"s{number:02}.txt", 0)
    return state


def _stage(name: str, script: str, version: int) -> dict[str, Any]:
    return {
        "cmd": _cmd(name, script, version),
        "deps": {f"scripts/{script}"},
        "params": set(),
        "out": f"out/{name}.txt",
    }


def _cmd(name: str, script: str, version: int) -> str:
    # the same in the shells of all systems
    return f"git hash-object scripts/{script} > out/{name}.txt && echo {version} >> out/{name}.txt"


def edit(state: State, chance: random.Random) -> str:
    """Make one random, valid edit, and return what kind it was."""
    kinds = {"parameter": 34, "record": 16, "element": 8, "label": 30, "stage": 8, "script": 4}
    kind = chance.choices(list(kinds), list(kinds.values()))[0]
    {
        "parameter": _edit_parameter,
        "record": _edit_record,
        "element": _edit_element,
        "label": _edit_label,
        "stage": _edit_stage,
        "script": _edit_script,
    }[kind](state, chance)
    return kind


def _edit_parameter(state: State, chance: random.Random) -> None:
    section = chance.choice(sorted(state.params))
    values = state.params[section]
    how = chance.random()
    if how < 0.15:
        values[f"new{chance.randrange(12)}"] = chance.choice(_VALUES)
    elif how < 0.25 and len(values) > 3:
        del values[chance.choice(sorted(values))]
    elif how < 0.3:
        state.params.setdefault(f"more{chance.randrange(6)}", {"first": 1})["second"] = chance.choice(_VALUES)
    else:
        values[chance.choice(sorted(values))] = chance.choice(_VALUES)


def _edit_record(state: State, chance: random.Random) -> None:
    key = chance.choice(sorted(_RECORD))
    values = state.record[chance.choice(SCANS)]
    if key in ("notes", "facility") and chance.random() < 0.2:
        values.pop(key, None)
    else:
        values[key] = chance.choice(_RECORD[key])


def _edit_element(state: State, chance: random.Random) -> None:
    elements, one = state.elements[chance.choice(SCANS)], chance.choice(_ELEMENTS)
    if one in elements and len(elements) > 1:
        elements.discard(one)
    else:
        elements.add(one)


def _edit_label(state: State, chance: random.Random) -> None:
    state.labels[chance.randrange(SIDE), chance.randrange(SIDE)] = chance.randrange(1, 9)


def _edit_stage(state: State, chance: random.Random) -> None:
    how = chance.random()
    name = chance.choice(sorted(state.stages))
    stage = state.stages[name]
    if how < 0.2:
        new = f"t{chance.randrange(8):02}"
        state.stages.setdefault(new, _stage(new, chance.choice(sorted(state.scripts)), chance.randrange(3)))
    elif how < 0.25 and len(state.stages) > STAGES // 2:
        del state.stages[name]
    elif how < 0.5:
        stage["deps"].add(f"scripts/{chance.choice(sorted(state.scripts))}")
    elif how < 0.75:
        stage["params"].add(chance.choice([key for key in sorted(state.params) if key.startswith("section")]))
    else:
        stage["cmd"] = _cmd(name, chance.choice(sorted(stage["deps"])).split("/")[1], chance.randrange(5))


def _edit_script(state: State, chance: random.Random) -> None:
    state.scripts[chance.choice(sorted(state.scripts))] = f"script {chance.randrange(50)}\n"


# --- what a merge must come to ----------------------------------------------------------------------------------------


@dataclass
class Expected:
    """What two people's edits come to.

    Parameters
    ----------
    atoms
        Everything that only one of them changed, or both alike.
    conflicts
        (file, key) -> the two values, of what both changed to different ones.
    labels
        The array; where both set a label to different values, that of the base.
    contested
        Where that is.
    ours, theirs
        The two people's labels.
    """

    atoms: dict[tuple[str, ...], Any]
    conflicts: dict[tuple[str, str], tuple[Any, Any]]
    labels: np.ndarray
    contested: np.ndarray
    ours: np.ndarray
    theirs: np.ndarray


def expected(base: State, ours: State, theirs: State) -> Expected:
    """Return what the merge of two states must be."""
    sides = base.atoms(), ours.atoms(), theirs.atoms()
    atoms: dict[tuple[str, ...], Any] = {}
    conflicts: dict[tuple[str, str], tuple[Any, Any]] = {}
    gone = _removed_stages(base, ours, theirs, conflicts)
    for key in sorted(set().union(*sides)):
        if key[0] == "dvc.yaml" and key[1].split(".")[1] in gone:
            continue
        old, mine, other = (side.get(key, MISSING) for side in sides)
        if same(mine, other) or same(other, old):
            value = mine
        elif same(mine, old):
            value = other
        else:
            conflicts[(key[0], key[1])] = (mine, other)
            continue
        if value != MISSING:
            atoms[key] = value
    mine_changed, other_changed = ours.labels != base.labels, theirs.labels != base.labels
    contested = mine_changed & other_changed & (ours.labels != theirs.labels)
    labels = np.where(
        mine_changed & ~contested, ours.labels, np.where(other_changed & ~contested, theirs.labels, base.labels)
    )
    return Expected(atoms, conflicts, labels, contested, ours.labels, theirs.labels)


def same(one: Any, other: Any) -> bool:
    """Say whether two plain values are the same: to Python 1 and True are."""
    return json.dumps(one, sort_keys=True, default=sorted) == json.dumps(other, sort_keys=True, default=sorted)


def _removed_stages(base: State, ours: State, theirs: State, conflicts: dict[tuple[str, str], Any]) -> set[str]:
    """Return the stages that are no matter of single keys: one side has removed them."""
    gone = set()
    for name, stage in base.stages.items():
        for removing, keeping in ((ours, theirs), (theirs, ours)):
            if name in removing.stages:
                continue
            gone.add(name)
            if keeping.stages.get(name, stage) != stage:
                conflicts[("dvc.yaml", f"stages.{name}")] = tuple(
                    side.stages.get(name, MISSING) for side in (ours, theirs)
                )
    return gone


# --- files ------------------------------------------------------------------------------------------------------------


def write(state: State, folder: Path, before: State | None = None) -> None:
    """Write what differs from an earlier state into a project's files."""
    if before is None or state.params != before.params:
        _dump(state.params, folder / "params.yaml")
    if before is None or state.stages != before.stages:
        stages = {
            name: {
                "cmd": stage["cmd"],
                "deps": sorted(stage["deps"]),
                **({"params": sorted(stage["params"])} if stage["params"] else {}),
                "outs": [stage["out"]],
            }
            for name, stage in state.stages.items()
        }
        _dump({"stages": stages}, folder / "dvc.yaml")
    for name, text in state.scripts.items():
        if before is None or before.scripts[name] != text:
            (folder / "scripts").mkdir(exist_ok=True)
            (folder / "scripts" / name).write_text(text, encoding="utf-8")
    for scan in SCANS:
        path = folder / f"{scan}.em.yaml"
        if path.exists():
            _write_record(path, state.record[scan], state.elements[scan])
    if before is None or not np.array_equal(state.labels, before.labels):
        write_labels(folder / LABELS, state.labels)


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write the labels; of a store that is there, only chunks that differ."""
    if not path.exists():
        group = zarr.create_group(path, zarr_format=3)
        group.create_array(
            "grains", shape=labels.shape, dtype=labels.dtype, chunks=(CHUNK, CHUNK), dimension_names=("y", "x"),
            chunk_key_encoding={"name": "v2", "separator": "."}, fill_value=0, attributes={"units": "label"},
        )[:] = labels  # fmt: skip
        return
    array = zarr.open_group(path, mode="r+")["grains"]
    here = array[:]
    for y in range(0, SIDE, CHUNK):
        for x in range(0, SIDE, CHUNK):
            part = slice(y, y + CHUNK), slice(x, x + CHUNK)
            if not np.array_equal(here[part], labels[part]):
                array[part] = labels[part]


def _write_record(path: Path, values: dict[str, Any], elements: set[str]) -> None:
    content = _load(path)
    for key in _RECORD:
        *above, last = key.split(".")
        node = content
        for name in above:
            node = node.setdefault(name, {})
        if key in values:
            node[last] = values[key]
        else:
            node.pop(last, None)
    content["sample"]["elements"] = sorted(elements)
    text = dump_yaml(content)
    if text != path.read_text(encoding="utf-8"):
        path.write_text(text, encoding="utf-8")


def atoms_of(folder: Path) -> dict[tuple[str, ...], Any]:
    """Return the atoms that a project's files hold now."""
    return state_of(folder).atoms()


def state_of(folder: Path) -> State:
    """Return what a project's files say now."""
    state = State(params=_load(folder / "params.yaml"))
    for scan in SCANS:
        content = _load(folder / f"{scan}.em.yaml")
        state.record[scan] = {key: value for key in _RECORD if (value := _at(content, key)) != MISSING}
        state.elements[scan] = set(content["sample"]["elements"])
    for name, stage in _load(folder / "dvc.yaml")["stages"].items():
        deps, params = set(stage["deps"]), set(stage.get("params", ()))
        state.stages[name] = {"cmd": stage["cmd"], "deps": deps, "params": params, "out": stage["outs"][0]}
    for path in sorted((folder / "scripts").glob("s*.txt")):
        state.scripts[path.name] = path.read_text(encoding="utf-8")
    state.labels = labels_of(folder)
    return state


def labels_of(folder: Path) -> np.ndarray:
    """Return the labels that lie in a project's folder now."""
    return np.asarray(zarr.open_group(folder / LABELS, mode="r")["grains"][:])


def _at(content: Any, key: str) -> Any:
    for name in key.split("."):
        if not isinstance(content, dict) or name not in content:
            return MISSING
        content = content[name]
    return content


def _load(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def _dump(content: Any, path: Path) -> None:
    yaml = YAML()
    yaml.width = 4096
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yaml.dump(json.loads(json.dumps(content)), file)  # the same list at two places would be written as an alias
