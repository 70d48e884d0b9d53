"""Sparse matrices of SciPy's cross as data, and are changed in place on both sides."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
DENSE = np.array([[0, 2, 0], [1, 0, 0]])


@pytest.fixture(scope="module")
def rebuilt(make_module_student):
    source = "import copy\ndef rebuilt(value):\n    return copy.deepcopy(value)"
    return make_module_student(source).get("rebuilt")


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", FORMATS)
def test_a_sparse_matrix_stays_what_it_is(rebuilt, form, kind) -> None:
    made = getattr(scipy.sparse, f"{form}_{kind}")(DENSE)
    found = rebuilt(made)
    assert type(found) is type(made)
    assert found.dtype == made.dtype
    np.testing.assert_array_equal(found.toarray(), DENSE)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays(
        st.sampled_from(["f4", "f8", "i8", "?", "c16"]),
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        fill=st.just(0),
    ),
    st.sampled_from(FORMATS),
)
def test_any_sparse_matrix_of_numbers_stays_what_it_is(rebuilt, dense, form) -> None:
    found = rebuilt(getattr(scipy.sparse, f"{form}_array")(dense))
    np.testing.assert_array_equal(found.toarray(), dense)


def test_one_that_a_function_changes_in_place_is_changed_for_the_test(make_student) -> None:
    made = scipy.sparse.lil_array(DENSE)
    assert make_student("def change(m):\n    m[0, 0] = 7").get("change")(made) is None
    assert made[0, 0] == 7
    assert made.nnz == 3


def test_what_comes_back_unchanged_is_the_tests_own(make_student) -> None:
    made = scipy.sparse.csr_array(DENSE)
    assert make_student("def same(m):\n    return m").get("same")(made) is made


def test_one_without_columns_is_data_without_elements(make_student) -> None:
    student = make_student(
        "import scipy.sparse\ndef none():\n    return scipy.sparse.csr_array((0, 3))",
        known=True,
        recording=False,
        handles={"none"},
    )
    assert student.get("none")().shape == (0, 3)
    assert student.policy.unexpected
