"""Pages that follow one another: whatever happens in between, of two who write one is told to read again."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from emdvc.errors import EnvironmentFault
from emdvc.history.locking import pages as module
from emdvc.history.locking.note import Lock, Page, Person
from emdvc.history.locking.pages import Pages
from emdvc.history.storage import loop
from emdvc.history.storage.contract import RemoteSettings
from emdvc.history.storage.remote import Remote

ADA = Person("Ada", "ada@example.org")


def _more(page: Page, now: float) -> Page:
    lock = Lock(PurePosixPath(str(len(page.locks))), None, ADA, now, now + 60)
    return Page((*page.locks, lock), page.messages)


def _pages(folder: Path) -> Pages:
    return Pages(Remote(RemoteSettings("lab", str(folder))), "abc")


def test_a_page_follows_the_last_and_the_last_few_stay(tmp_path: Path) -> None:
    pages = _pages(tmp_path)
    for count in range(1, 7):
        assert len(loop.run(pages.change(_more)).locks) == count
    assert sorted(path.name for path in (tmp_path / module.FOLDER / "abc").iterdir()) == [
        "00000004.yaml",
        "00000005.yaml",
        "00000006.yaml",
    ]
    assert list((tmp_path / "emdvc-tmp").iterdir()) == []


def test_who_was_slow_while_pages_were_cleared_away_reads_again(tmp_path: Path) -> None:
    slow, quick = _pages(tmp_path), _pages(tmp_path)
    loop.run(quick.change(_more))
    seen: list[int] = []

    def change(page: Page, now: float) -> Page:
        seen.append(len(page.locks))
        if len(seen) == 1:  # others write while we think: the number that we are about to write is free again
            import asyncio

            for _ in range(5):
                asyncio.run(_pages(tmp_path).change(_more))
        return _more(page, now)

    assert len(_in_thread(slow, change).locks) == 7
    assert seen == [1, 6]
    assert len(loop.run(quick.newest()).page.locks) == 7


def _in_thread(pages: Pages, change: object) -> Page:
    """Run a change outside of the loop that others use, so that it may wait for them."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    def change_in_thread(page: Page, now: float) -> Page:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(change, page, now).result()  # type: ignore[arg-type]

    return asyncio.run(pages.change(change_in_thread))


def test_a_page_whose_writer_died_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from emdvc.history.storage import folder_creating

    monkeypatch.setattr(folder_creating, "link", lambda passing, target: None)  # a disk without links
    monkeypatch.setattr(module, "_DEAD", 0.3)
    pages = _pages(tmp_path)
    loop.run(pages.change(_more))
    (tmp_path / module.FOLDER / "abc" / "00000002.yaml.taken").mkdir()
    assert len(loop.run(pages.change(_more)).locks) == 2
    assert loop.run(pages.newest()).number == 3


def test_a_damaged_page_is_named(tmp_path: Path) -> None:
    (tmp_path / module.FOLDER / "abc").mkdir(parents=True)
    (tmp_path / module.FOLDER / "abc" / "00000009.yaml").write_text("<<<<<<< ours\n")
    with pytest.raises(EnvironmentFault, match="damaged page") as caught:
        loop.run(_pages(tmp_path).newest())
    assert "00000009.yaml" in str(caught.value.hint)
