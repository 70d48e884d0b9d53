"""Find the widgets in a topic's package by their source, and check them for conformance in a separate process."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

__all__ = ["faults", "widgets_of"]


def widgets_of(package: str) -> list[str]:
    """Return each class with its own `_script` in a package, as package.module:Class."""
    spec = find_spec(package)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    return [
        f"{'.'.join((package, *path.relative_to(folder).with_suffix('').parts))}:{node.name}"
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        if "_script" in (text := path.read_text("utf-8"))
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and any(_is_script(line) for line in node.body)
    ]


def _is_script(line: ast.stmt) -> bool:
    return isinstance(line, ast.Assign) and [ast.unparse(target) for target in line.targets] == ["_script"]


def faults(package: str) -> Iterator[str]:
    """Return a sentence for each conformance check that a widget of the package fails, or that could not run."""
    names = widgets_of(package)
    if not names:
        return
    command = [sys.executable, "-m", "studium_widgets.conformance", "--json", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")
    if not done.stdout.strip():
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        yield f"the widgets {', '.join(names)} could not be checked: {last[0]}"
        return
    for row in json.loads(done.stdout):
        if row["passed"] is None:
            yield f"{row['widget']} could not be checked: {row['name']}: {row['detail']}"
        elif not row["passed"]:
            yield f"{row['widget']}: {row['name']}: {row['detail']}"
