"""People who work a week apart: 500 random edits each, merged in both orders, against a model of plain values.

Hypothesis drives the edits; a shrunk failure names the fewest rounds of work that show it. What is merged is real: git,
DVC, chunks, and every conflict is answered by the command that a person would type.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import merge_model as model
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from emdvc.cli.main import main
from emdvc.history.merging.asking import conflict_file
from emdvc.history.project import Project

PEOPLE = ("anna", "ben", "cleo")
EDITS = 500
ROUND = 50


@pytest.fixture(scope="module")
def common(machine: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the project that everybody starts from; the cache is shared, as on a group's server."""
    home = tmp_path_factory.mktemp("common")
    folder = home / "base"
    _emdvc("init", str(folder), cwd=home)
    _run(["dvc", "cache", "dir", "../cache"], folder)
    state = model.first()
    model.write(state, folder)
    for number, scan in enumerate(model.SCANS):
        group = zarr.create_group(folder / scan, zarr_format=3)
        group.create_array("counts", data=np.full((2, 2, 4, 4), number, "u2"), dimension_names=("y", "x", "ky", "kx"))
        _emdvc("add", scan, cwd=folder)
    _emdvc("add", model.LABELS, "--mergeable", "grains", cwd=folder)
    model.write(state, folder)
    (folder / "out").mkdir()
    (folder / "out" / ".gitignore").touch()
    _run(["dvc", "repro", "-q"], folder)
    _emdvc("save", "-m", "What everybody starts from", "--no-push", cwd=folder)
    return home


@pytest.mark.slow
def test_nothing_is_lost_between_people_who_work_apart(common: Path, tmp_path: Path) -> None:
    class Colleagues(RuleBasedStateMachine):
        """Rounds of edits, by whoever is there; in the end everybody has made 500."""

        def __init__(self) -> None:
            super().__init__()
            self.history: dict[str, list[model.State]] = {who: [model.first()] for who in PEOPLE}

        @rule(who=st.sampled_from(PEOPLE), seed=st.integers(0, 2**32 - 1))
        def work(self, who: str, seed: int) -> None:
            """Make a round of edits."""
            if len(self.history[who]) <= EDITS // ROUND:
                state, chance = self.history[who][-1].copy(), random.Random(seed)
                for _ in range(ROUND):
                    model.edit(state, chance)
                self.history[who].append(state)

        def teardown(self) -> None:
            """Let those who have done less catch up, then merge."""
            if sum(len(states) > 1 for states in self.history.values()) < 2:
                return  # Hypothesis begins with the least that the rules allow: one person's work
            for number, who in enumerate(PEOPLE):
                while len(self.history[who]) <= EDITS // ROUND:
                    self.work(who, number * 1000 + len(self.history[who]))
            with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
                _Merges(common, Path(folder), self.history).check()

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Colleagues,
        settings=settings(
            max_examples=2,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


class _Merges:
    """The clones of one example."""

    def __init__(self, common: Path, home: Path, history: dict[str, list[model.State]]) -> None:
        self.home, self.history = home, history
        shutil.copytree(common / "cache", home / "cache")
        for who in PEOPLE:
            self._clone(common / "base", who)

    def check(self) -> None:
        """Merge two in both orders, and the third one into what came of it."""
        base = model.first()
        first, second, third = (self.history[who][-1] for who in PEOPLE)
        pair = self._both_orders(("anna", "ben"), base, (first, second))
        self._clean_after_repro("anna")
        # the third one's last common state is still the one that all began with
        self._both_orders(("anna", "cleo"), base, (pair, third))

    def _both_orders(self, pair: tuple[str, str], base: model.State, states: tuple[Any, Any]) -> model.State:
        one, other = pair
        copies = {who: self.home / f"{one}-{other}-{who}" for who in pair}
        for who in pair:
            shutil.copytree(self.home / who, copies[who])
        forth = _Merge(copies[one], copies[other], pair, model.expected(base, *states))
        back = _Merge(copies[other], copies[one], (other, one), model.expected(base, *states[::-1]))
        for merge, theirs in ((forth, self.home / other), (back, self.home / one)):
            merge.theirs = theirs
            merge.run()
        trees = [_run(["git", "rev-parse", "HEAD^{tree}"], merge.folder).strip() for merge in (forth, back)]
        assert trees[0] == trees[1], _run(["git", "diff", *trees], forth.folder)
        state = model.state_of(forth.folder)
        shutil.rmtree(self.home / one)
        shutil.move(copies[one], self.home / one)
        self.repro = forth.repro
        return state

    def _clean_after_repro(self, who: str) -> None:
        folder = self.home / who
        if self.repro:
            _run(["dvc", "repro", "-q", *self.repro], folder)
        assert _run(["dvc", "status"], folder).strip() == "Data and pipelines are up to date."
        _emdvc("save", "-m", "Computed again", "--no-push", cwd=folder)

    def _clone(self, base: Path, who: str) -> None:
        folder = self.home / who
        shutil.copytree(base, folder)
        before = self.history[who][0]
        for number, state in enumerate(self.history[who][1:], 1):
            model.write(state, folder, before)
            before = state
            if number == len(self.history[who]) - 1:
                _emdvc("add", model.LABELS, cwd=folder)
                _run(["dvc", "repro", "-q"], folder)
            _run(["git", "add", "-A"], folder)
            _run(["git", "commit", "-q", "--no-verify", "--allow-empty", "-m", f"{who}: round {number}"], folder)


class _Merge:
    """One merge: what the command does beside what the model says."""

    def __init__(self, folder: Path, theirs: Path, people: tuple[str, str], wanted: model.Expected) -> None:
        self.folder, self.theirs, self.people, self.wanted = folder, theirs, people, wanted
        self.repro: list[str] = []

    def run(self) -> None:
        """Merge, answer, and compare."""
        _run(["git", "fetch", "-q", str(self.theirs), f"HEAD:refs/remotes/{self.people[1]}/main"], self.folder)
        asked = bool(self.wanted.conflicts) or bool(self.wanted.contested.any())
        said = _emdvc("merge", f"{self.people[1]}/main", "--json", cwd=self.folder, status=4 if asked else 0)
        self._compare_questions()
        self._answer()
        if asked:
            said = _emdvc("merge", "--continue", "--json", cwd=self.folder)
        self.repro = json.loads(said)["repro"]
        found = model.atoms_of(self.folder)
        assert not (differing := _differing(found, self._atoms())), differing
        assert np.array_equal(model.labels_of(self.folder), self._labels())
        assert not conflict_file.all_in(Project.find(self.folder))

    def _compare_questions(self) -> None:
        """Conflicts stand exactly where both touched the same atom."""
        covered, found, count = np.zeros_like(self.wanted.contested), set(), 0
        for kept in conflict_file.all_in(Project.find(self.folder)):
            for question in kept.open:
                if question.region is None:
                    found.add((str(kept.path), question.key))
                else:
                    covered[tuple(slice(*one) for one in question.region.slices)] = True
                    count += question.region.count
        listed = _run(["git", "diff", "--name-only", "--diff-filter=U"], self.folder).split()
        found |= {(path, "") for path in listed if path.startswith("scripts/")}  # git itself merges these
        wanted = set(self.wanted.conflicts)
        if self.wanted.contested.any():
            wanted.add((f"{model.LABELS}.em.yaml", "data"))
        assert found == wanted, (found - wanted, wanted - found)
        # a region is a box around labels that both changed, and says how many they are
        assert covered[self.wanted.contested].all()
        assert count == self.wanted.contested.sum()

    def _answer(self) -> None:
        """Answer every conflict by command: by a rule that does not depend on the order of the two."""
        chosen: dict[tuple[str, str], list[str]] = {}
        for path, key in self.wanted.conflicts:
            chosen.setdefault((path, self._side(path, key)), []).append(key)
        for (path, side), keys in chosen.items():
            named = [word for key in keys if key for word in ("--key", key)]
            _typed("merge", "--resolve", path, side, *named, cwd=self.folder)
        if self.wanted.contested.any():
            _typed("merge", "--resolve", model.LABELS, self._side(model.LABELS, ""), cwd=self.folder)

    def _side(self, path: str, key: str) -> str:
        who = sorted(self.people)[zlib.crc32(f"{path} {key}".encode()) % 2]
        return "ours" if who == self.people[0] else "theirs"

    def _atoms(self) -> dict[tuple[str, ...], Any]:
        atoms = dict(self.wanted.atoms)
        for (path, key), values in self.wanted.conflicts.items():
            value = values[0 if self._side(path, key) == "ours" else 1]
            if isinstance(value, dict) and "out" in value:  # a stage that one of them removed
                atoms |= model.State(stages={key.split(".")[1]: value}).atoms()
            elif value != model.MISSING:
                atoms[(path, key)] = value
        return atoms

    def _labels(self) -> np.ndarray:
        side = self._side(model.LABELS, "")
        both = {"ours": self.wanted.ours, "theirs": self.wanted.theirs}[side]
        return np.where(self.wanted.contested, both, self.wanted.labels)


def _differing(found: dict[Any, Any], wanted: dict[Any, Any]) -> dict[Any, Any]:
    pairs = {key: (found.get(key, model.MISSING), wanted.get(key, model.MISSING)) for key in set(found) | set(wanted)}
    return {key: pair for key, pair in pairs.items() if not model.same(*pair)}


def _run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def _emdvc(*words: str, cwd: Path, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "emdvc", *words],
        cwd=cwd,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, f"emdvc {' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def _typed(*words: str, cwd: Path) -> None:
    """Run a command in this process: there are many, and each would take half a second to start."""
    with contextlib.chdir(cwd):
        assert main(list(words)) == 0


@pytest.fixture(autouse=True)
def _kept(machine: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every test of this module use the module's own git and DVC."""
    yield
