"""A folder in two processes: what changes in one is told to the other, and nothing leads outside."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studium_graders.engine.remote.folder import MOST_FILES, Folder, difference, is_inside
from studium_graders.engine.remote.shared_files import SharedFiles, moved
from studium_graders.engine.remote.wire import TooLargeError

NAMES = st.sampled_from(["a", "b", "d/", "d/a", "d/e/", "d/e/x", "b/", "b/y", "\udcff"])
STATES = st.dictionaries(NAMES, st.binary(max_size=3)).map(
    lambda files: {name: b"" if name.endswith("/") else content for name, content in files.items()}
)
MOST = 1 << 20


def contents(root):
    return dict(Folder(str(root), MOST)._read())


def is_possible(files):
    return not any(f"{name}/" in files or any(other.startswith(f"{name}/") for other in files) for name in files)


@given(st.lists(STATES.filter(is_possible), min_size=1, max_size=4))
def test_whatever_becomes_of_a_folder_becomes_of_the_other(states):
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        own, other = Folder(here, MOST), Folder(there, MOST)
        for state in states:
            own.make(difference(contents(here), state))
            other.take(own.changes())
            assert contents(there) == contents(here)
            assert not other.changes()


def test_a_change_that_keeps_size_and_time_of_a_new_file_is_seen(tmp_path):
    folder, file = Folder(str(tmp_path), MOST), tmp_path / "a"
    file.write_text("x")
    before = file.stat()
    assert folder.changes() == {"a": b"x"}
    file.write_text("y")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert folder.changes() == {"a": b"y"}


def test_a_file_that_is_left_alone_is_not_read_again(tmp_path):
    folder, file = Folder(str(tmp_path), MOST), tmp_path / "a"
    file.write_text("x")
    os.utime(file, (0, 0))
    assert folder.changes() == {"a": b"x"}
    file.write_text("y")
    os.utime(file, (0, 0))
    assert folder.changes() == {}


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "a\0b", "", ".", "./", "./x", "a//x", "a/./x"])
def test_a_name_that_leads_outside_makes_nothing(tmp_path, name):
    inner = tmp_path / "inner"
    inner.mkdir()
    assert not is_inside(name)
    Folder(str(inner), MOST).take({name: b"x"})
    assert [path.name for path in tmp_path.rglob("*")] == ["inner"]


def test_links_and_pipes_are_not_seen(tmp_path):
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    assert Folder(str(tmp_path), MOST).changes() == {}


def test_too_much_is_one_sentence(tmp_path):
    (tmp_path / "a").write_bytes(bytes(MOST + 1))
    with pytest.raises(TooLargeError, match="more than 1 MB or 5000 names; write fewer files"):
        Folder(str(tmp_path), MOST).changes()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        3,
        [],
        ("relative", {}),
        ("/x",),
        ("/x", 3),
        ("/x", {3: b"a", "a": "text", "b": [1], "../c": b"c"}),
        ("/x", {str(n): b"" for n in range(MOST_FILES + 1)}),
    ],
)
def test_an_answer_that_is_none_brings_no_files(tmp_path, answer):
    with SharedFiles(lambda *_: answer, str(tmp_path), MOST, ()).shared(again=False):
        assert not list(tmp_path.iterdir())


def test_a_path_in_one_folder_is_one_in_the_other():
    assert moved("/a/b", "/a/b", "/c") == "/c"
    assert moved("/a/b/x.txt", "/a/b", "/c") == "/c/x.txt"
    assert moved("/a/bx", "/a/b", "/c") == "/a/bx"
    assert moved("see /a/b", "/a/b", "/c") == "see /a/b"


def test_what_the_judge_had_before_is_not_told(tmp_path):
    told = []
    (tmp_path / "own.txt").write_text("of the judge's set-up")

    def ask(*parts):
        told.append(parts)
        return (str(Path("/elsewhere")), {}) if parts[0] == "share" else {}

    with SharedFiles(ask, str(tmp_path), MOST, ()).shared(again=False):
        (tmp_path / "new.txt").write_text("of the test")
    assert told == [("share", []), ("files", {"new.txt": b"of the test"})]
