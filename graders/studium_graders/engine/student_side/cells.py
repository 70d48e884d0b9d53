"""Running cells in the student's IPython shell, and the outputs that they leave as nbformat dictionaries."""

import ast
import base64
import builtins
import contextlib
import io
import linecache
import subprocess
import sys
import tokenize
import traceback
import warnings
from typing import Any

from studium.exercises.syntax import parse

from studium_graders.engine.kinds.assertion_text import unmet
from studium_graders.engine.kinds.cell_outputs import MOST_OF_ERROR, MOST_OUTPUTS, RICH, sendable
from studium_graders.engine.student_side.printed import Printed, collected

_CHUNK = 1 << 16
INLINE = "module://matplotlib_inline.backend_inline"  # shows pictures after each cell, as in a notebook
# Magics that a notebook's kernel adds to IPython's own, and that no test can see the effect of.
_OF_A_KERNEL = ("autosave", "clear", "connect_info", "less", "man", "more", "qtconsole", "store", "subshell")
_RICH = ("image/png", "text/html", "text/latex", "text/markdown", "application/json")


def no_input(prompt: Any = "", *_: Any) -> str:
    """Raise EOFError: nobody answers while an answer is graded."""
    raise EOFError(f"input() waits for somebody, and nobody is there while this is graded (it asked {str(prompt)!r})")


def print_command(command: str) -> int:
    """Run a command of the system's and print what it prints; return its exit status.

    IPython does so with a pseudo-terminal, and there is none in a sandbox.
    """
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, shell=True, **pipes) as process:  # noqa: S602 (the sandbox is for it)
        text = io.TextIOWrapper(process.stdout, "utf-8", "replace", newline="")  # type: ignore[type-var]
        for part in iter(lambda: text.read(_CHUNK), ""):
            sys.stdout.write(part)
    return process.returncode


class Cells:
    """Runs cells one after the other; a cell that fails does not stop the next.

    ``In`` and ``Out`` get them; of one that is ``passing``, an empty text is left once it has run.
    """

    def __init__(self, shell: Any, output_kb: int) -> None:
        from IPython.core import interactiveshell

        self.shell = shell
        self._most = output_kb << 10
        self._count = 0
        self._source = ""
        self._rich_left = 0
        self.passing = False
        self.error: BaseException | None = None  # that ended the last cell
        self.assertion: ast.Assert | None = None  # of that cell, where it did not hold
        self.outputs: list[dict[str, Any]] = []
        self.printed = Printed(self._most)
        shell.compile.flags = 0  # as of a file: IPython's own call many faults "incomplete input" and no more
        shell.display_pub.publish = self._display
        shell.displayhook.write_output_prompt = lambda: None
        shell.displayhook.quiet = self._is_silenced
        shell.displayhook.write_format_data = self._result
        builtins.input = no_input
        interactiveshell.system = print_command
        shell.ask_exit = lambda: None
        _show_pictures_inline(shell)
        for name in _OF_A_KERNEL:
            shell.register_magic_function(lambda _: None, magic_name=name)
        shell.should_run_async = _only_where_it_waits(shell.should_run_async)
        manager = shell.input_transformer_manager
        manager.do_token_transforms = _only_where_it_is_no_python(manager)
        shell.showtraceback = self._traceback(shell.showtraceback)
        shell._showtraceback = self._error

    def run(self, source: str) -> tuple[list[dict[str, Any]], str]:
        """Run a cell; return its outputs and its error ("" if it ran to its end)."""
        self._count += 1
        self._source = source
        self.error = self.assertion = None
        self.outputs, self.printed = [], Printed(self._most)
        self._rich_left = RICH * self._most
        with collected(self.printed):
            with contextlib.suppress(Exception):  # the student's code may have replaced anything
                _close_pictures()
            result = self.shell.run_cell(source, store_history=True)
        if self.passing:
            with contextlib.suppress(Exception):  # the student's code may have replaced anything
                self._forget_last()
        self._flush()
        error = result.error_before_exec or result.error_in_exec
        return self.outputs, "" if error is None else self._said(error)

    def _forget_last(self) -> None:
        """Leave neither text nor value of the last cell: it is a test, and its place in ``In`` is all that counts."""
        history, number = self.shell.history_manager, self.shell.execution_count - 1
        history.input_hist_parsed[-1] = history.input_hist_raw[-1] = history._i00 = ""
        self.shell.user_ns["_oh"].pop(number, None)
        for name in (f"_i{number}", f"_{number}"):
            self.shell.user_ns.pop(name, None)

    def _is_silenced(self) -> bool:
        """Return whether the cell ends with a semicolon, so that its value is not shown."""
        with contextlib.suppress(tokenize.TokenError, SyntaxError):  # in a line for IPython
            return bool(self.shell.displayhook.semicolon_at_end_of_expression(self._source))
        return False

    def _said(self, error: BaseException) -> str:
        text, self.error = _text(error), error
        if isinstance(error, AssertionError):
            with contextlib.suppress(BaseException):  # the student's code has had it in its hands
                text = self._assertion(error, text)
        return f"{type(error).__name__}: {text}"[:MOST_OF_ERROR]

    def _assertion(self, error: AssertionError, text: str) -> str:
        """Name the assertion of the cell that failed: none of an earlier cell, which may be a secret."""
        frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
        cell = next(name for name, _ in frames if self.is_cell(name))
        line = [line for name, line in frames if name == cell][-1]
        nodes = ast.walk(parse("".join(linecache.getlines(cell))))
        found = [node for node in nodes if isinstance(node, ast.Assert) and line in _lines(node)]
        self.assertion = found[0] if found else None
        return unmet(found[0], text) if found else text

    def is_cell(self, filename: str) -> bool:
        """Return whether code of this file came from a cell."""
        return filename.startswith("<ipython-input") or filename in self.shell.compile._filename_map

    def _flush(self) -> None:
        for name, text in self.printed.take():
            self.outputs.append({"output_type": "stream", "name": name, "text": sendable(text)})

    def _display(self, data: Any, metadata: Any = None, **_: Any) -> None:
        self._rich({"output_type": "display_data"}, data)

    def _result(self, data: Any, metadata: Any = None) -> None:
        self._rich({"output_type": "execute_result", "execution_count": self._count}, data)

    def _rich(self, output: dict[str, Any], data: Any) -> None:
        self._flush()
        kept: dict[str, str] = {}
        for kind in ("text/plain", *_RICH):
            value = data.get(kind)
            if isinstance(value, bytes):
                value = base64.b64encode(value).decode()
            if isinstance(value, str) and len(value) <= self._rich_left:
                kept[kind] = sendable(str.__str__(value))
                self._rich_left -= len(value)
            elif value is not None and self._rich_left:
                kept["text/plain"], self._rich_left = "… more output was dropped: a cell may show no more than this", 0
        if kept and len(self.outputs) < MOST_OUTPUTS:
            self.outputs.append({**output, "data": kept, "metadata": {}})

    def _traceback(self, show: Any) -> Any:
        def showtraceback(*args: Any, **kwargs: Any) -> None:
            try:
                _end_at_input(sys.exception())
                show(*args, **kwargs)
            except Exception as error:
                self._error(type(error), error, [_text(error)])

        return showtraceback

    def _error(self, kind: type[BaseException], error: BaseException, lines: list[str]) -> None:
        self._flush()
        shown = sendable("\n".join(str(line) for line in lines)[: self._most]).split("\n")
        about = {"ename": kind.__name__, "evalue": _text(error), "traceback": shown}
        self.outputs.append({"output_type": "error", **about})


def _end_at_input(error: BaseException | None) -> None:
    """Let a traceback end where the student's code called ``input``."""
    trace = error.__traceback__ if error else None
    while trace is not None:
        if trace.tb_next is not None and trace.tb_next.tb_frame.f_code is no_input.__code__:
            trace.tb_next = None
        trace = trace.tb_next


def _show_pictures_inline(shell: Any) -> None:
    """Let every kind of ``%matplotlib`` be the inline one: there is neither a window nor an event loop."""
    enable = shell.enable_matplotlib
    shell.enable_gui = lambda _gui=None: None
    shell.enable_matplotlib = lambda _gui=None: enable("inline")


def _close_pictures() -> None:
    """Close what a test has had drawn since the last cell, as a notebook does after the test's own cell."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and "inline" in pyplot.get_backend():
        pyplot.close("all")


def _only_where_it_waits(decide: Any) -> Any:
    """IPython compiles a cell to see whether it waits at its top level; the word tells that most do not."""

    def should_run_async(cell: str, *, transformed_cell: str, **more: Any) -> bool:
        waits = "await" in transformed_cell or "async" in transformed_cell
        return waits and decide(cell, transformed_cell=transformed_cell, **more)

    return should_run_async


def _only_where_it_is_no_python(manager: Any) -> Any:
    """IPython looks at every word of a cell for magics; where there is one, the cell is no Python yet."""
    transform, usual = manager.do_token_transforms, list(manager.token_transformers)

    def do_token_transforms(lines: list[str]) -> list[str]:
        if manager.token_transformers == usual and _is_python("".join(lines)):
            return lines
        transformed: list[str] = transform(lines)
        return transformed

    return do_token_transforms


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _is_python(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come when the cell is run
        try:
            parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return False
    return True


def _text(error: BaseException) -> str:
    try:
        return sendable(str(error)[:MOST_OF_ERROR])
    except BaseException:
        return ""
