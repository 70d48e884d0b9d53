"""The plugin in a stranger's test run, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from studium_widgets import Widget
from studium_widgets.conformance import verdicts
from studium_widgets.conformance.__main__ import main
from studium_widgets.conformance.keyboard_checks import controls_have_names

HEAVY = ("playwright", "torch", "ipywidgets", "anywidget", "numpy", "axe_core_python", "studium_widgets.base")
STRANGER = """
import sys

def test_nothing_heavy_is_loaded():
    assert [name for name in {heavy} if name in sys.modules] == []

def test_the_browser_is_used(chromium):
    raise AssertionError("there is none")

def test_an_event_loop_may_run():
    import asyncio
    asyncio.run(asyncio.sleep(0))
"""


def run_pytest(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *options]
    env = os.environ | environment
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)


def test_loading_it_is_cheap_and_a_missing_browser_is_a_skip_with_a_sentence(tmp_path):
    (tmp_path / "test_stranger.py").write_text(STRANGER.format(heavy=HEAVY), encoding="utf-8")
    nowhere = {"PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)}
    done = run_pytest(tmp_path, **nowhere)
    assert "2 passed, 1 skipped" in done.stdout, done.stdout
    assert "the browser checks need Chromium, which is not on the PATH" in done.stdout


@pytest.mark.heavy
@pytest.mark.browser
def test_other_tests_may_run_an_event_loop_after_the_browser_has_started(tmp_path):
    lines = STRANGER.format(heavy=()).replace('raise AssertionError("there is none")', "chromium.new_page().close()")
    (tmp_path / "test_stranger.py").write_text(lines, encoding="utf-8")
    done = run_pytest(tmp_path)
    assert "3 passed" in done.stdout or "2 passed, 1 skipped" in done.stdout, done.stdout


@pytest.mark.browser
def test_a_failure_names_the_check_the_problem_and_the_next_step(conforms, monkeypatch, tmp_path):
    monkeypatch.setattr(verdicts.judge, "__defaults__", ((controls_have_names,),))
    source = "export default { render({ model, el }) { el.append(document.createElement('button')); } };"
    (tmp_path / "bare.js").write_text(source, encoding="utf-8")

    class Bare(Widget):
        _script = "bare.js"
        _beside = classmethod(lambda cls, file: tmp_path / file)
        alt = "bare"  # type: ignore[assignment]

    with pytest.raises(pytest.fail.Exception, match=r"Bare fails 1 of 1 checks") as told:
        conforms(Bare)
    assert "FAILED  controls have names" in str(told.value)
    assert "a button has no name: give it a label or aria-label" in str(told.value)


def test_what_is_no_widget_class_is_named(capsys):
    for name in ["studium_widgets", "studium_widgets:nothing", "studium_widgets:link", "nowhere:X"]:
        assert main([name, "--json"]) == 2
        assert "a widget class was needed, got" in capsys.readouterr().err


def test_without_a_browser_the_verdict_is_that_nothing_ran(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    assert main(["studium_widgets:Chart", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["widget"], row["name"], row["passed"]) == ("studium_widgets:Chart", "browser", None)
    assert "need Chromium, which is not on the PATH" in row["detail"]
