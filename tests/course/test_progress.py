"""The progress bar in a terminal, in a notebook, and where nobody watches."""

from __future__ import annotations

import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from studium import track


def slow(count):
    for number in range(count):
        time.sleep(0.06)
        yield number


@pytest.fixture
def outputs(monkeypatch):
    """What a notebook's cell shows, each output with its successive forms, by the id of the display."""
    shell = SimpleNamespace(
        kernel="a kernel", display_formatter=DisplayFormatter(), display_pub=CapturingDisplayPublisher()
    )
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(InteractiveShell, "initialized", lambda: True)
    monkeypatch.setattr(InteractiveShell, "instance", lambda: shell)
    return shell.display_pub.outputs


def test_a_notebook_sees_bar_note_and_time_left_and_nothing_is_left_of_them(outputs):
    assert list(track(slow(10), "fitting", total=10, note=lambda: "loss <1")) == list(range(10))
    first, *_, last = [output["data"] for output in outputs]
    assert 'aria-label="fitting"' in first["text/html"]
    assert "loss &lt;1" in first["text/html"]
    assert "s left" in first["text/html"]
    assert last == {}
    assert len({output["transient"]["display_id"] for output in outputs}) == 1
    assert [output["update"] for output in outputs] == [False] + [True] * (len(outputs) - 1)


def test_what_is_over_at_once_shows_no_bar_in_a_notebook(outputs):
    assert list(track(range(3), "fitting")) == [0, 1, 2]
    assert outputs == []


def test_a_bar_vanishes_where_the_work_is_broken_off(outputs):
    with closing(track(slow(10), "fitting")) as counted:
        assert [next(counted) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(outputs) >= 2
    assert outputs[-1]["data"] == {}


def test_a_terminal_sees_the_bar_on_stderr_and_a_file_sees_nothing(capsys, monkeypatch):
    list(track(range(3), "fitting"))
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    list(track(range(3), "fitting"))
    out, err = capsys.readouterr()
    assert (out, "fitting" in err) == ("", True)
