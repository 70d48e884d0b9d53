"""The grammars that jsonschema would build when a notebook is read: they wait, and are there for who uses them."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("rfc3987_syntax")

BUILT = "'rfc3987_syntax.syntax_helpers' in sys.modules"


def said(program: str) -> list[str]:
    command = [sys.executable, "-c", f"import sys; {program}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()


def test_reading_a_notebook_builds_no_grammar_of_web_addresses():
    assert said(f"import studium.notebooks.files, jsonschema; print({BUILT})") == ["False"]


@pytest.mark.parametrize(
    "begin",
    [
        "import studium; from jsonschema import FormatChecker",
        pytest.param("from jsonschema import FormatChecker; import studium", marks=pytest.mark.heavy),
    ],
)
def test_who_checks_a_web_address_has_it_checked(begin):
    program = f"{begin}; check = FormatChecker().conforms; print(check('a:/b', 'iri'), check('<>', 'iri'), {BUILT})"
    assert said(program) == ["True", "False", "True"]


@pytest.mark.heavy
def test_the_module_itself_can_be_used():
    program = (
        f"import studium, rfc3987_syntax; print(hasattr(rfc3987_syntax, '__wrapped__'), {BUILT});"
        "print(rfc3987_syntax.parse.__name__); import rfc3987_syntax.utils;"
        "print(sys.modules['rfc3987_syntax'].parse.__name__)"
    )
    assert said(program) == ["False", "False", "parse", "parse"]


@pytest.mark.heavy
def test_a_part_of_it_can_be_imported_first():
    assert said("import studium; from rfc3987_syntax.utils import load_grammar; print(callable(load_grammar))") == [
        "True"
    ]


@pytest.mark.heavy
def test_where_it_is_not_installed_nothing_stands_in_its_place():
    program = "import importlib.util; importlib.util.find_spec = lambda name: None"
    assert said(f"{program}; import studium; print('rfc3987_syntax' in sys.modules)") == ["False"]
