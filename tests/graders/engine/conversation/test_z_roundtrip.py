"""Any value that is made of plain parts comes back as it went, and a changed argument changes here in the same way."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

keys = st.integers() | st.text() | st.booleans() | st.none() | st.tuples(st.integers(), st.text())
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.builds(NormalDist, st.floats(), st.floats(min_value=0))
    | arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=3))
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner, max_size=4)
        | st.sets(keys, max_size=4)
        | st.frozensets(keys, max_size=4)
    ),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def student(make_module_student):
    return make_module_student(
        "import copy\ndef copied(x): return copy.deepcopy(x)\ndef same(x): return x\n"
        "def twice(t): t.mul_(2)\ndef extend(x, items):\n    x.extend(items)\n    x.reverse()"
    )


def alike(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and all(map(alike, a.values(), b.values()))
    if isinstance(a, float):
        return a.hex() == b.hex() if not math.isnan(a) else math.isnan(b)
    return a == b or repr(a) == repr(b)


CALM = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@CALM
@given(values)
def test_values_come_back_as_they_went(student, value):
    assert alike(student.get("copied")(value), value)
    if isinstance(value, list | dict | set | np.ndarray):
        assert student.get("same")(value) is value


@CALM
@given(st.lists(values, max_size=3), st.lists(values, max_size=3))
def test_a_changed_list_changes_here(student, value, items):
    expected = [*value, *items][::-1]
    student.get("extend")(value, items)
    assert len(value) == len(expected)
    assert all(map(alike, value, expected))


@CALM
@given(st.lists(st.integers(0, 3), max_size=3), st.sampled_from([torch.float32, torch.bfloat16, torch.int64]))
def test_a_changed_tensor_changes_here(student, shape, dtype):
    tensor = torch.ones(shape, dtype=dtype)
    student.get("twice")(tensor)
    assert torch.equal(tensor, torch.full(shape, 2, dtype=dtype))
