"""Estimators of scikit-learn's cross as data: the test calls the library's methods, and none of the student's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn import (
    cluster,
    compose,
    datasets,
    decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    impute,
    linear_model,
    manifold,
    mixture,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
    tree,
)
from sklearn.feature_extraction import text
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV, cross_val_score
from studium_graders.engine.remote.known_estimators import is_estimator
from studium_graders.engine.remote.objects import is_remote
from studium_graders.engine.remote.policy import ESTIMATOR

X, Y = datasets.load_iris(return_X_y=True)
WORDS = ["a cat sat", "the dog ran", "cat and dog"]
MIXED = compose.ColumnTransformer(
    [("scaled", preprocessing.StandardScaler(), [0, 1]), ("bins", preprocessing.KBinsDiscretizer(3), slice(2, 4))],
    remainder="passthrough",
)
FITTED: dict[str, Any] = {
    type(made).__name__: made
    for made in [
        *(cluster.KMeans(3, n_init=1, random_state=0), compose.TransformedTargetRegressor(), MIXED),
        *(decomposition.PCA(2), decomposition.NMF(2), decomposition.TruncatedSVD(2), decomposition.KernelPCA(2)),
        *(discriminant_analysis.LinearDiscriminantAnalysis(), dummy.DummyClassifier(), dummy.DummyRegressor()),
        *(discriminant_analysis.QuadraticDiscriminantAnalysis(), mixture.GaussianMixture(2, random_state=0)),
        *(ensemble.RandomForestClassifier(5, random_state=0), ensemble.ExtraTreesRegressor(5, random_state=0)),
        *(ensemble.BaggingClassifier(n_estimators=3, random_state=0), impute.SimpleImputer()),
        ensemble.VotingClassifier(
            [("t", tree.DecisionTreeClassifier(random_state=0)), ("b", naive_bayes.GaussianNB())]
        ),
        *(linear_model.LinearRegression(), linear_model.Ridge(), linear_model.Lasso(), linear_model.ElasticNet()),
        *(linear_model.LogisticRegression(max_iter=500), linear_model.RidgeClassifier(), linear_model.RidgeCV()),
        *(linear_model.SGDClassifier(random_state=0), linear_model.Perceptron(), linear_model.HuberRegressor()),
        *(multiclass.OneVsRestClassifier(naive_bayes.GaussianNB()), naive_bayes.MultinomialNB()),
        *(neighbors.KNeighborsClassifier(), neighbors.KNeighborsRegressor(algorithm="brute", weights="distance")),
        neighbors.NearestNeighbors(algorithm="ball_tree", metric="manhattan"),
        *(neural_network.MLPClassifier(5, max_iter=500, random_state=0), preprocessing.PolynomialFeatures()),
        *(preprocessing.StandardScaler(), preprocessing.MinMaxScaler(), preprocessing.OneHotEncoder()),
        *(preprocessing.QuantileTransformer(n_quantiles=9), preprocessing.PowerTransformer(), svm.LinearSVC()),
        *(tree.DecisionTreeClassifier(max_depth=3), tree.DecisionTreeRegressor(), manifold.MDS(n_init=1)),
        pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(2), naive_bayes.GaussianNB()),
        multiclass.OneVsOneClassifier(naive_bayes.GaussianNB()),
        pipeline.make_union(preprocessing.StandardScaler(), decomposition.PCA(1)),
        GridSearchCV(naive_bayes.GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}, cv=KFold(3, shuffle=True)),
        RandomizedSearchCV(neighbors.KNeighborsClassifier(), {"n_neighbors": [1, 3]}, n_iter=2, scoring="accuracy"),
    ]
}


@pytest.fixture(scope="module")
def rebuilt(make_module_student):
    """Give a function that has the student's process build the value anew."""
    source = "import copy\ndef rebuilt(value):\n    return copy.deepcopy(value)"
    return make_module_student(source).get("rebuilt")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_estimator_is_of_the_same_class_and_gives_the_same(rebuilt, name) -> None:
    fitted = FITTED[name].fit(X, Y)
    found = rebuilt(fitted)
    assert type(found) is type(fitted)
    assert found is not fitted
    assert vars(found).keys() == vars(fitted).keys() - {"_loss_function_", "_optimizer"}
    assert repr(found) == repr(fitted)
    for method in ("predict", "predict_proba", "transform", "kneighbors"):
        if hasattr(fitted, method):
            np.testing.assert_equal(dense(getattr(found, method)(X)), dense(getattr(fitted, method)(X)))
    if hasattr(fitted, "score"):
        assert found.score(X, Y) == fitted.score(X, Y)


def dense(value: Any) -> Any:
    return value.toarray() if scipy.sparse.issparse(value) else value


@pytest.mark.parametrize("name", FITTED)
def test_one_that_is_not_fitted_crosses_too(rebuilt, name) -> None:
    made = (
        copy.deepcopy(FITTED[name]).__sklearn_clone__() if hasattr(FITTED[name], "__sklearn_clone__") else FITTED[name]
    )
    assert rebuilt(made).get_params(deep=False).keys() == made.get_params(deep=False).keys()


def test_texts_become_the_same_numbers(rebuilt) -> None:
    for made in (text.CountVectorizer(), text.TfidfVectorizer(ngram_range=(1, 2))):
        counts = made.fit_transform(WORDS)
        found = rebuilt(made)
        assert found.vocabulary_ == made.vocabulary_
        assert (found.transform(WORDS) != counts).nnz == 0
        assert (rebuilt(counts) != counts).nnz == 0


def test_a_data_set_keeps_its_attributes(rebuilt) -> None:
    found = rebuilt(datasets.load_wine())
    assert (found.data == datasets.load_wine().data).all()
    assert found.feature_names[0] == "alcohol"


PATCHED = """
from sklearn.linear_model import LogisticRegression
LogisticRegression.score = lambda *_: 1.0
LogisticRegression.predict = lambda self, X: None
model = LogisticRegression(max_iter=500)
def fit(X, y): return LogisticRegression(max_iter=500).fit(X, y)
class Lying(LogisticRegression):
    def score(self, *_): return 1.0
def lie(X, y): return Lying(max_iter=500).fit(X, y)
def instead(X, y):
    made = fit(X, y)
    made.score = lambda *_: 1.0
    return made
def train(model, X, y): model.fit(X, y)
def fill(steps): steps[-1][1].fit([[0], [1]], [0, 1])
"""


@pytest.fixture(scope="module")
def student(make_module_student):
    return make_module_student(PATCHED)


def test_what_a_student_puts_in_the_place_of_a_method_is_not_called(student) -> None:
    model = student.get("fit")(X, Y)
    assert type(model) is linear_model.LogisticRegression
    assert 0.9 < model.score(X, Y) < 1
    assert model.predict(X).shape == (150,)


def test_a_class_of_the_students_stays_an_object_of_the_students(student) -> None:
    assert is_remote(student.get("lie")(X, Y))
    assert is_remote(student.get("instead")(X, Y))


def test_one_that_has_another_name_too_is_measured_under_the_name_of_the_references(make_student) -> None:
    source = """
from sklearn.linear_model import LogisticRegression
class Lying(LogisticRegression):
    def predict(self, X): return [0] * len(X)
    def score(self, *_): return 1.0
    def fit(self, *_): return self
other = model = Lying()
"""
    handles = {"other", "model", f"model{ESTIMATOR}ClassifierMixin"}
    student = make_student(source, recording=False, handles=handles)
    other, model = student.get("other"), student.get("model")
    assert other is not model
    assert model.score(X, Y) == np.mean(np.array(Y) == 0) < 1


def test_a_function_that_fits_the_tests_estimator_fits_it(student) -> None:
    model = linear_model.LinearRegression()
    assert student.get("train")(model, X, Y) is None
    np.testing.assert_allclose(model.coef_, linear_model.LinearRegression().fit(X, Y).coef_)


def test_one_within_a_pipeline_too(student) -> None:
    made = pipeline.make_pipeline(preprocessing.StandardScaler(), naive_bayes.GaussianNB())
    last = made.steps[-1][1]
    student.get("train")(made, X, Y)
    assert made.steps[-1][1] is last
    assert last.theta_.shape == (3, 4)
    assert made.score(X, Y) > 0.9


UNKNOWN = [preprocessing.MultiLabelBinarizer, ensemble.GradientBoostingClassifier, svm.SVC, object]


@pytest.mark.parametrize("cls", UNKNOWN)
def test_other_classes_are_not_known(cls) -> None:
    assert not is_estimator(cls)


OTHERS = {
    "reads a cache on disk": "Pipeline([('s', StandardScaler())], memory='.')",
    "goes on with what was begun": "Lasso(warm_start=True)",
    "calls a function": "FunctionTransformer(lambda value: value)",
}


@pytest.mark.parametrize("made", OTHERS.values(), ids=OTHERS)
def test_what_a_known_class_does_not_just_compute_stays_where_it_is(make_student, made) -> None:
    source = f"""
from sklearn.linear_model import Lasso
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
made = {made}
"""
    assert is_remote(make_student(source, recording=True).get("made"))


def test_cross_validation_in_a_test_fits_anew(student) -> None:
    assert 0.9 < cross_val_score(student.get("model"), X, Y).mean() < 1
