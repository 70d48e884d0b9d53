"""The negative control of a test that runs in the student's process: without the answer it must fail.

In the place of the answers are the untouched stubs, of which functions give None. It takes place in a fork, with a copy
of the working folder, so that nothing of it is left.
"""

import os
import select
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from studium_graders.engine.student_side.cells import Cells

_SECONDS = 10.0
_PASSED = b"p"


def passes_with_stubs(cells: Cells, names: list[str], stubs: list[str], test: str) -> bool:
    """Return whether a test passes in a fork of this process in which ``names`` stand for what ``stubs`` make."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _control(cells, names, stubs, test, writing)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], _SECONDS)
        return bool(ready) and os.read(reading, 1) == _PASSED
    finally:
        os.close(reading)
        _end(pid)


def _control(cells: Cells, names: list[str], stubs: list[str], test: str, writing: int) -> None:
    said = b"f"
    try:
        folder = tempfile.mkdtemp()
        shutil.copytree(Path.cwd(), Path(folder, "copy"), symlinks=True, ignore_dangling_symlinks=True)
        os.chdir(Path(folder, "copy"))
        for name in names:
            cells.shell.user_ns.pop(name, None)
        for stub in stubs:
            cells.run(stub)
        for name in names:
            if not isinstance(cells.shell.user_ns.get(name), type):
                cells.shell.user_ns[name] = _nothing
        outputs, error = cells.run(test)
        failed = error or any(output["output_type"] == "error" for output in outputs)
        said = b"f" if failed else _PASSED
    except BaseException:
        said = b"f"
    finally:
        os.write(writing, said)
        os._exit(0)


def _nothing(*_: Any, **__: Any) -> None:
    """Stand for a function: the stub of most raises, and a test that is to fail would fail for that alone."""


def _end(pid: int) -> None:
    """Wait a moment for the fork, which has said what it had to say; then end it."""
    until = time.monotonic() + 1.0
    while not os.waitpid(pid, os.WNOHANG)[0]:
        if time.monotonic() > until:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            break
        time.sleep(0.002)
