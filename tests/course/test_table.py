"""Tables of results, as a notebook and as a terminal show them."""

from __future__ import annotations

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from studium import show_table


@pytest.fixture
def shown(monkeypatch):
    """What a notebook's cell shows."""
    shell = type("Shell", (), {"display_pub": CapturingDisplayPublisher()})()
    monkeypatch.setattr(InteractiveShell, "initialized", lambda: True)
    monkeypatch.setattr(InteractiveShell, "instance", lambda: shell)
    return shell.display_pub.outputs


def test_a_terminal_has_the_rows_in_columns_that_line_up(shown):
    show_table(["loss", "steps", "error"], [("plain", 12000, 0.0123456), ("guided", 5, None)])
    lines = shown[0]["data"]["text/plain"].splitlines()
    assert lines[0].split() == ["loss", "steps", "error"]
    assert lines[2].split() == ["plain", "12,000", "0.01235"]
    assert lines[3].split() == ["guided", "5"]
    assert lines[2].index("12,000") + len("12,000") == lines[3].index("5") + 1


def test_a_notebook_has_one_html_table_with_the_first_column_to_the_left(shown):
    show_table(["name", "a < b"], [("<i>x</i>", "1.50")])
    html = shown[0]["data"]["text/html"]
    assert html.count("<tr>") == 2
    assert "a &lt; b" in html
    assert "&lt;i&gt;x&lt;/i&gt;" in html
    assert html.count("text-align: left") == html.count("text-align: right") == 2


def test_text_that_looks_like_a_number_stays_as_it_was_written(shown):
    show_table(["share", "value"], [("0.30", "1.500"), ("1e3", "-0.0")])
    assert all(text in shown[0]["data"]["text/plain"] for text in ("0.30", "1.500", "1e3", "-0.0"))


def test_a_row_with_a_cell_too_many_is_refused():
    with pytest.raises(ValueError, match="a row needs 2 cells, one for each column; this one has 3"):
        show_table(["a", "b"], [("x", 1, 2)])
