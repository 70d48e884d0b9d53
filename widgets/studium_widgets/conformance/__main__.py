"""Check widgets from the command line: `python -m studium_widgets.conformance package.module:Class …`.

`--json` prints [{"widget", "name", "passed", "detail"}, …]; `--frames` measures frame times instead. Exit status: 0 all
passed or could not run, 1 a check failed, 2 the class does not exist.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    """Check the named classes; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        classes = {name: _class(name) for name in options.widgets}
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        sys.stderr.write(f"a widget class was needed, got an error: {error}\n")
        return 2
    verdicts = _verdicts(classes, frames=options.frames)
    rows = [{"widget": widget} | asdict(verdict) for widget, verdict in verdicts]
    text = json.dumps(rows, indent=1) if options.json else "\n".join(f"{widget}  {said}" for widget, said in verdicts)
    sys.stdout.write(text + "\n")
    return int(any(verdict.passed is False for _, verdict in verdicts))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m studium_widgets.conformance", description="Check widgets in Chromium.")
    parser.add_argument("widgets", nargs="+", metavar="package.module:Class", help="subclasses of Widget")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.add_argument("--frames", action="store_true", help="measure frame times at the largest size instead")
    return parser


def _class(name: str) -> Any:
    from studium_widgets.base import Widget

    module, _, attribute = name.partition(":")
    if not attribute:
        raise ValueError(f"{name!r} is not a class: write package.module:Class")
    found = getattr(importlib.import_module(module), attribute)
    if not (isinstance(found, type) and issubclass(found, Widget)):
        raise TypeError(f"{name} is not a subclass of studium_widgets.Widget")
    return found


def _verdicts(classes: dict[str, Any], *, frames: bool) -> list[tuple[str, Any]]:
    from studium_widgets.conformance.browser import UnavailableError, launched
    from studium_widgets.conformance.frames import measure
    from studium_widgets.conformance.verdicts import Verdict, judge

    verdicts = []
    try:
        with launched() as browser:
            for name, found in classes.items():
                said = measure(found.largest(), browser) if frames else judge(found, browser)
                verdicts += [(name, verdict) for verdict in said]
    except UnavailableError as missing:
        return [(name, Verdict("browser", None, str(missing))) for name in classes]
    return verdicts


if __name__ == "__main__":
    sys.exit(main())
