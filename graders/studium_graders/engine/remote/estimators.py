"""Estimators of scikit-learn's on the wire: what an instance of a known class holds, where all of that is plain data.

Its methods then run where they are called, so that no answer can replace them. The classes are those whose compiled
code, if any, is safe with whatever an instance may hold, or with what is checked here. scikit-learn is looked for when
a value of it is met, and imported when one arrives.
"""

import importlib
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any

import numpy as np

from studium_graders.engine.remote import instances, library, trees
from studium_graders.engine.remote.decode import READERS, Decoder, fill
from studium_graders.engine.remote.encode import KINDS, Encoder, pairs
from studium_graders.engine.remote.policy import ITEM
from studium_graders.engine.remote.sparse_matrices import is_sparse
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

_CLASSES = {
    "sklearn.cluster": "AgglomerativeClustering DBSCAN KMeans",
    "sklearn.compose": "ColumnTransformer TransformedTargetRegressor make_column_selector",
    "sklearn.decomposition": "FactorAnalysis FastICA KernelPCA NMF PCA TruncatedSVD",
    "sklearn.discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
    "sklearn.dummy": "DummyClassifier DummyRegressor",
    "sklearn.ensemble": "BaggingClassifier BaggingRegressor ExtraTreesClassifier ExtraTreesRegressor"
    " RandomForestClassifier RandomForestRegressor StackingClassifier StackingRegressor VotingClassifier VotingRegressor",
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
    "sklearn.preprocessing": "Binarizer FunctionTransformer KBinsDiscretizer KernelCenterer LabelBinarizer LabelEncoder MaxAbsScaler"
    " MinMaxScaler MultiLabelBinarizer Normalizer OneHotEncoder OrdinalEncoder PolynomialFeatures PowerTransformer"
    " QuantileTransformer RobustScaler StandardScaler",
    "sklearn.svm": "LinearSVC LinearSVR",
    "sklearn.tree": "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor",
}
_MODULES = {name: module for module, names in _CLASSES.items() for name in names.split()}
_PLAIN = {NoneType, bool, int, float, complex, str, bytes, np.random.RandomState}


def is_estimator(cls: type) -> bool:
    """Tell whether a class is one of those that are known here."""
    return str(cls.__module__).startswith("sklearn.") and cls.__name__ in _MODULES and _class(cls.__name__) is cls


def _class(name: Any) -> Any:
    return getattr(importlib.import_module(_MODULES[name]), name)


def held(value: Any) -> dict[str, Any]:
    """Give what an estimator holds, without what is made again of the rest."""
    found = object.__getattribute__(value, "__dict__")
    return {name: item for name, item in found.items() if name not in _MADE_AGAIN}


# ----------------------------------------------------------------------------------------------------- what may cross


def _is_plain(value: Any, seen: set[int]) -> bool:
    """Tell whether a value, and all that it holds, is plain data."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, np.generic | np.dtype) or is_sparse(kind) or trees.is_tree(kind):
        return True
    if isinstance(value, type):
        return value in library.NAMES
    if id(value) in seen:
        return True
    seen.add(id(value))
    parts = _parts(value)
    return parts is not None and all(_is_plain(part, seen) for part in parts)


def _parts(value: Any) -> Iterable[Any] | None:
    """Give what a value holds directly; None where it is of an unknown kind, or an estimator that may not cross."""
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return list(value)
    if kind is dict or _is_bunch(kind):
        return [*dict.keys(value), *dict.values(value)]
    if kind is slice:
        return [value.start, value.stop, value.step]
    if kind in (np.ndarray, np.ma.MaskedArray):
        return None if value.dtype.names else value.ravel().tolist() if value.dtype.hasobject else []
    if not is_estimator(kind):
        return None
    found = held(value)
    return found.values() if all(instances.may_hold(kind, name) for name in found) and _is_safe(found) else None


def _is_safe(found: dict[str, Any]) -> bool:
    """Tell whether what an estimator holds makes nothing of files, and gives compiled code the lengths that it expects.

    A cache on disk would be read with pickle; what was begun is gone on with in arrays that nobody measures.
    """
    features, members = found.get("n_features_in_"), found.get("estimators_")
    of_members = (
        [vars(item).get("tree_") for item in members if is_estimator(type(item))] if type(members) is list else []
    )
    own = [np.shape(found[name])[-1] for name in ("cluster_centers_", "_fit_X") if np.ndim(found.get(name)) == 2]
    rows = {np.shape(found[name])[0] for name in ("_fit_X", "_y") if np.ndim(found.get(name))}
    return (
        found.get("memory") is None
        and not found.get("warm_start")
        and all(seen == features for seen in [*own, *_features([found.get("tree_")])])
        and len({features, *_features(of_members)} - {None}) < 2
        and len(rows) < 2
    )


def _features(values: Iterable[Any]) -> list[int]:
    """Give the number of features of each tree among these values."""
    return [value.n_features for value in values if trees.is_tree(type(value))]


# ---------------------------------------------------------------------------------------------------- what is made again


def _search_tree(value: Any) -> Any:
    """Make the tree in which neighbours are searched."""
    kinds = {"kd_tree": "KDTree", "ball_tree": "BallTree"}
    if value._fit_method not in kinds:
        return None
    kind = getattr(importlib.import_module("sklearn.neighbors"), kinds[value._fit_method])
    return kind(value._fit_X, value.leaf_size, metric=value.effective_metric_, **value.effective_metric_params_)


def _scorer(value: Any) -> Any:
    """Make what scores the best of a search."""
    metrics = importlib.import_module("sklearn.metrics")
    return metrics.check_scoring(value.estimator, scoring=value.scoring)


_MADE_AGAIN: dict[str, Callable[[Any], Any] | None] = {
    "_tree": _search_tree,
    "scorer_": _scorer,
    "_loss_function_": None,  # and this only while it is fitted
    "_optimizer": None,
}


def _write(encoder: Encoder, value: Any) -> Any:
    """Give the node of an estimator, or that of an object which stays where a part of it is no plain data."""
    if not _is_plain(value, set()):
        if encoder.peer.known(value, encoder):
            raise TypeError(f"what was put into this {type(value).__name__} cannot be sent back")
        return encoder.peer.export(value, encoder)
    encoder.register(value)
    found = held(value)
    made = [name for name in vars(value) if _MADE_AGAIN.get(name)]
    names = [encoder.text(name) for name in found]
    return [Tag.ESTIMATOR, type(value).__name__, made, names, *[encoder.encode(item) for item in found.values()]]


def _read(decoder: Decoder, node: list[Any]) -> Any:
    _, name, made, names, *nodes = node
    if type(name) is not str or name not in _MODULES:
        raise ProtocolError("no estimator")
    value = decoder.put(object.__new__(_class(name)))
    names = [decoder.decode(name) for name in names]
    vars(value).update(zip(names, decoder.items(nodes), strict=True))
    if not _is_plain(value, set()):
        raise ProtocolError("an estimator that holds something else than plain data")
    for name in made:
        vars(value)[name] = _MADE_AGAIN[name](value)
    decoder.peer.met_estimator(decoder.path + (ITEM if decoder.depth else ""))
    return value


def _write_tree(encoder: Encoder, value: Any) -> Any:
    encoder.register(value)
    return [Tag.TREE, *[encoder.apart(part) for part in trees.take_apart(value)]]


def _read_tree(decoder: Decoder, node: list[Any]) -> Any:
    put = decoder.place()
    with decoder.inside():
        return put(trees.build(*[decoder.apart(part) for part in node[1:]]))


def _is_bunch(cls: type) -> bool:
    """Tell whether a class is that of data sets, whose items are attributes too."""
    return cls.__name__ == "Bunch" and str(cls.__module__).startswith("sklearn.") and cls is _bunch()


def _bunch() -> Any:
    return importlib.import_module("sklearn.utils").Bunch


def _write_bunch(encoder: Encoder, value: Any) -> Any:
    encoder.register(value)
    return [Tag.BUNCH, *pairs(encoder, value)]


KINDS += [
    (lambda _, cls: is_estimator(cls), _write),
    (lambda _, cls: trees.is_tree(cls), _write_tree),
    (lambda _, cls: _is_bunch(cls), _write_bunch),
]
READERS |= {
    Tag.ESTIMATOR: _read,
    Tag.TREE: _read_tree,
    Tag.BUNCH: lambda decoder, node: fill(decoder, decoder.put(_bunch()()), node[1:]),
}
