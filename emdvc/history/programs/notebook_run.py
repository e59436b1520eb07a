"""Running a notebook: parameters set by papermill, the kernel of one's choice, the executed copy complete or absent."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emdvc.errors import Code, ConflictError, EnvironmentFault, StepError, UsageError, suggest
from emdvc.formats.sidecar import write_text
from emdvc.history.programs import notebook_copy, notebook_text
from emdvc.history.project import Project, shown

#: The extra that holds papermill and the kernel.
EXTRA = "emdvc[notebook]"
_PACKAGES = ("papermill", "ipykernel")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The Python that runs the cells.

    Parameters
    ----------
    python
        Its interpreter.
    prefix
        The folder of its environment.
    environment
        Variables that are set for it.
    """

    python: Path
    prefix: Path
    environment: Mapping[str, str]

    @classmethod
    def own(cls) -> Kernel:
        """Return the interpreter that runs emdvc."""
        return cls(Path(sys.executable), Path(sys.prefix), {})


def check_parameters(notebook: Mapping[str, Any], given: Mapping[str, Any], where: str, section: str) -> None:
    """Check that a notebook takes the parameters it is given.

    Raises
    ------
    StepError
        It has no cell of parameters, or assigns no such name there.
    """
    known = notebook_text.defaults(dict(notebook))
    if known is None:
        if given:
            raise StepError(
                f"{where} has no cell of parameters",
                evidence=f"params.yaml sets {', '.join(map(str, given))} under {section}",
                hint="in Jupyter give the cell that assigns them the tag `parameters` (View > Right Sidebar), save it",
            )
        return
    unknown = next((str(name) for name in given if str(name) not in known), None)
    if unknown is not None:
        near = suggest(unknown, list(known))
        raise StepError(
            f"{where} has no parameter '{unknown}'",
            evidence=f"its cell of parameters assigns {', '.join(known) or 'nothing'}",
            hint=f"did you mean {near}?" if near else f"assign it there, or take it out of {section} in params.yaml",
        )


def require_packages() -> None:
    """Check that what runs notebooks is installed.

    Raises
    ------
    EnvironmentFault
        It is not.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise EnvironmentFault(
            f"a notebook needs {' and '.join(missing)} to run",
            code=Code.PROGRAM_MISSING,
            hint=f'pip install "{EXTRA}"',
        )


def execute(
    project: Project | None, source: Path, target: Path, parameters: Mapping[str, Any], section: str, kernel: Kernel
) -> None:
    """Run a notebook in its own folder, as Jupyter does, and write the executed copy.

    Parameters
    ----------
    project
        The folder of the pipeline; None outside a project.
    source, target
        The notebook and its executed copy.
    parameters
        What its cell of parameters is given.
    section
        Where in params.yaml they stand, for messages.
    kernel
        What runs the cells.

    Raises
    ------
    FormatError
        It is no notebook.
    StepError
        It does not take these parameters, or one of its cells failed.
    EnvironmentFault
        A package lacks, or the kernel did not start.
    """
    require_packages()
    text = _read(source)
    notebook = notebook_text.load(text, str(source))
    check_parameters(notebook, parameters, str(source), section)
    if target.is_dir():
        raise ConflictError(f"{target} is a folder", code=Code.RAW_EXISTS, hint="give another OUTPUT")
    root = project.root if project is not None else Path.cwd()
    with TemporaryDirectory(prefix="emdvc-notebook-", ignore_cleanup_errors=True) as scratch:
        copy = Path(scratch) / source.name
        bare = Path(scratch) / "source.ipynb"
        write_text(bare, notebook_text.strip(text, str(source)))
        with _specified(kernel, Path(scratch)) as name:
            _papermill(source, bare, copy, parameters, name, _keep(project, target))
        folders = notebook_copy.folders_of(root, kernel.prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(target, notebook_copy.normal(_read(copy), _read(bare), folders))


def _papermill(
    source: Path, bare: Path, copy: Path, parameters: Mapping[str, Any], kernel: str, failed: Path | None
) -> None:
    import papermill
    from papermill.exceptions import PapermillExecutionError

    try:
        papermill.execute_notebook(
            str(bare),
            str(copy),
            parameters=dict(parameters),
            kernel_name=kernel,
            config=_transport(bare.parent),
            language="python",
            progress_bar=False,
            stdout_file=sys.stderr,
            stderr_file=sys.stderr,
            cwd=str(source.absolute().parent),
        )
    except PapermillExecutionError as error:
        raise _failed(source, error, _kept(copy, failed)) from error
    except RuntimeError as error:  # the kernel died, or did not start
        kept = _kept(copy, failed)
        raise EnvironmentFault(
            f"the kernel that runs {source} ended",
            code=Code.PROGRAM_FAILED,
            evidence=str(error).strip().splitlines()[-1],
            hint=f"what had run lies in {kept}" if kept else None,
        ) from error


def _transport(folder: Path) -> Any:
    """Return by which way the kernel is spoken to: where there are sockets in a folder, nobody else can listen."""
    from traitlets.config import Config

    return Config() if os.name == "nt" else Config(KernelManager={"transport": "ipc", "ip": str(folder / "kernel")})


def _failed(source: Path, error: Any, kept: str | None) -> StepError:
    said = _COLOURS.sub("", "\n".join(error.traceback)).strip().splitlines()
    last = said[-1] if said else f"{error.ename}: {error.evalue}"
    return StepError(
        f"cell [{error.exec_count}] of {source} failed",
        code=Code.PROGRAM_FAILED,
        evidence=last,
        hint=f"see how far it came: jupyter lab {kept}" if kept else None,
    )


def _keep(project: Project | None, target: Path) -> Path | None:
    """Return where the copy of a run that fails is kept: in DVC's temporary folder, taken for no result."""
    if project is None:
        return None
    whole = Project.find(project.root)
    try:
        return whole.journal_dir / "notebooks" / "failed" / whole.relative(target)
    except UsageError:
        return None


def _kept(copy: Path, failed: Path | None) -> str | None:
    if failed is None or not copy.is_file():
        return None
    failed.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(copy, failed)
    return shown(failed)


@contextmanager
def _specified(kernel: Kernel, folder: Path) -> Iterator[str]:
    """Yield the name of a kernel, known to Jupyter meanwhile, that is the interpreter asked for and no other."""
    name = "emdvc-run"
    place = folder / "jupyter" / "kernels" / name
    place.mkdir(parents=True)
    variables = {
        # the order of a set, printed, is a matter of chance otherwise; the same packages for everybody
        "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),
        # what a person lets IPython do at its start is no part of the notebook
        "IPYTHONDIR": str(folder / "ipython"),
        # a frozen standard library makes the debugger warn
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **kernel.environment,
    }
    spec = {
        "argv": [str(kernel.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
        "env": variables,
    }
    write_text(place / "kernel.json", json.dumps(spec))
    before = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (str(folder / "jupyter"), before)))
    try:
        yield name
    finally:
        if before is None:
            del os.environ["JUPYTER_PATH"]
        else:
            os.environ["JUPYTER_PATH"] = before


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(f"there is no notebook {path}", code=Code.NOT_FOUND) from error
