"""A kernel that knows nothing of its lesson yet: what a cell needs is run before it.

JupyterLab's extension has the kernel do this ahead of each exercise, check and experiment. Cells whose names are known
already do not run again. No experiment runs for another one, because that may take minutes.
"""

import contextlib
import io
import json
from typing import Any

from studium.notebooks.needed_cells import names_in, needed

LINE = "This kernel was new, so the lesson's set-up and what else this cell needs ran first."


def catch_up(shell: Any, cells: str) -> None:
    """Run the set-up and the cells that the last one needs, if ``shell`` lacks their names, and say so in one line.

    ``cells`` is JSON: role and source of the lesson's code cells, from its first to the one that is about to run.
    """
    given = [(str(role), str(source)) for role, source in json.loads(cells)]
    if missing := missing_cells(given, set(shell.user_ns)):
        from IPython.display import display

        display({"text/plain": LINE, "text/html": f'<p style="margin:0;opacity:.8">{LINE}</p>'}, raw=True)
        for number in missing:
            _run_quietly(shell, given[number][1])


def missing_cells(cells: list[tuple[str, str]], known: set[str]) -> list[int]:
    """Return the numbers of the cells to run before the last one, in order, where ``known`` names exist already."""
    sources, last = [source for _, source in cells], len(cells) - 1
    names = [names_in(source) for source in sources]
    setup = [number for number, (role, _) in enumerate(cells) if role == "setup"]
    wanted = (number for number in needed(sources, [*setup, last]) if number != last)
    return [number for number in wanted if not names[number].anything and names[number].writes - known]


def _run_quietly(shell: Any, source: str) -> None:
    """Run a cell as one that shows nothing; what it raises, the cell that needs it will raise in its turn."""
    from IPython.utils.capture import capture_output

    with capture_output(), contextlib.redirect_stderr(io.StringIO()):
        shell.run_cell(source, store_history=False)
