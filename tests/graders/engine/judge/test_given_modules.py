"""Modules that were handed out beside the notebooks, as tests import them."""

from __future__ import annotations

import importlib
import inspect
import sys

import pytest
from studium_graders.engine.judge.given_modules import GivenModules
from studium_graders.engine.processes.working_folder import write_files

READING = b'from pathlib import Path\nWORDS = (Path(__file__).parent / "words.txt").read_text()\n'
FILES = {
    "given_reading.py": READING,
    "words.txt": b"one two",
    "given_parts/__init__.py": b"",
    "given_parts/deep.py": READING,
}


@pytest.mark.parametrize(
    ("name", "words"), [("given_reading", "words.txt"), ("given_parts.deep", "given_parts/words.txt")]
)
def test_a_module_that_was_handed_out_finds_the_files_beside_it(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    files = {**FILES, words: b"one two"}
    write_files(files)
    GivenModules(files).install()
    module = importlib.import_module(name)
    try:
        assert module.WORDS == "one two"
        assert inspect.getsource(module).encode() == READING
    finally:
        for found in [found for found in sys.modules if found.startswith("given_")]:
            del sys.modules[found]


FILLING = b"""from __future__ import annotations
def fill(text, person):
    return text.format(p=person)
def mapped(text, person):
    return str.format_map(text, {"p": person})
"""


class Person:
    name = "Ada"

    def greet(self):
        return self.name


@pytest.mark.parametrize("how", ["fill", "mapped"])
def test_a_module_that_was_handed_out_fills_in_texts_as_tests_do(monkeypatch, how):
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    GivenModules({"given_filling.py": FILLING}).install()
    fill = getattr(importlib.import_module("given_filling"), how)
    try:
        assert fill("{p.name}", Person()) == "Ada"
        with pytest.raises(AttributeError, match="cannot read '__globals__'"):
            fill("{p.greet.__globals__}", Person())
    finally:
        del sys.modules["given_filling"]
