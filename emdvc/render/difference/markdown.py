"""A difference as Markdown for a merge request: never longer than a forge takes, and it says what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.project import ProjectDifference
from emdvc.compare.record import KeyChange
from emdvc.compare.verdict import Verdict
from emdvc.render import columns as text
from emdvc.render.difference.causes import cause_line
from emdvc.render.difference.keys import axis_lines, grown, statistic
from emdvc.render.difference.text import gist, head, nothing, own_details, unseen, variable_statements
from emdvc.render.markdown_text import code, one_line, row, said, size, table, tagged

#: Longer names are cut in the middle.
_LONGEST_NAME = 240
_STRENGTH = {verdict: strength for strength, verdict in enumerate(Verdict)}


def as_markdown(difference: ProjectDifference, *, limit: int = 65_536, command: str = "") -> str:
    """Return a difference for a comment on a forge: a table of the datasets, then the details of each.

    The strongest verdict comes first. What does not fit is left out from the end, and the last lines say how much that
    was and which command shows it.

    Parameters
    ----------
    difference
        What differs.
    limit
        Length that is not exceeded, in letters and in bytes of UTF-8 as well. GitHub takes 65,536 letters.
    command
        What shows the whole difference; made from the names of the revisions when it is empty.
    """
    if not difference:
        return _first_that_fits([f"### No difference\n\n{said(nothing(difference))}\n", "No difference\n"], limit)
    datasets = sorted(difference.datasets, key=lambda dataset: -_STRENGTH[dataset.verdict])
    rows = [_row(dataset) for dataset in datasets]
    title = _title(difference)
    blocks = [_block(dataset) for dataset in datasets]
    whole = "\n".join([title, *table(_COLUMNS), *rows, "", *filter(None, blocks)])
    if size(whole) <= limit:
        return whole
    command = command or _command(difference)
    return _shortened(title, datasets, rows, blocks, limit, command)


_COLUMNS = ("dataset", "verdict", "what differs")


def _shortened(
    title: str, datasets: Sequence[DatasetDifference], rows: Sequence[str], blocks: Sequence[str], limit: int, show: str
) -> str:
    """Return as much as fits: rows of the table first, then details, then one dataset's first keys."""
    keys = [len(_key_rows(dataset)) for dataset in datasets]
    # the longest last lines that there can be
    room = limit - size(_left_out(_LeftOut(len(rows), len(rows), sum(keys)), show))
    parts = [title, *table(_COLUMNS)]
    used = sum(size(part) + 1 for part in parts) + 1
    if used > room:
        short = f"### {_many(len(datasets))}\n"
        end = _left_out(_LeftOut(len(rows), 0, sum(keys)), show)
        return _first_that_fits([f"{short}{end}", short, f"{_many(len(datasets))}\n"], limit)
    listed = 0
    while listed < len(rows) and used + size(rows[listed]) + 1 <= room:
        parts.append(rows[listed])
        used += size(rows[listed]) + 1
        listed += 1
    parts.append("")
    told, shown_keys = 0, 0
    while listed == len(rows) and told < len(rows) and used + size(blocks[told]) + 1 <= room:
        parts += [blocks[told]] if blocks[told] else []
        used += size(blocks[told]) + 1
        shown_keys += keys[told]
        told += 1
    begun = 0
    if listed == len(rows) and told < len(rows):
        count, block = _part_of_block(datasets[told], keys[told], room - used - 1)
        shown_keys += count
        parts += [block] if block else []
        begun = 1 if block else 0
    left = _LeftOut(len(rows) - listed, len([*filter(None, blocks[told + begun : listed])]), sum(keys) - shown_keys)
    return "\n".join(parts) + _left_out(left, show)


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """How many datasets are not named, of how many others the details are not told, and how many keys."""

    datasets: int
    details: int
    keys: int


def _left_out(left: _LeftOut, command: str) -> str:
    parts = []
    if left.datasets:
        parts.append(f"{left.datasets} dataset{'s' if left.datasets > 1 else ''}")
    if left.details:
        parts.append(f"details of {left.details} dataset{'s' if left.details > 1 else ''}")
    if left.keys:
        parts.append(f"{left.keys} key{'s' if left.keys > 1 else ''}")
    return f"\n---\n\nLeft out, because a comment may not be longer: {', '.join(parts)}. All of it: {code(command)}\n"


def _first_that_fits(candidates: Sequence[str], limit: int) -> str:
    return next((one for one in candidates if size(one) <= limit), candidates[-1][: max(0, limit)])


def _command(difference: ProjectDifference) -> str:
    words = ["emdvc diff", difference.before, *([difference.after] if difference.after else [])]
    command = " ".join(words)
    return command if len(command) <= _LONGEST_NAME else "emdvc diff"


def _many(count: int) -> str:
    return f"{count} dataset{'' if count == 1 else 's'} differ{'s' if count == 1 else ''}"


def _title(difference: ProjectDifference) -> str:
    count = len(difference.datasets)
    of = f" of {difference.compared}" if difference.compared > count else ""
    verb = "differs" if count == 1 else "differ"
    verdicts = Counter(head(dataset)[1] for dataset in difference.datasets)
    order = {head(dataset)[1]: _STRENGTH[dataset.verdict] for dataset in difference.datasets}
    listed = ", ".join(f"{verdicts[word]} {word}" for word in sorted(verdicts, key=lambda word: (-order[word], word)))
    after = code(text.shortened(difference.after)) if difference.after else "the workspace"
    return (
        f"### {count}{of} dataset{'' if (difference.compared or count) == 1 else 's'} {verb}\n\n"
        f"Between {code(text.shortened(difference.before))} and {after}: {listed}.\n"
    )


def _row(dataset: DatasetDifference) -> str:
    return row([code(_name(dataset)), head(dataset)[1], said(gist(dataset)) if gist(dataset) else ""])


def _name(dataset: DatasetDifference) -> str:
    name = one_line(str(dataset.path))
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}...{name[-half:]}"


def _part_of_block(dataset: DatasetDifference, keys: int, room: int) -> tuple[int, str]:
    """Return the details of a dataset with as many of its keys as fit, and that number; none at all may fit."""
    from bisect import bisect_right

    fitting = bisect_right(range(1, keys + 1), room, key=lambda count: size(_block(dataset, count)))
    block = _block(dataset, fitting) if fitting else ""
    return (fitting, block) if block and size(block) <= room else (0, "")


def _block(dataset: DatasetDifference, keys: int | None = None) -> str:
    """Return the details of a dataset, closed until somebody opens them; empty where there are none.

    Parameters
    ----------
    dataset
        What differs.
    keys
        How many keys are shown; None for all.
    """
    parts = [_causes(dataset), _keys(dataset, keys), _statements(dataset)]
    parts += [_map(dataset), _vendor(dataset)]
    told = "\n\n".join(part for part in parts if part)
    if not told:
        return ""
    name, word = tagged(_name(dataset)), head(dataset)[1]
    return f"<details>\n<summary>{name}: {word}</summary>\n\n{told}\n\n</details>\n"


def _causes(dataset: DatasetDifference) -> str:
    return "Because:\n\n" + _list([cause_line(cause) for cause in dataset.causes]) if dataset.causes else ""


def _key_rows(dataset: DatasetDifference) -> list[KeyChange]:
    return [*(change for change in dataset.record if not change.inherited), *own_details(dataset)]


def _keys(dataset: DatasetDifference, count: int | None) -> str:
    changes = _key_rows(dataset)
    shown = changes[:count]
    lines = []
    if shown:
        lines += table(("key", "before", "after", "change"))
    for change in shown:
        values = [code(text.value(value)) for value in (change.before, change.after)]
        by = grown(change)
        lines.append(row([code(text.shortened(change.key)), *values, said(by) if by else ""]))
    if len(shown) < len(changes):
        lines += ["", f"and {len(changes) - len(shown)} more"]
    inherited = [change.key for change in dataset.record if change.inherited]
    if inherited:
        lines += ["", f"inherited: {said(text.shortened(', '.join(inherited)))}"]
    return "\n".join(lines).strip()


def _statements(dataset: DatasetDifference) -> str:
    """Return what is said of axes and arrays, one sentence to a line."""
    lines = [f"was {one_line(str(dataset.before_path))}"] if dataset.before_path is not None else []
    lines += axis_lines(dataset.axes)
    statements = variable_statements(dataset)
    for name, parts in statements.items():
        lines += [f"{name}: {part}" for part in parts]
    lines += [f"{s.variable}: {statistic(s)}" for s in dataset.statistics if s.variable not in statements]
    if unseen(dataset):
        lines.append(unseen(dataset))
    return "What differs:\n\n" + _list(lines) if lines else ""


def _map(dataset: DatasetDifference) -> str:
    if all(change.seen is None or change.seen.changed is None for change in dataset.values):
        return ""
    from emdvc.render.difference.map import map_lines

    found = [map_lines(change) for change in dataset.values]
    return "\n\n".join("\n".join(["```text", *map(one_line, lines), "```"]) for lines in found if lines)


def _vendor(dataset: DatasetDifference) -> str:
    count = len(dataset.vendor)
    return f"{count} key{'' if count == 1 else 's'} of the vendor's metadata (`--vendor` lists them)" if count else ""


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {said(sentence)}" for sentence in sentences)
