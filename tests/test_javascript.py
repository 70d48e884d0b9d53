"""JavaScript without a page: its unit tests, which Node runs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = sorted(ROOT.glob("tests/js/*.test.js"))
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="needs Node")
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_unit_tests_in_javascript_pass(path):
    done = subprocess.run([str(NODE), "--test", str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_tsc_skips_or_holds_strictly_still_exists():
    lists = [("tsconfig.json", "exclude"), ("tsconfig.strict.json", "files")]
    named = [name for config, key in lists for name in _json(ROOT / config)[key]]
    assert [name for name in named if not (ROOT / name).is_file()] == []


def _json(path: Path) -> dict[str, list[str]]:
    lines = path.read_text("utf-8").splitlines()
    found: dict[str, list[str]] = json.loads("\n".join(line for line in lines if not line.lstrip().startswith("//")))
    return found
