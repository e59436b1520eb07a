"""Git itself speaks of metadata and chunks, and of plain files where emdvc is not to be found."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_zarr

IDENTITY = {f"GIT_{who}_{what}": "ruska@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
SIDECAR, POINTER = "raw/scan.zarr.em.yaml", "raw/scan.zarr.dvc"

posix = pytest.mark.skipif(os.name == "nt", reason="the program is replaced by a shell script")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with a history: a scan, its calibration, one chunk measured again, a stage, a new name."""
    place = tmp_path_factory.mktemp("history")
    (place / "gitconfig").touch()
    environment = {
        **IDENTITY,
        "DVC_SITE_CACHE_DIR": str(place / "site"),
        "GIT_CONFIG_GLOBAL": str(place / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return _built(place, Emdvc(place))


def _built(place: Path, emdvc: Emdvc) -> Path:
    project = place / "project"
    emdvc("init", project)
    scan = write_zarr(place / "scan.zarr", DiffractionPhantom((8, 8), (8, 8)), scan_chunk=4, compressed=False)
    emdvc("add", scan, cwd=project)
    _commit(project, "the scan")
    emdvc("add", "raw/scan.zarr", "--set", "beam.energy=200kV", "--set", "scan.step=0.5nm", cwd=project)
    _commit(project, "calibrate")
    # the chunk of probe positions y 4:8, x 0:4 is the file 1.0.0.0; one pattern in it is another
    chunk = scan / "counts" / "1.0.0.0"
    values = np.fromfile(chunk, "<u2")
    values[:64] += 1
    values.tofile(chunk)
    emdvc("add", scan, "--replace", "measured again", cwd=project)
    _commit(project, "one pattern again")
    (project / "params.yaml").write_text("look:\n  outer: {value: 0.02, unit: rad, origin: user}\n", encoding="utf-8")
    (project / "look.py").write_text("open('look.txt', 'w').write('bright')\n", encoding="utf-8")
    command = [
        "stage",
        "add",
        "-q",
        "-n",
        "look",
        "-d",
        "look.py",
        "-p",
        "look.outer",
        "-o",
        "look.txt",
        "python look.py",
    ]
    for words in (command, ["repro", "-q"]):
        subprocess.run([sys.executable, "-m", "dvc", *words], cwd=project, check=True)
    _commit(project, "a stage")
    return project


def _commit(folder: Path, message: str) -> None:
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-qm", message], cwd=folder, check=True)


@pytest.fixture
def project(history: Path, tmp_path: Path) -> Path:
    """Return a copy of the history for one test."""
    return Path(shutil.copytree(history, tmp_path / "project", symlinks=True))


def git(folder: Path, *words: str, path: str | None = None, check: bool = True) -> str:
    """Return what git prints, as in a shell with that PATH."""
    environment = dict(os.environ) if path is None else {**os.environ, "PATH": path}
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, check=check)
    assert not done.stderr, done.stderr.decode()
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.fixture
def bare_path() -> str:
    """Return a PATH with git and the system's programs on which emdvc is not."""
    program = shutil.which("git")
    assert program is not None
    path = os.pathsep.join(dict.fromkeys([str(Path(program).parent), "/usr/bin", "/bin"]))
    if shutil.which("emdvc", path=path):
        pytest.skip("emdvc lies beside git")
    return path


def forget_interpreter(folder: Path) -> None:
    """Let the script remember an interpreter that is gone, as after the environment was removed."""
    script = folder / ".git" / "emdvc" / "textconv"
    script.write_text(re.sub(r"(?m)^emdvc_python=.*$", "emdvc_python=/gone/bin/python", script.read_text()))


@pytest.fixture
def counted(tmp_path: Path, bare_path: str) -> tuple[str, Callable[[], int]]:
    """Return a PATH with an `emdvc` that counts how often it is started, and the count."""
    count, folder = tmp_path / "count", tmp_path / "counting programs"
    folder.mkdir()
    program = folder / "emdvc"
    program.write_text(f'#!/bin/sh\necho started >> "{count}"\nexec "{sys.executable}" -P -m emdvc "$@"\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{bare_path}", lambda: len(count.read_text().splitlines()) if count.exists() else 0


# --- what is shown --------------------------------------------------------------------------------------------------


def test_diff_speaks_of_values_with_units(project: Path) -> None:
    said = git(project, "diff", "HEAD~3", "HEAD~2", "--", SIDECAR)
    # the file says 200 kV and 0.5 nm; the field of the beam's energy is given in keV; 8 probe positions cover 4 nm
    assert "\n+  beam.energy: 200 keV (user)\n" in said
    assert "\n+  scan.step: (0.5, 0.5) nm (user)\n" in said
    assert "\n+  y.field of view: 4 nm\n" in said
    assert re.search(r"^@@ .* @@ record:$|^@@ .* @@ dataset:$", said, re.MULTILINE)


def test_diff_speaks_of_chunks_by_region(project: Path) -> None:
    said = git(project, "diff", "-U0", "HEAD~2", "HEAD~1", "--", POINTER)
    changed = [line for line in said.splitlines() if re.match(r"[+-]  y ", line)]
    old, new = (line.rsplit("  ", 1) for line in changed)
    assert (old[0], new[0]) == ("-  y 4:8, x 0:4, ky 0:8, kx 0:8", "+  y 4:8, x 0:4, ky 0:8, kx 0:8")
    assert re.fullmatch(r"[0-9a-f]{8}", new[1])
    assert old[1] != new[1]
    assert "@@ array counts: uint16, y 8, x 8, ky 8, kx 8; a file holds y 4, x 4, ky 8, kx 8" in said


def test_log_and_blame(project: Path) -> None:
    said = git(project, "log", "-p", "--format=# %s", "--", SIDECAR, POINTER)
    assert [line for line in said.splitlines() if line.startswith("# ")] == [
        "# one pattern again",
        "# calibrate",
        "# the scan",
    ]
    assert said.count("+  beam.energy: 200 keV (user)") == 1
    blamed = git(project, "blame", "--textconv", "-s", SIDECAR)
    by_line = {line.split(") ", 1)[1]: line.split()[0].strip("^") for line in blamed.splitlines()}
    commits = git(project, "log", "--format=%h").split()
    assert commits[2].startswith(by_line["  beam.energy: 200 keV (user)"][:7])
    assert commits[3].startswith(by_line["  shape: 8 x 8 x 8 x 8"][:7])


def test_dvc_lock_is_a_choice(project: Path, emdvc: Emdvc) -> None:
    assert "+schema: '2.0'" in git(project, "show", "--format=", "HEAD", "--", "dvc.lock")
    emdvc("git", "install", "--lock", cwd=project)
    said = git(project, "show", "--format=", "HEAD", "--", "dvc.lock")
    assert "+stage look:\n+  cmd: python look.py\n" in said
    assert "+  param params.yaml look.outer: 0.02 rad (user)\n" in said
    md5 = hashlib.md5(b"bright").hexdigest()
    assert f"+  out look.txt: {md5[:8]}, 6 bytes\n" in said
    emdvc("git", "uninstall", "--attributes", cwd=project)
    assert "dvc.lock diff=emdvc" not in (project / ".gitattributes").read_text()
    assert "*.em.yaml text eol=lf\n" in (project / ".gitattributes").read_text()


def test_a_renamed_dataset(project: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "dvc", "move", "-q", "raw/scan.zarr", "raw/first.zarr"], cwd=project, check=True
    )
    subprocess.run(["git", "mv", SIDECAR, "raw/first.zarr.em.yaml"], cwd=project, check=True)
    git(project, "add", "--all")
    said = git(project, "diff", "--cached", "-M10%", "--", "raw")
    assert "rename from raw/scan.zarr.dvc\nrename to raw/first.zarr.dvc" in said
    assert "-data scan.zarr:\n+data first.zarr:\n" in said
    assert "rename from raw/scan.zarr.em.yaml" in said


# --- where emdvc is not ---------------------------------------------------------------------------------------------


def test_without_emdvc_git_shows_the_files(project: Path, bare_path: str) -> None:
    git(project, "log", "-p")  # texts are kept
    forget_interpreter(project)
    for words in (["log", "-p"], ["diff", "HEAD~3", "HEAD"], ["show", "HEAD"]):
        assert git(project, *words, path=bare_path) == git(project, *words, "--no-textconv")
    assert "energy: {value: 200, unit: kV, origin: user}" in git(project, "log", "-p", path=bare_path)
    plain = git(project, "blame", "--no-textconv", SIDECAR)
    assert git(project, "blame", "--textconv", SIDECAR, path=bare_path) == plain
    # and with it again, the texts: that files were shown was remembered nowhere
    assert "beam.energy: 200 keV (user)" in git(project, "log", "-p")


def test_the_remembered_interpreter_is_used(project: Path, bare_path: str, tmp_path: Path, emdvc: Emdvc) -> None:
    environment = tmp_path / "an environment's folder"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    site = next(environment.rglob("site-packages"))
    folders = {sysconfig.get_path("purelib"), str(Path(__file__).resolve().parents[2])}
    (site / "all.pth").write_text("".join(f"import site; site.addsitedir({folder!r})\n" for folder in folders))
    python = next(scripts.glob("python*"))
    forget_interpreter(project)
    # the settings are there, but the interpreter that the script remembers is gone: that alone is mended
    done = subprocess.run([python, "-m", "emdvc", "git", "install"], cwd=project, check=True, capture_output=True)
    assert done.stdout.decode().startswith("wrote script ")
    status = json.loads(emdvc("git", "status", "--json", cwd=project, env={"PATH": bare_path}).stdout)
    assert status["program"] == f"{python} -m emdvc"
    said = ["diff", "HEAD~3", "HEAD~2", "--", SIDECAR]
    assert "+  beam.energy: 200 keV (user)" in git(project, *said, path=bare_path)
    shutil.rmtree(environment)
    assert "+  energy: {value: 200, unit: kV, origin: user}" in git(project, *said, path=bare_path)
    assert json.loads(emdvc("git", "status", "--json", cwd=project, env={"PATH": bare_path}).stdout)["program"] is None


def test_a_clone_without_the_settings_is_plain_git(project: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(project), "clone")
    said = git(tmp_path / "clone", "log", "-p")
    assert said == git(tmp_path / "clone", "log", "-p", "--no-textconv")
    assert "+  energy: {value: 200, unit: kV, origin: user}" in said


def test_a_clone_made_by_emdvc_shows_texts(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("get", project, "clone", "--no-data", cwd=tmp_path)
    said = git(tmp_path / "clone", "log", "-p", "--", SIDECAR, POINTER)
    assert "+  beam.energy: 200 keV (user)" in said
    # the list of chunks was not fetched: that is said, with what fetches it, and not remembered
    assert "which files it holds is not in the cache: dvc fetch scan.zarr.dvc" in said
    kept = {path.read_text() for path in (tmp_path / "clone" / ".git" / "emdvc" / "texts").rglob("*") if path.is_file()}
    assert kept
    assert not any("is not in the cache" in text for text in kept)
    shutil.copytree(project / ".dvc" / "cache", tmp_path / "clone" / ".dvc" / "cache", dirs_exist_ok=True)
    assert "+  y 4:8, x 0:4, ky 0:8, kx 0:8" in git(tmp_path / "clone", "log", "-p", "--", POINTER)


def test_a_missing_script_does_not_break_git(project: Path) -> None:
    shutil.rmtree(project / ".git" / "emdvc")
    assert git(project, "log", "-p") == git(project, "log", "-p", "--no-textconv")


# --- what is kept ---------------------------------------------------------------------------------------------------


@posix
def test_a_kept_text_starts_no_python(project: Path, counted: tuple[str, Callable[[], int]]) -> None:
    path, started = counted
    shutil.rmtree(project / ".git" / "emdvc" / "texts", ignore_errors=True)
    first = git(project, "log", "-p", path=path)
    # five contents: three sidecars and two pointers; with the second the program prepares the rest, as time allows
    once = started()
    assert 2 <= once < 5
    assert git(project, "log", "-p", path=path) == first
    git(project, "blame", "--textconv", SIDECAR, path=path)
    assert started() == once


@posix
def test_a_failing_program_is_not_remembered(project: Path, tmp_path: Path, bare_path: str) -> None:
    shutil.rmtree(project / ".git" / "emdvc" / "texts", ignore_errors=True)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "emdvc").write_text("#!/bin/sh\necho it broke >&2\nexit 3\n")
    (broken / "emdvc").chmod(0o755)
    forget_interpreter(project)
    words = ["diff", "HEAD~3", "HEAD~2", "--", SIDECAR]
    said = git(project, *words, path=f"{broken}{os.pathsep}{bare_path}")
    assert said == git(project, "diff", "--no-textconv", *words[1:])
    assert not list((project / ".git" / "emdvc").rglob("texts/*/*"))
    assert "beam.energy: 200 keV (user)" in git(project, *words)


@posix
def test_the_script_of_another_emdvc_is_renewed(project: Path) -> None:
    script = project / ".git" / "emdvc" / "textconv"
    good = script.read_text()
    script.write_text(good.replace("/texts/", "/texts/0"))
    words = ["diff", "HEAD~3", "HEAD~2", "--", SIDECAR]
    assert "+  beam.energy: 200 keV (user)" in git(project, *words)
    assert "/texts/0" not in script.read_text()
    assert not list((project / ".git" / "emdvc" / "texts").glob("0*"))


@posix
@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "busybox sh"])
def test_the_script_in_each_shell(shell: str, project: Path, bare_path: str) -> None:
    words = shell.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]}")
    script = project / ".git" / "emdvc" / "textconv"

    def told(**more: str) -> str:
        environment = {"PATH": os.environ["PATH"], **more}
        command = [*words, "-eu", str(script), SIDECAR]
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True).stdout

    assert "  beam.energy: 200 keV (user)\n" in told()
    forget_interpreter(project)
    assert told(PATH=bare_path) == (project / SIDECAR).read_text()


# --- places, names, damage ------------------------------------------------------------------------------------------


def test_a_worktree_uses_the_caches_of_the_main_one(project: Path, tmp_path: Path) -> None:
    git(project, "worktree", "add", "-q", str(tmp_path / "another tree"), "HEAD~1")
    said = git(tmp_path / "another tree" / "raw", "log", "-p", "-1", "--", "scan.zarr.dvc", "scan.zarr.em.yaml")
    assert "+  y 4:8, x 0:4, ky 0:8, kx 0:8" in said
    assert (project / ".git" / "emdvc" / "texts").is_dir()


def test_a_project_in_a_subfolder(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    above = tmp_path / "repository of the group"
    git(tmp_path, "init", "-q", str(above))
    emdvc("init", above / "a project")
    shutil.copytree(project / "raw" / "scan.zarr", tmp_path / "scan.zarr")
    emdvc("add", tmp_path / "scan.zarr", cwd=above / "a project")
    _commit(above, "all")
    said = git(above, "show", "--format=", "HEAD", "--", f"a project/{POINTER}", f"a project/{SIDECAR}")
    assert "+  y 4:8, x 0:4, ky 0:8, kx 0:8" in said
    assert "+  shape: 8 x 8 x 8 x 8" in said


@posix
def test_names_with_spaces_quotes_and_a_dash(project: Path) -> None:
    text = (project / SIDECAR).read_text()
    names = ["-p.em.yaml", "raw/scan 'one' \"two\" $HOME `x`.em.yaml", "raw/Å;true.em.yaml"]
    for name in names:
        (project / name).write_text(text)
    _commit(project, "names")
    for name in names:
        (project / name).write_text(text.replace("200", "300"))
    said = git(project, "diff", "HEAD")
    assert said.count("+  beam.energy: 300 keV (user)") == said.count("-  beam.energy: 200 keV (user)") == 3
    assert git(project, "show", "--format=", "HEAD").count("+  beam.energy: 200 keV (user)") == 3


def test_damaged_files_are_shown_as_they_are(project: Path) -> None:
    path = project / SIDECAR
    text = path.read_text()
    half = text.replace(
        "unit: kV, origin: user}\n", "unit: kV, origin: user}\n<<<<<<< ours\n]: [\n=======\n>>>>>>> theirs\n"
    )
    for damaged in (half, text + "]: [not: yaml\n", text.replace("schema_version: 1", "schema_version: 999"), "\n"):
        path.write_text(damaged)
        said = git(project, "diff", "-U9999", "HEAD", "--", SIDECAR)
        assert [line[1:] for line in said.splitlines()[5:] if line[0] in "+ "] == damaged.splitlines()
    path.write_bytes(b"\xff\x00 no text")
    assert git(project, "diff", "HEAD", "--", SIDECAR)


def test_a_merge_conflict_is_shown_and_stays_in_the_file(project: Path) -> None:
    git(project, "checkout", "-q", "-b", "theirs")
    path = project / SIDECAR
    text = path.read_text()
    path.write_text(text.replace("value: 200", "value: 80"))
    git(project, "commit", "-qam", "80 kV")
    git(project, "checkout", "-q", "-")
    path.write_text(text.replace("value: 200", "value: 300"))
    git(project, "commit", "-qam", "300 kV")
    merging = subprocess.run(["git", "merge", "-q", "theirs"], cwd=project, capture_output=True, text=True, check=False)
    assert "emdvc: raw/scan.zarr.em.yaml: changed on both sides: beam.energy\n" in merging.stderr
    merged = path.read_text()
    assert "<<<<<<< ours\n  energy: {value: 300, unit: kV, origin: user}\n||||||| base\n" in merged
    # git compares the file with both versions: only the line in conflict differs
    said = git(project, "diff")
    assert [line for line in said.splitlines()[4:] if line[:2].strip()] == [
        "@@@ -1,7 -1,7 +1,11 @@@",
        "++<<<<<<< ours",
        " +  beam.energy: 300 keV (user)",
        "++=======",
        "+   beam.energy: 80 keV (user)",
        "++>>>>>>> theirs",
    ]


def test_patches_stash_and_staging_work_on_the_files(project: Path) -> None:
    path = project / SIDECAR
    text = path.read_text()
    changed = text.replace("value: 200", "value: 300")
    path.write_text(changed)
    done = subprocess.run(["git", "add", "-p"], cwd=project, input=b"y\n", capture_output=True, check=True)
    assert b"energy: {value: 300" in done.stdout
    assert git(project, "show", f":{SIDECAR}") == changed
    git(project, "stash", "-q")
    assert path.read_text() == text
    git(project, "stash", "pop", "-q")
    assert path.read_text() == changed
    git(project, "commit", "-qam", "300 kV")
    patch = git(project, "format-patch", "-1", "--stdout")
    git(project, "reset", "-q", "--hard", "HEAD~1")
    subprocess.run(["git", "am", "-q"], cwd=project, input=patch.encode(), check=True, capture_output=True)
    assert path.read_text() == changed


# --- installing -----------------------------------------------------------------------------------------------------


def test_uninstall_restores_the_settings_exactly(tmp_path: Path, emdvc: Emdvc) -> None:
    folder = tmp_path / "project"
    git(tmp_path, "init", "-q", str(folder))
    git(folder, "config", "diff.other.textconv", "cat")
    before = (folder / ".git" / "config").read_bytes()
    emdvc("init", folder)
    installed = (folder / ".git" / "config").read_bytes()
    assert b"emdvc/textconv" in installed.replace(b"$emdvc_dir/", b"emdvc/")
    assert emdvc("git", "install", cwd=folder).stdout == "installed already: nothing to do\n"
    assert "complete, nothing to do" in emdvc("init", folder).stdout
    assert (folder / ".git" / "config").read_bytes() == installed
    dry = emdvc("git", "uninstall", "--dry-run", cwd=folder)
    assert "took back setting diff.emdvc.textconv" in dry.stdout
    assert (folder / ".git" / "config").read_bytes() == installed
    emdvc("git", "uninstall", cwd=folder)
    assert (folder / ".git" / "config").read_bytes() == before
    assert not (folder / ".git" / "emdvc").exists()
    assert "*.dvc diff=emdvc" in (folder / ".gitattributes").read_text()
    assert emdvc("git", "uninstall", cwd=folder).stdout == "nothing of it is installed\n"
    emdvc("git", "status", "--exit-code", cwd=folder, status=1)


def test_an_older_project_is_completed(project: Path, emdvc: Emdvc) -> None:
    attributes = project / ".gitattributes"
    whole = attributes.read_text()
    attributes.write_text("# ours\n*.em.yaml text eol=lf diff=emdvc\n*.dvc text eol=lf")
    git(project, "config", "--unset", "diff.emdvc.textconv")
    git(project, "config", "diff.emdvc.xfuncname", "^[A-Za-z_][A-Za-z_0-9]*:.*$")
    findings = json.loads(emdvc("doctor", "--no-remote", "--json", cwd=project).stdout)["findings"]
    assert next(one["remedy"] for one in findings if one["check"] == "git diff") == "emdvc git install"
    assert "wrote" in emdvc("git", "install", "--dry-run", cwd=project).stdout
    assert git(project, "config", "--get-all", "diff.emdvc.xfuncname") == "^[A-Za-z_][A-Za-z_0-9]*:.*$\n"
    emdvc("git", "install", cwd=project)
    lines = attributes.read_text().splitlines()
    # lines that are there are completed
    assert lines[:4] == [
        "# ours",
        "*.em.yaml text eol=lf diff=emdvc merge=emdvc",
        "*.dvc text eol=lf merge=emdvc",
        "*.dvc diff=emdvc",
    ]
    assert all(line.endswith(" merge=emdvc") for line in lines[4:])
    state = json.loads(emdvc("git", "status", "--json", cwd=project).stdout)
    assert state["installed"]
    assert state["lacking"] == state["merge_lacking"] == []
    assert state["attributes"] == {"sidecars": True, "pointers": True, "lock": False}
    attributes.write_text(whole)
    findings = json.loads(emdvc("doctor", "--no-remote", "--json", cwd=project).stdout)["findings"]
    assert next(one["verdict"] for one in findings if one["check"] == "git diff") == "ok"


def test_a_setting_of_ones_own_stays(project: Path, emdvc: Emdvc) -> None:
    git(project, "config", "diff.emdvc.textconv", "head -c 10")
    assert "your own: head -c 10" in emdvc("git", "install", cwd=project).stdout
    assert "lacks       setting diff.emdvc.textconv" in emdvc("git", "status", cwd=project).stdout
    emdvc("git", "uninstall", cwd=project)
    assert git(project, "config", "diff.emdvc.textconv") == "head -c 10\n"


def test_outside_a_project(tmp_path: Path, emdvc: Emdvc) -> None:
    assert "EM-PROJECT-NONE" in emdvc("git", "install", cwd=tmp_path, status=2).stderr
