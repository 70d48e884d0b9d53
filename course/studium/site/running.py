"""Running a lesson from top to bottom in a kernel of its own, and what is told of a cell that fails."""

import atexit
import os
import tempfile
from collections.abc import Callable

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.output_widget import OutputWidget
from nbformat import NotebookNode
from nbformat.v4 import new_output
from traitlets import default

from studium.desk.places import VARIABLE as DATA_FOLDER
from studium.errors import StudiumError
from studium.profiles import VARIABLE as PROFILE

_QUIET = ["--IPKernelApp.log_level=CRITICAL"]  # what matters stands in the outputs

Watch = Callable[[int, int], None]
"""Is told, before each cell, how many are done, and of how many."""


class _ThisPython(AsyncKernelManager):
    """Starts the kernel of the running interpreter, whatever other kernels are installed."""

    @default("kernel_spec_manager")  # type: ignore[untyped-decorator]
    def _no_other_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], parent=self)


class _Captured(OutputWidget):
    """What is printed into a progress bar or another output widget."""

    def sync_state(self) -> None:
        """Send the kernel nothing: it does not ask, and a message sent just when a reply comes may hide that reply."""


def run_notebook(notebook: NotebookNode, profile: str, limit: int, watch: Watch) -> None:
    """Fill in the outputs of all cells; ``limit`` is the longest time for one of them, in seconds.

    A cell that fails keeps its error, and the others run nevertheless: see ``failures``. Raise StudiumError where no
    kernel starts.
    """
    begun = -1

    def begin(cell: NotebookNode, cell_index: int) -> None:
        nonlocal begun
        begun = cell_index
        watch(cell_index, len(notebook.cells))

    with tempfile.TemporaryDirectory(prefix="studium-") as folder:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            kernel_manager_class=_ThisPython,
            allow_errors=True,
            record_timing=False,
            timeout=limit,
            interrupt_on_timeout=True,
            on_cell_start=begin,
            extra_arguments=_QUIET,
            resources={"metadata": {"path": folder}},
        )
        client.widget_registry["@jupyter-widgets/output"]["OutputModel"] = _Captured
        try:
            client.execute(env=os.environ | _environment(profile, folder))
        except (RuntimeError, AssertionError) as error:
            atexit.unregister(client._cleanup_kernel)  # it has ended
            if getattr(client, "_async_cleanup_kernel_future", None):  # nbclient took the signal for itself
                raise KeyboardInterrupt from None
            if begun < 0:
                raise StudiumError(f"a kernel must start to run lessons: {error}; see `studium doctor`") from None
            died = "the kernel ended early, as when memory is short, so no later cell ran"
            notebook.cells[begun].outputs.append(new_output("error", ename="KernelDied", evalue=died))
    notebook.metadata.pop("widgets", None)  # an output that can be shown holds its own state
    _tidy_errors(notebook, limit)


def failures(notebook: NotebookNode) -> list[str]:
    """Say of each cell that failed which one it is, and why."""
    found = []
    for number, cell in enumerate(notebook.cells, 1):
        errors = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
        if errors and "raises-exception" not in cell.metadata.get("tags", []):
            found.append(f"cell {number} failed: {summary(errors[0])}")
    return found


def summary(error: NotebookNode) -> str:
    """Return an error output in one line."""
    return f"{error.ename}: {error.evalue}".strip().splitlines()[0].removesuffix(":")


def _environment(profile: str, folder: str) -> dict[str, str]:
    return {
        PROFILE: profile,
        DATA_FOLDER: folder,  # these checks are nobody's attempts
        "PLOTLY_RENDERER": "plotly_mimetype",  # the figure's data alone, not plotly.js with each of them
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else the first cell begins with a warning
    }


def _tidy_errors(notebook: NotebookNode, limit: int) -> None:
    """Drop tracebacks, for their frames show lines of solutions; say of an interrupted cell that it took too long."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                output.traceback = []
                if output.ename == "KeyboardInterrupt":
                    output.update(ename="Timeout", evalue=f"stopped after {limit} s; give it more with --limit")
