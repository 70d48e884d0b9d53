from __future__ import annotations

import math

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_output
from nbgrader.utils import determine_grade
from studium_graders.engine.judge.scoring import points_for_outputs, points_for_value
from studium_graders.engine.results import CellRun

AS_NBGRADER = [0.0, 1, 1.5, 2.0, True, False, None, "0.5", [0.5], (1,), 1j, object, "text"]


@pytest.mark.parametrize("value", AS_NBGRADER, ids=repr)
def test_a_last_value_is_worth_what_nbgrader_gives(value):
    outputs = [] if value is None else [new_output("execute_result", data={"text/plain": repr(value)})]
    marks = {"grade": True, "solution": False, "points": 2, "grade_id": "t"}
    expected = determine_grade(new_code_cell("", outputs=outputs, metadata={"nbgrader": marks}))[0]
    assert points_for_value(value, 2.0) == expected
    assert points_for_outputs(CellRun(outputs), 2.0) == expected


@pytest.mark.parametrize(
    ("value", "points"), [(math.nan, 0), (-1, 0), (5, 2), (math.inf, 2), (np.float64(0.5), 0.5), (np.int64(1), 1)]
)
def test_where_we_differ_on_purpose(value, points):
    outputs = [{"output_type": "execute_result", "data": {"text/plain": repr(value)}}]
    assert points_for_value(value, 2.0) == points
    assert points_for_outputs(CellRun(outputs), 2.0) == points


class Untold(float):
    def __float__(self):
        raise RuntimeError("not told")

    def __repr__(self):
        return "a number that is not told"


@pytest.mark.parametrize(("value", "points"), [(10**400, 2), (-(10**400), 0), (Untold(1), 2)])
def test_a_number_that_is_no_float_is_worth_what_its_text_is(value, points):
    outputs = [{"output_type": "execute_result", "data": {"text/plain": repr(value)}}]
    assert points_for_value(value, 2.0) == points
    assert points_for_outputs(CellRun(outputs), 2.0) == points


def test_text_on_stderr_costs_nothing_and_an_error_everything():
    warning = {"output_type": "stream", "name": "stderr", "text": "careful"}
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": []}
    assert points_for_outputs(CellRun([warning]), 2.0) == 2
    assert points_for_outputs(CellRun([warning, error]), 2.0) == 0
    assert points_for_outputs(CellRun([], "stopped"), 2.0) == 0


def test_a_value_that_is_not_shown_is_no_partial_credit():
    outputs = [{"output_type": "execute_result", "data": {"text/plain": "0.5"}}]
    assert points_for_outputs(CellRun(outputs), 2.0, silenced=True) == 2
