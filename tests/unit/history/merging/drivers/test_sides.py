"""Which commits git merges, as its merge drivers find it out: real git, and a driver that only writes it down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from emdvc.history.merging.contract import Side, Three
from emdvc.history.merging.drivers.sides import VARIABLE, as_variable, commits_of
from emdvc.history.project import Project

FILE = "notes.txt"
DRIVER = """\
import sys
from pathlib import Path, PurePosixPath
from emdvc.history.merging.contract import Three
from emdvc.history.merging.drivers.sides import as_variable, commits_of
from emdvc.history.project import Project

base, ours, theirs, path = sys.argv[1:5]
here = Path.cwd()
read = [Path(name).read_bytes() for name in (base, ours, theirs)]
found = commits_of(Project(here, here), Three(PurePosixPath(path), read[0] or None, *read[1:]))
with Path(__file__).with_name("told.txt").open("a") as told:
    told.write(as_variable(found) + "\\n")
Path(ours).write_bytes(read[1] + read[2])
"""


class Clone:
    """A clone with the driver, and a file in it with a line of its own on each branch."""

    def __init__(self, place: Path) -> None:
        self.root = place / "clone"
        self.root.mkdir()
        self._told = place / "told.txt"
        (place / "driver.py").write_text(DRIVER)
        self.git("init", "-q")
        driver = f'"{Path(sys.executable).as_posix()}" "{(place / "driver.py").as_posix()}" %O %A %B %P'
        self.git("config", "merge.told.driver", driver)
        (self.root / ".gitattributes").write_text(f"{FILE} merge=told\n")
        self.base = self.commit("base")

    def git(self, *words: str, status: int = 0, env: dict[str, str] | None = None) -> str:
        environment = {**os.environ, "GIT_EDITOR": "true", **(env or {})}
        words = ("git", *words)
        done = subprocess.run(words, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout.strip()

    def write(self, text: str) -> None:
        (self.root / FILE).write_text(text + "\n")

    def commit(self, text: str, other: str = "") -> str:
        """Commit a text of the file, and one of another file."""
        self.write(text)
        if other:
            (self.root / "other.txt").write_text(other + "\n")
        self.git("add", "--all")
        self.git("commit", "-qm", text)
        return self.git("rev-parse", "HEAD")

    def forked(self) -> tuple[str, str]:
        """Return a commit on main, which is checked out, and one on the branch theirs."""
        self.git("checkout", "-q", "-b", "theirs")
        theirs = self.commit("theirs")
        self.git("checkout", "-q", "main")
        return self.commit("ours"), theirs

    @property
    def told(self) -> list[dict[str, str]]:
        lines = self._told.read_text().splitlines()
        return [dict(part.split("=") for part in line.split(",") if part) for line in lines]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_merge(clone: Clone) -> None:
    ours, theirs = clone.forked()
    clone.git("merge", "-q", "theirs")
    assert clone.told == [{"base": clone.base, "ours": ours, "theirs": theirs}]


def test_rebase(clone: Clone) -> None:
    ours, theirs = clone.forked()
    clone.git("checkout", "-q", "theirs")
    later = clone.commit("theirs, again")
    clone.git("rebase", "-q", "main")
    first, second = clone.told
    # ours is what it is rebased onto, the base is the commit before the one that is applied
    assert first == {"base": clone.base, "ours": ours, "theirs": theirs}
    assert (second["base"], second["theirs"]) == (theirs, later)
    assert second["ours"] == clone.git("rev-parse", "HEAD~1")


@pytest.mark.parametrize("several", [False, True])
def test_cherry_pick(several: bool, clone: Clone) -> None:
    ours, theirs = clone.forked()
    clone.git("checkout", "-q", "theirs")
    later = clone.commit("theirs, again", "more")
    clone.git("checkout", "-q", "main")
    clone.git("cherry-pick", *([theirs] if several else []), later)
    assert {key: clone.told[-1][key] for key in ("base", "theirs")} == {"base": theirs, "theirs": later}
    assert clone.told[0]["ours"] == ours


def test_revert(clone: Clone) -> None:
    undone = clone.commit("undone")
    ours = clone.commit("ours")
    clone.git("revert", "--no-edit", undone)
    assert clone.told == [{"base": undone, "ours": ours, "theirs": clone.base}]


def test_stash_pop(clone: Clone) -> None:
    clone.write("stashed")
    clone.git("stash", "-q")
    stash = clone.git("rev-parse", "stash")
    ours = clone.commit("ours")
    clone.git("stash", "pop", "-q")
    assert clone.told == [{"base": clone.base, "ours": ours, "theirs": stash}]


def test_two_bases_are_no_commit(clone: Clone) -> None:
    clone.forked()
    clone.git("branch", "earlier")
    clone.git("merge", "-q", "-m", "one", "theirs")
    clone.git("checkout", "-q", "theirs")
    clone.git("merge", "-q", "-m", "other", "earlier")
    theirs = clone.commit("later there")
    clone.git("checkout", "-q", "main")
    ours = clone.commit("later here")
    clone.git("merge", "-q", "theirs")
    assert clone.told[-1] == {"ours": ours, "theirs": theirs}


def test_added_on_both_sides_has_no_base(clone: Clone) -> None:
    (clone.root / FILE).unlink()
    clone.git("commit", "-qam", "none")
    none = clone.git("rev-parse", "HEAD")
    ours, theirs = clone.forked()
    clone.git("merge", "-q", "theirs")
    # that the base has no such file is verified, too
    assert clone.told == [{"base": none, "ours": ours, "theirs": theirs}]


def three(clone: Clone, theirs: str) -> Three:
    return Three(PurePosixPath(FILE), *(f"{text}\n".encode() for text in ("base", "ours", theirs)))


def test_what_is_told_is_believed_only_where_it_holds(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = clone.forked()
    project = Project(clone.root, clone.root)
    said = {Side.BASE: clone.base, Side.OURS: ours, Side.THEIRS: theirs}
    monkeypatch.setenv(VARIABLE, as_variable(said))
    assert commits_of(project, three(clone, "theirs")) == said
    monkeypatch.setenv(VARIABLE, as_variable({Side.BASE: theirs, Side.OURS: ours, Side.THEIRS: "0" * 40}))
    assert commits_of(project, three(clone, "theirs")) == {Side.OURS: ours}
    monkeypatch.delenv(VARIABLE)
    # nothing says what is merged; the commit that brought these bytes is found by them
    assert commits_of(project, three(clone, "theirs")) == said
    assert commits_of(project, three(clone, "in no commit")) == {Side.OURS: ours}
