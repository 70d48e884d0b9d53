"""Estimators of scikit-learn's on the wire: what an instance of a known class holds, where all of that is plain data.

Its methods then run where they are called, so that no answer can replace them. scikit-learn is looked for when a value
of it is met, and imported when one arrives.
"""

import importlib
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any

import numpy as np

from studium_graders.engine.remote import instances, library, trees
from studium_graders.engine.remote.decode import READERS, Decoder, fill
from studium_graders.engine.remote.encode import KINDS, Encoder, pairs
from studium_graders.engine.remote.known_estimators import MODULES, estimator_class, is_estimator, is_safe
from studium_graders.engine.remote.sparse_matrices import is_sparse
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

_PLAIN = {NoneType, bool, int, float, complex, str, bytes, np.random.RandomState}


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
    named = all(instances.may_hold(kind, name) for name in found)
    return found.values() if named and is_safe(kind.__name__, found) else None


# --------------------------------------------------------------------------------------------------- what is made again


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


def _made_again(name: Any, value: Any) -> Any:
    make = _MADE_AGAIN.get(name)
    if make is None:
        raise ProtocolError("nothing that can be made again")
    return make(value)


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
    if type(name) is not str or name not in MODULES:
        raise ProtocolError("no estimator")
    value = decoder.put(object.__new__(estimator_class(name)))
    names = [decoder.decode(name) for name in names]
    vars(value).update(zip(names, decoder.items(nodes), strict=True))
    if not _is_plain(value, set()):
        raise ProtocolError("an estimator that holds something else than plain data")
    for name in made:
        vars(value)[name] = _made_again(name, value)
    decoder.peer.met_estimator(decoder.origin, value)
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
