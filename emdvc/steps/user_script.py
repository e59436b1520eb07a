"""Loading a user's script: it, and the modules beside it that it imports, exactly as their bytes say now."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from emdvc.errors import Code, EmdvcError, StepError, suggest
from emdvc.steps.user_errors import failed, shown


@dataclass(frozen=True, slots=True)
class Script:
    """A script that was loaded.

    Parameters
    ----------
    path
        Where it lies; absolute.
    module
        What it defines.
    sources
        The script and the modules beside it that it imports: what its steps depend on.
    digest
        SHA-256 over the bytes of the sources.
    """

    path: Path
    module: ModuleType
    sources: tuple[Path, ...]
    digest: str

    @property
    def files(self) -> frozenset[str]:
        """The sources as Python names them in a traceback."""
        return frozenset(str(path) for path in self.sources)


_LOADED: dict[Path, Script] = {}
_LOCK = threading.RLock()


def load(path: Path) -> Script:
    """Return a script; it is run again only when its bytes, or those of a module that it imports, have changed.

    Raises
    ------
    StepError
        There is no such file, or running it fails; the error shows the script's line.
    """
    path = path.absolute()
    with _LOCK:
        texts = _sources(path)
        digest = _digest(texts)
        known = _LOADED.get(path)
        if known is None or known.digest != digest:
            _BESIDE.offer(tuple(texts)[1:])
            known = _LOADED[path] = Script(path, _run(path, texts), tuple(texts), digest)
        return known


def load_exactly(path: Path, digest: str) -> Script:
    """Return a script with a digest: the one that was loaded, if it has it, whatever has become of the file since.

    Raises
    ------
    StepError
        The script is another one here; or as :func:`load`.
    """
    known = _LOADED.get(path)
    if known is None or known.digest != digest:
        known = load(path)
    if known.digest != digest:
        raise StepError(
            f"{shown(path)} was changed while it ran",
            code=Code.STEP_USER,
            evidence=f"SHA-256 of it and what it imports: {known.digest[:12]} here, {digest[:12]} where the run began",
            hint="start the run again; on several machines the script must be the same file",
        )
    return known


def sources(path: Path) -> tuple[Path, ...]:
    """Return a script and the modules beside it that it imports, those that they import included.

    Raises
    ------
    StepError
        One of the files is no Python.
    """
    known = _LOADED.get(path)
    if known is not None:
        return known.sources
    return tuple(_sources(path)) if path.is_file() else (path,)  # what is typed at a prompt has no file


def digest_of(path: Path) -> str:
    """Return the digest of a script: as it was loaded, or of its bytes now where Python imported it by itself."""
    known = _LOADED.get(path)
    return known.digest if known is not None else _digest(_sources(path))


def defines_step(text: str) -> bool:
    """Say whether the text of a script decorates a function with ``emdvc.step``; the text is not run."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if ast.unparse(called).rpartition(".")[2] == "step":
                    return "emdvc" in text
    return False


def _sources(path: Path) -> dict[Path, bytes]:
    """Return the bytes of a script and of the modules beside it that it imports, the script first."""
    texts = {path: _read(path)}
    waiting = [path]
    while waiting:
        source = waiting.pop()
        for name in _imported(source, texts[source]):
            module = path.parent / f"{name}.py"
            if module not in texts and module.is_file():
                texts[module] = module.read_bytes()
                waiting.append(module)
    return {source: texts[source] for source in (path, *sorted(set(texts) - {path}))}


def _digest(texts: dict[Path, bytes]) -> str:
    digest = hashlib.sha256()
    for source, text in texts.items():
        digest.update(f"{source.name}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        folder = path.parent
        others = [shown(other) for other in sorted(folder.glob("*.py"))] if folder.is_dir() else []
        near = suggest(shown(path), others)
        raise StepError(
            f"there is no script '{shown(path)}'",
            code=Code.STEP_UNKNOWN,
            hint=f"did you mean {near}?" if near else "`emdvc steps` lists the steps of a project's scripts",
        ) from None


def _imported(path: Path, text: bytes) -> Iterator[str]:
    try:
        tree = ast.parse(text, str(path))
    except (SyntaxError, ValueError) as error:
        raise failed(f"{shown(path)} is no Python", error, {str(path)}) from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _run(path: Path, texts: dict[Path, bytes]) -> ModuleType:
    # a name of its own, registered as any module's: dataclasses, pydantic and numba look their functions' module up
    name = f"emdvc_script_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        # what is run is what was hashed, not what a cached .pyc of the same second and size holds
        exec(compile(texts[path], str(path), "exec", dont_inherit=True), module.__dict__)
    except EmdvcError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        files = {str(source) for source in texts}
        raise failed(f"{shown(path)} cannot be loaded", error, files) from error
    return module


class _SourceLoader(SourceFileLoader):
    """Runs a module from its text: no .pyc is read, and none is written into the project."""

    def get_code(self, fullname: str) -> Any:
        return self.source_to_code(self.get_data(self.path), self.path)


class _Beside(MetaPathFinder):
    """Finds the modules that lie beside the scripts, and only those that a script imports: each is then a dependency.

    Python's own search path stays as it is.
    """

    def __init__(self) -> None:
        self._modules: dict[str, Path] = {}

    def offer(self, modules: Sequence[Path]) -> None:
        """Make modules known under their names; one that was imported before is imported anew."""
        for path in modules:
            if path.stem not in self._modules and not _is_free(path):
                raise StepError(
                    f"{shown(path)} has the name of an installed module",
                    code=Code.STEP_USER,
                    evidence=f"`import {path.stem}` would give that one",
                    hint="rename the file",
                )
        for path in modules:
            sys.modules.pop(path.stem, None)
            self._modules[path.stem] = path
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        file = self._modules.get(fullname)
        if file is None:
            return None
        loader = _SourceLoader(fullname, str(file))
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


def _is_free(path: Path) -> bool:
    """Say whether a module's name is that of no other module (a test may have put the folder on Python's path)."""
    try:
        spec = importlib.util.find_spec(path.stem)
    except (ImportError, ValueError):
        return False
    return spec is None or (spec.origin is not None and Path(spec.origin) == path)


_BESIDE = _Beside()
