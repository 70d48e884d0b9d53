"""Which estimators of scikit-learn's may cross, and with what they may hold.

The classes are those whose compiled code, and that of SciPy's sparse matrices which they make, is safe with whatever
an instance may hold, or with what is checked here.
"""

import importlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from studium_graders.engine.remote import trees

_CLASSES = {
    "sklearn.cluster": "AgglomerativeClustering DBSCAN KMeans",
    "sklearn.compose": "ColumnTransformer TransformedTargetRegressor make_column_selector",
    "sklearn.decomposition": "FactorAnalysis FastICA KernelPCA NMF PCA TruncatedSVD",
    "sklearn.discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
    "sklearn.dummy": "DummyClassifier DummyRegressor",
    "sklearn.ensemble": "BaggingClassifier BaggingRegressor ExtraTreesClassifier ExtraTreesRegressor"
    " RandomForestClassifier RandomForestRegressor StackingClassifier StackingRegressor VotingClassifier"
    " VotingRegressor",
    "sklearn.feature_extraction.text": "CountVectorizer TfidfTransformer TfidfVectorizer",
    "sklearn.feature_selection": "VarianceThreshold",
    "sklearn.impute": "SimpleImputer",
    "sklearn.linear_model": "BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lasso LassoCV LinearRegression"
    " LogisticRegression LogisticRegressionCV Perceptron Ridge RidgeCV RidgeClassifier RidgeClassifierCV SGDClassifier"
    " SGDRegressor",
    "sklearn.manifold": "MDS TSNE",
    "sklearn.mixture": "BayesianGaussianMixture GaussianMixture",
    "sklearn.model_selection": "GridSearchCV GroupKFold KFold LeaveOneOut RandomizedSearchCV ShuffleSplit"
    " StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit",
    "sklearn.multiclass": "OneVsOneClassifier OneVsRestClassifier",
    "sklearn.multioutput": "MultiOutputClassifier MultiOutputRegressor",
    "sklearn.naive_bayes": "BernoulliNB ComplementNB GaussianNB MultinomialNB",
    "sklearn.neighbors": "KNeighborsClassifier KNeighborsRegressor NearestNeighbors",
    "sklearn.neural_network": "MLPClassifier MLPRegressor",
    "sklearn.pipeline": "FeatureUnion Pipeline",
    "sklearn.preprocessing": "Binarizer FunctionTransformer KBinsDiscretizer KernelCenterer LabelBinarizer"
    " LabelEncoder MaxAbsScaler MinMaxScaler Normalizer OneHotEncoder OrdinalEncoder PolynomialFeatures"
    " PowerTransformer QuantileTransformer RobustScaler StandardScaler",
    "sklearn.svm": "LinearSVC LinearSVR",
    "sklearn.tree": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor",
}
_SCORING = ("ClassifierMixin", "RegressorMixin")
_CHOOSING = ("GridSearchCV", "RandomizedSearchCV", "LogisticRegressionCV")  # where ``scoring`` says what is measured
_MEASURED = "_studium_measured"
_MOST_THREADS = 1024
MODULES = {name: module for module, names in _CLASSES.items() for name in names.split()}


def is_estimator(cls: type) -> bool:
    """Tell whether a class is one of those that are known here."""
    name = cls.__name__
    return (
        str(cls.__module__).startswith("sklearn.") and name in MODULES and estimator_class(name) is without_measure(cls)
    )


def estimator_class(name: str) -> Any:
    """Give a class by its name."""
    return getattr(importlib.import_module(MODULES[name]), name)


def scored_by(value: Any) -> str:
    """Name the class from which an estimator has its score, where that is a measure of what it predicts; else ""."""
    with suppress(Exception):  # what it holds may be anything
        return _scored_by(value)
    return ""


def _scored_by(value: Any) -> str:
    name = type(value).__name__
    if name == "Pipeline" and value.steps:
        return _scored_by(value.steps[-1][1])
    if name in _CHOOSING and value.scoring is None:
        return _scored_by(value.estimator) if hasattr(value, "estimator") else _SCORING[0]
    score = getattr(type(value), "score", None)
    return next((name for name in _SCORING if score is not None and score is score_of(name)), "")


@cache
def _with_measure(cls: type, name: str) -> type:
    return type(cls.__name__, (cls,), {"score": score_of(name), "__module__": cls.__module__, _MEASURED: True})


def measure_by(value: Any, name: str) -> None:
    """Let an estimator, and copies of it, be scored by the class of this name, whatever its own class measures."""
    cls: Any = type(value)
    value.__class__ = _with_measure(cls, name)


def without_measure(cls: type) -> type:
    """Give the class of scikit-learn's from which ``measure_by`` has made this one; others as they are."""
    return cls.__base__ if _MEASURED in vars(cls) and cls.__base__ else cls


def score_of(name: str) -> Callable[..., float]:
    """Give the method by which a class of scikit-learn's measures what an estimator predicts."""
    return getattr(importlib.import_module("sklearn.base"), name).score  # type: ignore[no-any-return]


def is_safe(name: str, held: dict[str, Any]) -> bool:
    """Tell whether an instance of a class may hold this; what cannot be checked it may not."""
    with suppress(Exception):
        return _is_apart(held) and _lengths_agree(held) and bool(_CHECKS.get(name, bool)(held))
    return False


def _is_apart(held: dict[str, Any]) -> bool:
    """Tell whether there is neither a cache on disk, which is read with pickle, nor what a fit would go on with."""
    return held.get("memory") is None and not held.get("warm_start")


def _lengths_agree(held: dict[str, Any]) -> bool:
    """Tell whether all parts are made for as many features, and there are as many labels as points."""
    features, members, points = held.get("n_features_in_"), held.get("estimators_"), held.get("n_samples_fit_")
    shapes = {name: np.shape(held.get(name, 0)) for name in ("cluster_centers_", "_fit_X", "_y")}
    own = [shapes[name][1] for name in ("cluster_centers_", "_fit_X") if len(shapes[name]) == 2]
    parts = [vars(item).get("tree_") for item in members if is_estimator(type(item))] if type(members) is list else []
    return (
        all(seen == features for seen in [*own, *_features([held.get("tree_")])])
        and len({features, *_features(parts)} - {None}) < 2
        and len({points, *(shapes[name][0] for name in ("_fit_X", "_y") if shapes[name])} - {None}) < 2
    )


def _features(values: Iterable[Any]) -> list[int]:
    """Give the number of features of each tree among these values."""
    return [value.n_features for value in values if trees.is_tree(type(value))]


def _is_plain_encoder(held: dict[str, Any]) -> bool:
    """Tell whether each category has a column of its own: none is dropped, and they can be found."""
    categories = held.get("categories_", [])
    columns = held.get("_n_features_outs", [len(found) for found in categories])
    return (
        all(found.dtype.kind in "OUS" or bool((found[:-1] < found[1:]).all()) for found in categories)
        and columns == [len(found) for found in categories]
        and held.get("_drop_idx_after_grouping") is None
        and not held.get("_infrequent_enabled")
    )


def _counts_columns(held: dict[str, Any]) -> bool:
    """Tell whether each word has a column of its own."""
    columns = held.get("vocabulary_", {}).values()
    return sorted(columns) == list(range(len(columns)))


def _labels_have_classes(held: dict[str, Any]) -> bool:
    """Tell whether each point has the number of a class: so many scores are kept for each row."""
    if "_y" not in held:
        return True
    labels = np.asarray(held["_y"])
    classes = held.get("classes_", []) if labels.ndim == 2 else [held.get("classes_", [])]
    columns = labels.reshape(len(labels), -1).T
    return (
        labels.dtype.kind in "iu"
        and labels.size > 0
        and len(classes) == len(columns)
        and all(column.min() >= 0 and column.max() < len(names) for column, names in zip(columns, classes, strict=True))
    )


def _weights_have_features(held: dict[str, Any]) -> bool:
    """Tell whether the weights with which fitting goes on are as many as the features."""
    weights = [np.shape(held[name]) for name in ("coef_", "_standard_coef", "_average_coef") if name in held]
    features = held.get("n_features_in_")
    return all(shape and shape[-1] == features and 0 not in shape for shape in weights)


def _threads_are_few(held: dict[str, Any]) -> bool:
    return type(held.get("_n_threads", 1)) is int and 0 < held.get("_n_threads", 1) <= _MOST_THREADS


def _gives_one_label(held: dict[str, Any]) -> bool:
    """Tell whether the rows that each part finds are no places in a matrix."""
    binarizer = held.get("label_binarizer_")
    return binarizer is None or vars(binarizer).get("y_type_") in ("binary", "multiclass")


_CHECKS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "CountVectorizer": _counts_columns,
    "KMeans": _threads_are_few,
    "KNeighborsClassifier": _labels_have_classes,
    "OneHotEncoder": _is_plain_encoder,
    "OneVsRestClassifier": _gives_one_label,
    "Perceptron": _weights_have_features,
    "SGDClassifier": _weights_have_features,
    "SGDRegressor": _weights_have_features,
    "TfidfVectorizer": _counts_columns,
}
