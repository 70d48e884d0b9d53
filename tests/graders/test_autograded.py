"""The folder of a graded submission holds what belongs there and nothing else, whatever was there before."""

import os
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from studium_graders.autograded import write_folder


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": b"1"}, {"a/b": b"2"}),
        ({"a/b": b"1"}, {"a": b"2"}),
        ({"a": b"1", "b/c/d": b"1"}, {"a/b/c": b"2", "b/c": b"2"}),
        ({"old": b"1", "deep/er/old": b"1", "same": b"1"}, {"same": b"1"}),
    ],
)
def test_files_and_folders_may_take_each_others_places(
    before: dict[str, bytes], after: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "ps1"
    for files in (before, after):
        write_folder(folder, files, 0o644)
        assert held(folder) == files
    assert all(any(path.iterdir()) for path in folder.rglob("*") if path.is_dir())


def test_links_and_pipes_in_the_folder_give_way_and_are_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "ps1", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "a").write_bytes(b"1")
    (folder / "sub").symlink_to(outside)
    (folder / "stale").symlink_to(outside)
    (folder / "a").symlink_to(outside / "a")
    os.mkfifo(folder / "pipe")
    wanted = {"sub/a": b"2", "a": b"1", "pipe": b""}
    write_folder(folder, wanted, 0o644)
    assert held(folder) == wanted
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert held(outside) == {"a": b"1"}
