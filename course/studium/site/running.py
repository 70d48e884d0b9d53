"""Run a lesson from top to bottom in a separate kernel, and report cells that fail."""

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
from studium.topics.profiles import VARIABLE as PROFILE

_QUIET = ["--IPKernelApp.log_level=CRITICAL"]  # everything important is in the outputs

Watch = Callable[[int, int], None]
"""Called before each cell with how many are done, and how many there are."""


class _ThisPython(AsyncKernelManager):
    """Starts the kernel of the running interpreter, whatever other kernels are installed."""

    @default("kernel_spec_manager")  # type: ignore[untyped-decorator]
    def _no_other_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[], parent=self)


class _Captured(OutputWidget):
    """Output printed into a progress bar or another output widget."""

    def sync_state(self) -> None:
        """Send nothing to the kernel: it does not ask, and a message sent as a reply arrives may hide that reply."""


def run_notebook(notebook: NotebookNode, profile: str, limit: int, watch: Watch) -> None:
    """Fill in the outputs of all cells; ``limit`` is the time limit for each, in seconds.

    A cell that fails keeps its error, and the others run anyway: see ``failures``. Raise StudiumError if the kernel
    does not start.
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
                raise StudiumError(
                    f"running lessons needs a kernel, which did not start: {error}; see `studium doctor`"
                ) from None
            died = "the kernel ended early, as happens when memory runs out, so later cells did not run"
            notebook.cells[begun].outputs.append(new_output("error", ename="KernelDied", evalue=died))
    notebook.metadata.pop("widgets", None)  # an output that can be shown holds its own state
    _tidy_errors(notebook, limit)


def failures(notebook: NotebookNode) -> list[str]:
    """Report each cell that failed, and why."""
    found = []
    for number, cell in enumerate(notebook.cells, 1):
        errors = [output for output in cell.get("outputs", ()) if output.output_type == "error"]
        if errors and "raises-exception" not in cell.metadata.get("tags", []):
            found.append(f"cell {number} failed: {summary(errors[0])}")
    return found


def summary(error: NotebookNode) -> str:
    """Return an error output as one line."""
    return f"{error.ename}: {error.evalue}".strip().splitlines()[0].removesuffix(":")


def _environment(profile: str, folder: str) -> dict[str, str]:
    return {
        PROFILE: profile,
        DATA_FOLDER: folder,  # these checks must not count as anybody's attempts
        "PLOTLY_RENDERER": "plotly_mimetype",  # only the figure's data, without a copy of plotly.js each
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # otherwise the first cell begins with a warning
    }


def _tidy_errors(notebook: NotebookNode, limit: int) -> None:
    """Drop tracebacks, because they show lines of solutions; report an interrupted cell as one that took too long."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                output.traceback = []
                if output.ename == "KeyboardInterrupt":
                    output.update(ename="Timeout", evalue=f"stopped after {limit} s; give it more with --limit")
