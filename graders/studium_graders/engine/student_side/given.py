"""Given cells in the student's shell: what they define is in a module as well, under which both sides know it."""

from typing import Any

from studium_graders.engine.student_side.cells import Cells
from studium_graders.engine.wire.given import GIVEN, given_module


def run_given(cells: Cells, source: str) -> tuple[list[dict[str, Any]], str]:
    """Run a given cell; return its outputs and its error."""
    namespace: dict[str, Any] = cells.shell.user_ns
    before, name = dict(namespace), namespace.get("__name__")
    namespace["__name__"] = GIVEN
    try:
        return cells.run(source)
    finally:
        namespace["__name__"] = name
        new = {key: value for key, value in namespace.items() if before.get(key, before) is not value}
        vars(given_module()).update({key: value for key, value in new.items() if not key.startswith("_")})
