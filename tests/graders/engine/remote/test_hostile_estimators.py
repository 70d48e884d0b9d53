"""Estimators cross as what they hold, and what a student's process makes of that harms nobody."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier
from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import StudentGone, trees
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

from .liar import Liar, reply

QUICK = Limits(call_seconds=5, message_mb=8)
PAIR = [Tag.ARRAY, "<i8", [2], 0]
TABLE = [Tag.ARRAY, "<f8", [1, 2], 0]
TWICE = [Tag.ARRAY, "<i4", [4], 0]  # with two that are equal
PART = [Tag.ARRAY, "<f8", [1, 1], 1]
LIST = [Tag.LIST]
OBJECT = [Tag.MINE, 1, "function", ["f", None, [], None, None]]


def estimator(name: Any, made: Any = (), /, **held: Any) -> list[Any]:
    return [Tag.ESTIMATOR, name, list(made), list(held), *held.values()]


NO_ESTIMATORS = {
    "nothing": [Tag.ESTIMATOR],
    "a class that is not known": estimator("SVC"),
    "a class by a path": estimator("linear_model.Lasso"),
    "no name": estimator(LIST),
    "a function as an attribute": estimator("Lasso", coef_=OBJECT),
    "a function in an attribute": estimator("Lasso", coef_=[Tag.LIST, [Tag.TUPLE, 1, OBJECT]]),
    "a class as an attribute": estimator("OneHotEncoder", dtype=[Tag.LIBRARY, "os", "system"]),
    "something before a method": estimator("Lasso", predict=1),
    "something before a property": estimator("Pipeline", classes_=1),
    "the class as an attribute": estimator("Lasso", __class__=1),
    "no name of an attribute": [Tag.ESTIMATOR, "Lasso", [], [1], 1],
    "an attribute without a value": [Tag.ESTIMATOR, "Lasso", [], ["alpha"]],
    "a cache on disk": estimator("Pipeline", memory="."),
    "a cache on disk in a part": estimator("Pipeline", steps=[Tag.LIST, estimator("Pipeline", memory=".")]),
    "words of columns that are not there": estimator("CountVectorizer", vocabulary_=[Tag.DICT, "a", 1 << 40]),
    "words of no columns": estimator("TfidfVectorizer", vocabulary_=[Tag.DICT, "a", "b"]),
    "more categories than columns": estimator(
        "OneHotEncoder", categories_=[Tag.LIST, PAIR], _n_features_outs=[Tag.LIST, 1]
    ),
    "categories in no order": estimator("OneHotEncoder", categories_=[Tag.LIST, TWICE]),
    "a category that is dropped": estimator("OneHotEncoder", _drop_idx_after_grouping=PAIR),
    "what was begun": estimator("Lasso", warm_start=True),
    "what cannot be made again": estimator("Lasso", ["coef_"]),
    "a search without a tree": estimator("KNeighborsClassifier", ["_tree"]),
    "a tree of points of too few numbers": estimator("NearestNeighbors", n_features_in_=3, _fit_X=TABLE),
    "more labels than points": estimator("NearestNeighbors", n_features_in_=2, _fit_X=TABLE, _y=PAIR),
    "centers of too few numbers": estimator("KMeans", n_features_in_=3, cluster_centers_=TABLE),
    "centers of nobody knows how many numbers": estimator("KMeans", cluster_centers_=TABLE),
    "labels of classes that are not there": estimator(
        "KNeighborsClassifier", n_features_in_=2, _fit_X=TABLE, _y=[Tag.ARRAY, "<i8", [1], 1], classes_=PAIR
    ),
    "more points than there are": estimator("NearestNeighbors", n_features_in_=2, _fit_X=TABLE, n_samples_fit_=9),
    "weights of too few features": estimator("SGDClassifier", n_features_in_=2, coef_=TABLE, _average_coef=PART),
    "weights of no class": estimator("Perceptron", n_features_in_=2, coef_=[Tag.ARRAY, "<f8", [0, 2], 2]),
    "threads without end": estimator("KMeans", _n_threads=1 << 40),
    "places in a matrix": estimator(
        "OneVsRestClassifier", label_binarizer_=estimator("LabelBinarizer", y_type_="multilabel-indicator")
    ),
    "no tree": [Tag.TREE],
    "a tree of words": [Tag.TREE, 1, PAIR, 1, [Tag.LIST, "a"], PAIR],
    "no sparse matrix": [Tag.SPARSE_MATRIX],
    "an unknown format": [Tag.SPARSE_MATRIX, "new_array", [Tag.LIST, 1, 1], PAIR, [Tag.LIST, PAIR, PAIR]],
    "a column that is not there": [Tag.SPARSE_MATRIX, "csr_array", [Tag.LIST, 2, 2], PAIR, [Tag.LIST, PAIR, PAIR]],
    "a sparse matrix of objects": [
        Tag.SPARSE_MATRIX, "csr_array", [Tag.LIST, 3, 3], [Tag.OBJECTS, [2], [1, OBJECT]], [Tag.LIST, PAIR, PAIR],
    ],
    "a length that is none": [Tag.SPARSE_MATRIX, "csr_array", [Tag.LIST, 3, 2.5], PAIR, [Tag.LIST, PAIR, PAIR]],
    "coordinates that are none": [Tag.SPARSE_MATRIX, "csr_array", [Tag.LIST, 3, 3], PAIR, [Tag.LIST, PAIR, 1]],
}  # fmt: skip


@pytest.mark.parametrize("node", NO_ESTIMATORS.values(), ids=NO_ESTIMATORS)
def test_what_is_no_estimator_ends_the_student(node) -> None:
    with pytest.raises(StudentGone) as gone:
        Liar(reply(node, buffers=[struct.pack("2q", 1, 2), struct.pack("q", 7), b""]), limits=QUICK).ask()
    assert gone.value.verdict == "broken protocol"


def test_a_sparse_matrix_without_end_is_refused() -> None:
    node = [Tag.SPARSE_MATRIX, "csr_array", [Tag.LIST, 1 << 40, 3], PAIR, [Tag.LIST, PAIR, PAIR]]
    with pytest.raises(TypeError, match="a sparse matrix of more than"):
        Liar(reply(node, buffers=[struct.pack("2q", 1, 2)]), limits=QUICK).ask()


X = np.random.default_rng(0).normal(size=(60, 3))
FITTED = DecisionTreeClassifier(random_state=0).fit(X, (X[:, 0] * X[:, 1] > 0).astype(int))


def test_a_tree_is_built_again() -> None:
    made = trees.build(*trees.take_apart(FITTED.tree_))
    np.testing.assert_array_equal(made.predict(X.astype(np.float32)), FITTED.tree_.predict(X.astype(np.float32)))


places = st.integers(0, FITTED.tree_.node_count - 1)


@given(st.sampled_from(range(3)), places, st.integers(-(2**40), 2**40) | st.integers(-3, 40))
def test_no_walk_through_a_tree_leaves_it(column, place, number) -> None:
    features, classes, depth, columns, values = trees.take_apart(FITTED.tree_)
    columns[column] = columns[column].copy()
    columns[column][place] = number
    try:
        made = trees.build(features, classes, depth, columns, values)
    except ProtocolError:
        return
    ends = made.apply(X.astype(np.float32))
    assert (made.children_left[ends] == -1).all()


@pytest.mark.parametrize(
    ("place", "part"),
    [(2, 0), (0, -1), (0, 2.0), (1, np.array([0])), (1, np.array([9])), (1, np.array([[2]])), (2, -1)],
)
def test_no_tree_has_other_sizes_than_its_values(place, part) -> None:
    parts = trees.take_apart(FITTED.tree_)
    parts[place] = part
    with pytest.raises(ProtocolError):
        trees.build(*parts)
