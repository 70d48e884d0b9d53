"""Modules that were handed out beside the notebooks, as tests import them."""

from __future__ import annotations

import importlib
import inspect
import sys

import pytest
from studium_graders.engine.judge.given_modules import GivenModules
from studium_graders.engine.working_folder import write_files

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
