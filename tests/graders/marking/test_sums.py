"""What items and points come to, whatever they are: never outside the question's points, and no comment is lost."""

import math

import pytest

pytest.importorskip("nbgrader")

from hypothesis import given
from hypothesis import strategies as st
from studium_graders.marking.sums import comment_of, line_of, mark_of, own_part, points_beside

quarters = st.integers(-400, 400).map(lambda number: number / 4)
amounts = st.lists(quarters, max_size=8)
most = st.integers(0, 100).map(float)
texts = st.text("ab +1\n\r", max_size=30)
items = st.lists(st.tuples(st.sampled_from(["a", "b", "a b", "1 ab"]), quarters), max_size=5)


@given(amounts, st.none() | quarters, most)
def test_a_mark_lies_between_nothing_and_the_questions_points_and_is_the_sum_where_that_does(found, points, full):
    mark = mark_of(found, points, full)
    total = math.fsum([*found, points or 0.0])
    assert (mark is None) == (not found and points is None)
    if mark is not None:
        assert 0 <= mark <= full
        assert mark == total or not 0 <= total <= full


@given(amounts, st.permutations(range(8)), most)
def test_the_order_of_the_items_does_not_matter(found, order, full):
    shuffled = [found[place] for place in order if place < len(found)]
    assert mark_of(found, None, full) == mark_of(shuffled, None, full)


@given(items, texts)
def test_what_a_person_wrote_comes_back_from_a_comment_with_any_rubric(rubric, own):
    lines = [line_of(text, points) for text, points in rubric]
    plain = own.replace("\r\n", "\n").replace("\r", "\n").strip()
    assert own_part(comment_of(lines, own), lines) == plain


@given(amounts, st.none() | quarters, most, most)
def test_a_mark_that_was_changed_in_the_formgrader_becomes_points_beside_the_rubric(found, points, full, changed):
    mark = mark_of(found, points, full)
    beside = points_beside(found, points, mark, changed)
    assert mark_of(found, beside, full) == mark if changed == mark else mark_of(found, beside, changed) == changed
    assert points_beside(found, points, mark, mark) == points
