"""Which keys of a stage matter to one of its results: a recipe computes several, each from keys of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from emdvc.compare.causes.lineage import Lineage
from emdvc.formats.sidecar import SUFFIX
from emdvc.history.recorded import LockedStage
from emdvc.history.stages import STEPS_FILE, command


@dataclass(frozen=True, slots=True)
class Part:
    """The keys that one result of a stage depends on.

    Parameters
    ----------
    path
        The result.
    section
        Section of params.yaml that holds the recipe; None where all keys of the stage matter.
    ingredients
        Entries of the recipe that the result is made from.
    steps
        Names of their steps.
    metadata
        Metadata keys that they read; None where that is not known.
    """

    path: PurePosixPath
    section: str | None = None
    ingredients: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()
    metadata: frozenset[str] | None = None

    @classmethod
    def of(cls, old: Lineage, new: Lineage, before: LockedStage, after: LockedStage, path: PurePosixPath) -> Part:
        """Return the part of a recipe that a result is; of another stage's result all of the stage."""
        called = command(after.cmd)
        if called is None or called.step != "recipe":
            return cls(path)
        section = called.params or after.name.partition("@")[0]
        recipes = [_recipe(stage, section) for stage in (before, after)]
        name = path.stem
        if not all(name in recipe for recipe in recipes):
            return cls(path)
        ingredients = frozenset().union(*(_closure(recipe, name) for recipe in recipes))
        steps = frozenset(str(recipe[one].get("step", one)) for recipe in recipes for one in ingredients & set(recipe))
        read = [_metadata(lineage, path, ingredients) for lineage in (old, new)]
        return cls(path, section, ingredients, steps, None if None in read else frozenset().union(*filter(None, read)))

    def depends_on(self, file: PurePosixPath, key: str) -> bool:
        """Say whether a key of a file matters to the result."""
        if self.section is None:
            return True
        if str(file).endswith(STEPS_FILE):
            return key in self.steps
        if file.name.endswith(SUFFIX):
            return self.metadata is None or any(key == one or key.startswith(f"{one}.") for one in self.metadata)
        names = key.split(".")
        return names[0] != self.section or len(names) < 2 or names[1] in self.ingredients


def _recipe(stage: LockedStage, section: str) -> dict[str, dict[str, Any]]:
    sections = (keys.get(section) for file, keys in stage.params.items() if file.name == "params.yaml")
    found = next((one for one in sections if isinstance(one, dict)), {})
    return {str(name): given if isinstance(given, dict) else {} for name, given in found.items()}


def _closure(recipe: Mapping[str, Mapping[str, Any]], name: str) -> set[str]:
    """Return an entry of a recipe and those that it is computed from, which it names."""
    found, waiting = set(), [name]
    while waiting:
        entry = waiting.pop()
        if entry in found:
            continue
        found.add(entry)
        waiting += [value for value in recipe.get(entry, {}).values() if isinstance(value, str) and value in recipe]
    return found


def _metadata(lineage: Lineage, path: PurePosixPath, ingredients: frozenset[str]) -> set[str] | None:
    """Return the metadata keys that a result and those that it is computed from have read; None where not known."""
    found: set[str] = set()
    for one in ingredients:
        provenance = lineage.provenance(path.with_name(one + path.suffix))
        if provenance is None:
            return None
        found |= {str(key) for key in provenance.get("metadata") or ()}
    return found
