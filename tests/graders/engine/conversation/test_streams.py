"""Text and bytes in memory cross as data, with the place that has been reached; both sides read and write them."""

from __future__ import annotations

import io

import pytest

from .liar import Liar, reply

STREAMS = {
    "text": lambda: io.StringIO("a\nb"),
    "text whose line ends are kept": lambda: io.StringIO("a\r\nb", newline=""),
    "bytes": lambda: io.BytesIO(b"a\xff"),
    "nothing": io.StringIO,
}


@pytest.fixture(scope="module")
def student(make_module_student):
    return make_module_student("""
        import io
        def same(file): return file
        def again(file):
            made = type(file)(file.getvalue())
            made.seek(file.tell())
            return made
        def read(file): return file.read(1)
        def write(file, data): file.write(data)
        def close(file): file.close()
        def isclosed(file): return file.closed
    """)


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
def test_a_stream_is_the_tests_own_when_it_comes_back_and_else_one_with_the_same_contents_and_place(student, make):
    file = make()
    file.read(1)
    assert student.get("same")(file) is file
    found = student.get("again")(file)
    assert type(found) is type(file)
    assert (found.getvalue(), found.tell()) == (file.getvalue(), file.tell())


def test_what_is_read_there_is_read_here(student):
    file = io.StringIO("abc")
    assert student.get("read")(file) == "a"
    assert file.read() == "bc"


def test_what_is_written_there_is_written_here(student):
    file = io.BytesIO(b"abc")
    student.get("write")(file, b"xy")
    assert (file.getvalue(), file.tell()) == (b"xyc", 2)


def test_a_stream_that_is_closed_on_one_side_is_closed_on_the_other(student):
    file = io.StringIO("abc")
    assert student.get("close")(file) is None
    assert file.closed
    assert student.get("isclosed")(file)


@pytest.mark.parametrize(
    "node",
    [
        ["FileIO", "/etc/passwd", 0],
        ["StringIO", b"bytes", "\n", 0],
        ["BytesIO", "text", 0],
        ["StringIO", "text", "\n", "0"],
        ["StringIO", "text", "no newline", 0],
        ["StringIO", "text", "\n", -1],
    ],
)
def test_a_stream_that_is_none_ends_the_conversation(node):
    with pytest.raises(Exception, match="disturbed the connection"):
        Liar(reply(node)).ask("get", "x")


def test_nobody_can_let_a_stream_reach_beyond_its_end():
    found = Liar(reply(["BytesIO", b"abc", 1 << 60]), recording=True).ask("get", "x")
    assert found.tell() == 3
