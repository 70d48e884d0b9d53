"""Students in processes of their own, calibration with the reference, and the oracle: nbgrader's own scoring."""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import socket
import sys
import tempfile
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from nbformat.v4 import new_code_cell, new_output
from nbgrader.utils import determine_grade
from studium_graders.course.limits import Limits
from studium_graders.engine.judge_side.student import Student
from studium_graders.engine.material.results import NotebookResult
from studium_graders.engine.processes.working_folder import write_files
from studium_graders.engine.student_side.cells import Cells
from studium_graders.engine.student_side.serving import serve
from studium_graders.engine.supervision.calibration import calibrate as calibrate_with

from tests.graders.engine.shells import make_current

from .notebooks import NOTHING_KNOWN, grade

LIMITS = Limits(call_seconds=20)


@contextmanager
def forked(shell, files=None):
    """Return a student in a process forked from this one, which is in a folder of its own."""
    here, there = socket.socketpair()
    with tempfile.TemporaryDirectory() as folder:
        pid = os.fork()
        if pid == 0:
            make_current(shell)
            gc.freeze()  # as the fork server does; else looking for garbage copies the memory of all tests
            here.close()
            os.chdir(folder)
            write_files(files or {})
            sys.modules["__main__"] = shell.user_module
            warnings.resetwarnings()
            serve(there, Cells(shell, LIMITS.output_kb), LIMITS)
        there.close()
        student = Student(here, LIMITS)
        try:
            yield student
        finally:
            student.close()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def calibrate(shell, notebook, files=None):
    """Grade the reference as the engine does before a class."""

    def observe(canonical, calibration, recording):
        graded = grade_forked(shell, notebook, canonical, calibration, files)
        return NotebookResult(notebook.name, "graded", list(graded.results.values())), graded.needs

    return calibrate_with(notebook, observe)


def grade_forked(shell, notebook, canonical, calibration=NOTHING_KNOWN, files=None, **options):
    """Grade a submission in a process of its own."""
    with forked(shell, files) as student:
        return grade(student, notebook, canonical, calibration=calibration, **options)


def oracle(shell, notebook, canonical, files=None):
    """Return points by grade id: every cell in one kernel, scored with nbgrader's ``determine_grade``."""
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        pid = os.fork()
        if pid == 0:
            make_current(shell)
            gc.freeze()
            os.chdir(folder)
            write_files(files or {})
            sys.modules["__main__"] = shell.user_module
            warnings.resetwarnings()
            os.write(writing, json.dumps(_graded_by_nbgrader(shell, notebook, canonical)).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            content = file.read()
        os.waitpid(pid, 0)
    return json.loads(content)


def _graded_by_nbgrader(shell, notebook, canonical):
    cells = {cell.id: cell for cell in notebook.cells}
    points = {}
    for step in canonical.steps:
        cell = cells[step.cell]
        outputs = _outputs(shell, cell.source if step.kind == "test" else step.source)
        if step.kind == "test":
            marks = {"grade": True, "solution": False, "points": cell.points, "grade_id": cell.grade_id}
            made = new_code_cell(cell.source, outputs=outputs, metadata={"nbgrader": marks})
            try:
                points[cell.grade_id] = float(determine_grade(made)[0])
            except ValueError as error:  # more than the maximum ends nbgrader's whole run
                points[cell.grade_id] = str(error)
    return points


def _outputs(shell, source):
    out, err = io.StringIO(), io.StringIO()
    shell.displayhook.write_output_prompt = lambda: None
    shell.displayhook.write_format_data = lambda *_: None
    with redirect_stdout(out), redirect_stderr(err):
        result = shell.run_cell(source, store_history=True)
    outputs = [
        new_output("stream", name=name, text=file.getvalue()) for name, file in (("stdout", out), ("stderr", err))
    ]
    outputs = [output for output in outputs if output.text]
    if not result.success:
        outputs.append(new_output("error", ename="Error", evalue="", traceback=[]))
    elif result.result is not None:
        text = shell.display_formatter.format(result.result)[0]["text/plain"]
        outputs.append(new_output("execute_result", data={"text/plain": text}))
    return outputs
