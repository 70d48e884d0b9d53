"""What others build on changes only on purpose: docs/public-api.txt says what it is."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import studium
import studium_widgets

DOCS = Path(__file__).parents[2] / "docs"
ADVICE = (
    "what others build on is no longer what docs/public-api.txt says. If you mean it, run `make api`, commit the file "
    "and follow 'Change what others build on' in CONTRIBUTING.md: what goes is deprecated first"
)


def script(name: str) -> ModuleType:
    """A script in docs/, which is in no package."""
    sys.path.insert(0, str(DOCS))  # as Python does it for a script
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def api() -> ModuleType:
    return script("public_api")


@pytest.fixture(scope="module")
def now(api: ModuleType) -> list[str]:
    """The lines as they would be written now."""
    return api.description(script("generate").own_app())


def test_what_others_build_on_is_what_the_stored_description_says(now):
    stored = (DOCS / "public-api.txt").read_text("utf-8").splitlines()
    changed = list(difflib.unified_diff(stored, now, "stored", "now", lineterm="", n=0))
    assert not changed, "\n".join([ADVICE, *changed])


def test_the_description_has_every_exported_name_hook_and_command(now):
    text = "\n".join(now)
    for name in (*studium.__all__, "Exercise.mistake(self, name, message, *, replace=None"):
        assert f"studium.{name}" in text
    for name in studium_widgets.__all__:
        assert f"studium_widgets.{name}" in text
    assert "hook studium_compare(actual, expected, rtol, atol), first result" in now
    assert "command studium classroom serve --course --port" in now
    assert "studium_widgets.RotaryDial.layout: trait Enum of ['half', 'interleaved']" in now


class Before:
    """A module before a change, and after it."""

    __name__ = "studium"
    __all__ = ("answer",)

    @staticmethod
    def answer(x, *, limit=3): ...


AFTER = {
    "studium.answer(x, *, limit=4)": lambda x, *, limit=4: None,
    "studium.answer(x, y, *, limit=3)": lambda x, y, *, limit=3: None,
    "studium.answer(x, limit=3)": lambda x, limit=3: None,
    "studium.answer(x, *rest, **options)": lambda x, *rest, **options: None,
}


def test_a_changed_parameter_changes_a_line(api, monkeypatch):
    for line, after in AFTER.items():
        after.__module__ = "studium.example"
        monkeypatch.setattr(Before, "answer", staticmethod(after))
        assert list(api.names_of(Before())) == [line]
