"""Students in processes of their own, calibration with the reference, and the oracle: everything in one process."""

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
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from unittest import mock

import msgspec
from nbformat.v4 import new_code_cell, new_output
from nbgrader.utils import determine_grade
from studium import memory_limit
from studium_graders.engine.judge.events import Judged
from studium_graders.engine.judge.judge_job import Recorded
from studium_graders.engine.judge.modes import plan_of
from studium_graders.engine.judge_side.permissions import Permissions
from studium_graders.engine.judge_side.student_process import StudentProcess
from studium_graders.engine.material.assignment import Calibration
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.material.results import NotebookResult
from studium_graders.engine.processes.working_folder import write_files
from studium_graders.engine.sandbox.resource_limits import limit_data_of
from studium_graders.engine.student_side.cells import Cells
from studium_graders.engine.student_side.serving import serve
from studium_graders.engine.supervision.calibration import calibrate as calibrate_with

from tests.graders.engine.shells import make_current

from .notebooks import grade, no_exercises, prepared, submission

LIMITS = Limits(call_seconds=20)
NOTHING_KNOWN = Calibration()


@contextmanager
def forked(shell, calibration=NOTHING_KNOWN, files=None, *, recording=False):
    """Return a student in a process forked from this one; it and the judge are each in a folder of its own."""
    here, there = socket.socketpair()
    files = files or {}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as own, chdir(own):
        write_files(files)
        pid = os.fork()
        if pid == 0:
            make_current(shell)
            gc.freeze()  # as the fork server does; else looking for garbage copies the memory of all tests
            here.close()
            os.chdir(folder)
            write_files(files)
            sys.modules["__main__"] = shell.user_module
            warnings.resetwarnings()
            serve(there, Cells(shell, LIMITS.output_kb), LIMITS)
        there.close()
        granted, plain = set(calibration.permissions), set(calibration.plain)
        permissions = Permissions(granted, plain, known=calibration.known, recording=recording)
        student = StudentProcess(here, permissions, LIMITS)
        try:
            with mock.patch.object(memory_limit, "_limiter", partial(_limited_there, pid)):  # as the supervisor does
                yield student
        finally:
            student.channel.close()
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@contextmanager
def _limited_there(pid, megabytes):
    limit_data_of([pid], megabytes)
    try:
        yield
    finally:
        limit_data_of([pid], None)


def calibrate(shell, notebook, files=None, **options):
    """Grade the reference as the engine does before a class: what it needs, and which tests run whole."""

    def observe(canonical, calibration, recording):
        graded, recorded = _graded(shell, notebook, canonical, calibration, files, recording=recording, **options)
        return NotebookResult(notebook.name, "graded", list(graded.results.values())), recorded

    return calibrate_with(notebook, observe)


def grade_forked(shell, notebook, canonical, calibration=NOTHING_KNOWN, files=None, **options):
    """Grade a submission in processes of its own: apart, and whole where a test needs that."""
    return _graded(shell, notebook, canonical, calibration, files, **options)[0]


def _graded(shell, notebook, canonical, calibration, files, *, recording=False, **options):
    """Return what two passes brought, in the order of the notebook, and what they needed."""
    found, recorded = None, Recorded()
    for whole in (False, True):
        if not any(bool(reason) == whole for reason in reasons(notebook, calibration, options).values()) and found:
            break
        with forked(shell, calibration, files, recording=recording) as student:
            graded = grade(student, notebook, canonical, calibration=calibration, whole=whole, **options)
            permissions, needs = student.permissions, graded.needs
        made = (permissions.granted, permissions.plain, needs.unverified, needs.scored, needs.suites)
        granted, plain, unverified, scored, suites = made
        recorded = recorded.and_then(
            Recorded(frozenset(granted), frozenset(plain), unverified, frozenset(scored), suites)
        )
        found = graded if found is None else found.and_then(graded, notebook)
    return _decided(shell, notebook, canonical, calibration, files, found, **options), recorded


def _decided(shell, notebook, canonical, calibration, files, found, **options):
    """Leave a test to a person that met an error apart and passes whole, as the supervisor does."""
    undecided = {event.result.grade_id for event in found.events if isinstance(event, Judged) and event.undecided}
    if undecided:
        with forked(shell, calibration, files) as student:
            also = frozenset(cell.id for cell in notebook.cells if cell.grade_id in undecided)
            whole = grade(student, notebook, canonical, calibration=calibration, whole=True, also=also, **options)
        for name in undecided:
            if whole.results[name].points:
                found.results[name] = msgspec.structs.replace(found.results[name], outcome="review")
    return found


def reasons(notebook, calibration, options):
    """Return, by the id of its cell, why a test is unverified."""
    return plan_of(prepared(notebook, options.get("exercises", no_exercises)), calibration).reasons


def grade_split(shell, notebook, text):
    """Grade an answer in a process of its own, by what the reference needs: every test must run apart."""
    calibration = calibrate(shell, notebook)
    assert not calibration.unverified
    return grade_forked(shell, notebook, submission(notebook, text), calibration)


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


def assert_split_as_in_one_process(shell, notebook, right, wrong):
    """Judge a notebook's only test split, for answers that are right and others; nbgrader's own scoring agrees."""
    calibration = calibrate(shell, notebook)
    assert not calibration.unverified
    for points, texts in ((1, right), (0, wrong)):
        for text in texts:
            canonical = submission(notebook, text)
            assert list(oracle(shell, notebook, canonical).values()) == [points], text
            result = grade_forked(shell, notebook, canonical, calibration).only
            assert (result.points, result.mode) == (points, "verified"), (text, result.message)
