"""Functions of the other side: callable here, and described well enough for inspect.signature."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from studium_graders.engine.remote.decode import READERS
from studium_graders.engine.remote.encode import WRITERS
from studium_graders.engine.remote.policy import step
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.encode import Encoder
    from studium_graders.engine.remote.peer import Peer

_ANNOTATIONS: dict[str, type] = {
    cls.__name__: cls
    for cls in (int, float, complex, bool, str, bytes, list, tuple, dict, set, object, torch.Tensor, np.ndarray)
}
_KINDS = list(inspect._ParameterKind)
_NAMED = _KINDS[:2] + _KINDS[3:4]
_MOST_TEXT = 10_000
_RUNNING = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


async def _coroutine() -> None: ...


def _generator() -> Iterator[None]:
    yield


async def _async_generator() -> AsyncIterator[None]:
    yield


_CODES = {one.__code__.co_flags & _RUNNING: one.__code__ for one in (_coroutine, _generator, _async_generator)}
"""What stands for the code of a function that gives a coroutine or a generator: what ``inspect`` tells by it."""


class TextOf(str):
    """The docstring of a function of the test's: what it says stays in the judge, and comes back with a wrapper."""

    def __new__(cls, number: int) -> "TextOf":
        """Keep the number of the function."""
        made = super().__new__(cls)
        made.number = number
        return made

    number: int


class RemoteFunction:
    """A function that runs on the other side. The judge asks for attributes; a test's function has none to give."""

    def __init__(self, peer: "Peer", number: int, path: str, facts: dict[str, Any]) -> None:
        self._peer = peer
        self._number = number
        self._path = path
        self.__name__ = facts["name"]
        self.__qualname__ = facts["qualname"]
        self.__module__ = "__main__"
        self.__doc__ = TextOf(number) if facts["doc"] is True else facts["doc"]
        if (code := _CODES.get(facts["runs"])) is not None:
            self._code, self.__kwdefaults__ = code, None
        if facts["wrapped"] is not None:
            self.__wrapped__ = facts["wrapped"]
        if facts["signature"] is not None:
            self.__signature__ = facts["signature"]
            defaults = [item.default for item in facts["signature"].parameters.values() if item.kind < 3]
            self.__defaults__ = tuple(value for value in defaults if value is not inspect.Parameter.empty) or None
            self.__annotations__ = facts["annotations"]

    def under(self, path: str) -> "RemoteFunction":
        """Give the same function as one that came from another path."""
        found: RemoteFunction = object.__new__(RemoteFunction)
        vars(found).update(vars(self), _path=path, _first=self)  # the first one lives as long as this
        return found

    @property
    def __code__(self) -> Any:
        """Tell what runs when it is called; and an answer how many arguments a test's function takes."""
        if "_code" in vars(self):
            return self._code
        if not self._peer.trusting or "__signature__" not in vars(self):
            raise AttributeError("a function has no attribute '__code__'")
        named = [item for item in self.__signature__.parameters.values() if item.kind in _NAMED]
        alone = [item for item in named if item.kind is inspect.Parameter.KEYWORD_ONLY]
        return SimpleNamespace(
            co_name=self.__name__,
            co_argcount=len(named) - len(alone),
            co_kwonlyargcount=len(alone),
            co_varnames=tuple(item.name for item in named),
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._peer.request("call", self, args, kwargs, path=f"{self._path}()")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self._peer.trusting:
            raise AttributeError(f"a function has no attribute {name!r}")
        return self._peer.request("getattr", self, name, path=step(self._path, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or self._peer.trusting:
            object.__setattr__(self, name, value)
        else:
            self._peer.request("setattr", self, name, value)

    def __repr__(self) -> str:
        return f"<function {self.__qualname__}>"

    def __copy__(self) -> "RemoteFunction":
        return self

    def __deepcopy__(self, _: Any) -> "RemoteFunction":
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        raise TypeError("a function of the submission cannot be pickled")

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else _bound(self, instance)


RemoteFunction.__name__ = "function"  # messages say what it stands for


def _bound(function: RemoteFunction, instance: Any) -> Callable[..., Any]:
    def method(*args: Any, **kwargs: Any) -> Any:
        return function(instance, *args, **kwargs)

    return method


def _write_doc(encoder: "Encoder", doc: TextOf) -> Any:
    return [Tag.DOC, doc.number] if encoder.own_state and encoder.at_top else None


def _read_doc(decoder: "Decoder", node: list[Any]) -> str:
    return str(getattr(decoder.peer.own(node[1]), "__doc__", None) or "")


WRITERS[TextOf] = _write_doc
READERS[Tag.DOC] = _read_doc


def function_facts(function: Any, encoder: "Encoder") -> list[Any]:
    """Describe a function: its names, its docstring and its signature, as far as they are plain."""
    wrapped = getattr(function, "__wrapped__", None)
    return [
        _name(getattr(function, "__name__", None), encoder),
        _name(getattr(function, "__qualname__", None), encoder),
        _doc(getattr(function, "__doc__", None), encoder),
        _parameters(function, encoder),
        encoder.encode(wrapped) if type(wrapped) is RemoteFunction else None,
        getattr(getattr(function, "__code__", None), "co_flags", 0) & _RUNNING,
    ]


def _doc(doc: Any, encoder: "Encoder") -> Any:
    """Give a docstring; of a test's function, whether it has one."""
    if not encoder.peer.trusting:
        return type(doc) is str or None
    if type(doc) is TextOf:
        return [Tag.DOC, doc.number]
    return encoder.text(doc[:_MOST_TEXT]) if type(doc) is str else None


def _name(value: Any, encoder: "Encoder") -> Any:
    return encoder.text(value[:200]) if type(value) is str else "function"


def _parameters(function: Any, encoder: "Encoder") -> Any:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return None
    rows = []
    for item in signature.parameters.values():
        default = [] if item.default is inspect.Parameter.empty else [_plain_default(item.default, encoder)]
        rows.append([item.name, int(item.kind), default, annotation_node(item.annotation, encoder)])
    return [rows, annotation_node(signature.return_annotation, encoder)]


def _plain_default(value: Any, encoder: "Encoder") -> Any:
    plain = value is None or type(value) in (bool, int, float, complex, str, bytes, tuple)
    if not encoder.peer.trusting:
        return encoder.encode(None)
    return encoder.encode(value if plain else f"{type(value).__name__} object")


def annotation_node(value: Any, encoder: "Encoder") -> Any:
    """Give the node of an annotation: of a common type itself, of others their text."""
    if value is inspect.Parameter.empty:
        return None
    if isinstance(value, type) and _ANNOTATIONS.get(value.__name__) is value:
        return [value.__name__]
    text = value if type(value) is str else inspect.formatannotation(value)
    return encoder.text(text[:_MOST_TEXT])


def read_facts(node: list[Any], decoder: "Decoder") -> dict[str, Any]:
    """Read what ``function_facts`` wrote."""
    name, qualname, doc, rows, wrapped, runs = node
    facts: dict[str, Any] = {"name": str(decoder.decode(name)), "qualname": str(decoder.decode(qualname))}
    facts["doc"] = doc if doc is None or doc is True else str(decoder.decode(doc))
    facts["runs"] = runs
    facts["wrapped"] = None if wrapped is None else decoder.decode(wrapped)
    facts["signature"], facts["annotations"] = (None, {}) if rows is None else _signature(rows, decoder)
    return facts


def _signature(node: list[Any], decoder: "Decoder") -> tuple[inspect.Signature, dict[str, Any]]:
    empty = inspect.Parameter.empty
    parameters, annotations = [], {}
    for name, kind, default, annotation in node[0]:
        note = read_annotation(annotation, decoder)
        value = decoder.decode(default[0]) if default else empty
        parameters.append(inspect.Parameter(name, _KINDS[kind], default=value, annotation=note))
        if note is not empty:
            annotations[name] = note
    returned = read_annotation(node[1], decoder)
    if returned is not empty:
        annotations["return"] = returned
    return inspect.Signature(parameters, return_annotation=returned), annotations


def read_annotation(node: Any, decoder: "Decoder") -> Any:
    """Give an annotation, or the empty one of ``inspect.Parameter``."""
    if node is None:
        return inspect.Parameter.empty
    if type(node) is list and len(node) == 1:
        if node[0] not in _ANNOTATIONS:
            raise ProtocolError("no annotation")
        return _ANNOTATIONS[node[0]]
    return decoder.decode(node)
