from __future__ import annotations

from pathlib import Path

import pytest

from emdvc.errors import UsageError
from emdvc.history.programs import requirements


def _file(folder: Path, text: str) -> Path:
    path = folder / "env.txt"
    path.write_text(text, encoding="utf-8")
    return path


def _install(site: Path, name: str, version: str, *needs: str) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    (folder / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n", encoding="utf-8")


def test_packages_are_named_and_options_of_the_index_are_not(tmp_path: Path) -> None:
    text = "# frozen\n--index-url https://x.org\nHyperSpy==2.5.0  # why\nnumpy>=2 \\\n  --hash=sha256:ab\n\nx[y]==1\n"
    assert [str(one) for one in requirements.read(_file(tmp_path, text))] == ["HyperSpy==2.5.0", "numpy>=2", "x[y]==1"]


@pytest.mark.parametrize("line", ["-r other.txt", "-e .", "./wheel.whl", "-c pins.txt", "git+https://example.org/x"])
def test_what_leads_to_other_files_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        requirements.read(_file(tmp_path, f"numpy\n{line}\n"))
    assert caught.value.evidence == line


def test_what_only_this_machine_needs_is_not_in_the_record(tmp_path: Path) -> None:
    _install(
        tmp_path,
        "Spy-Lib",
        "2.0",
        "numpy>=1",
        "colour; sys_platform=='win32'",
        "old; python_version<'3.12'",
        "gui; extra=='gui'",
    )
    _install(tmp_path, "numpy", "2.4.6")
    _install(tmp_path, "colour", "1.0", "ansi")
    _install(tmp_path, "ansi", "1.0")
    _install(tmp_path, "old", "1.0")
    _install(tmp_path, "gui", "3.0", "numpy")
    _install(tmp_path, "pip", "25.0")
    packages = requirements.installed([tmp_path])
    roots = requirements.read(_file(tmp_path, "spy_lib\n"))
    assert requirements.versions(packages, roots) == {"numpy": "2.4.6", "spy-lib": "2.0"}
    with_extra = requirements.read(_file(tmp_path, "spy.lib[gui]\n"))
    assert requirements.versions(packages, with_extra) == {"gui": "3.0", "numpy": "2.4.6", "spy-lib": "2.0"}
    assert list(requirements.versions(packages)) == ["ansi", "colour", "gui", "numpy", "old", "spy-lib"]
