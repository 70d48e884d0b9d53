"""Functions of the other side: callable here, and described well enough for inspect.signature."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Context, Decoder, Encoder
from studium_graders.engine.wire.messages import Node
from studium_graders.engine.wire.paths import step

_ANNOTATIONS: dict[str, type] = {
    cls.__name__: cls
    for cls in (int, float, complex, bool, str, bytes, list, tuple, dict, set, object, torch.Tensor, np.ndarray)
}
_KINDS = list(inspect._ParameterKind)
_MOST_TEXT = 10_000


def _generator() -> Iterator[None]:
    yield


class FunctionProxy:
    """A function that runs on the other side. The judge asks for attributes; a test's function has none to give."""

    def __init__(self, context: Context, path: str, facts: dict[str, Any]) -> None:
        self._context = context
        self._path = path
        self.__name__ = facts["name"]
        self.__qualname__ = facts["qualname"]
        self.__module__ = "__main__"
        self.__doc__ = facts["doc"]
        self._is_generator = facts["is_generator"]
        if facts["wrapped"] is not None:
            self.__wrapped__ = facts["wrapped"]
        if facts["signature"] is not None:
            self.__signature__ = facts["signature"]
            defaults = [item.default for item in facts["signature"].parameters.values() if item.kind < 3]
            self.__defaults__ = tuple(value for value in defaults if value is not inspect.Parameter.empty) or None
            self.__annotations__ = facts["annotations"]

    def renamed(self, path: str) -> None:
        """Note where the function has just come from."""
        self._path = path

    @property
    def __code__(self) -> Any:
        """The code of a generator function where it is one: ``inspect`` tells by it."""
        if self._is_generator:
            return _generator.__code__
        raise AttributeError("a function has no attribute '__code__'")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._context.request("call", self, args, kwargs, path=f"{self._path}()")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or self._context.trusting:
            raise AttributeError(f"a function has no attribute {name!r}")
        return self._context.request("getattr", self, name, path=step(self._path, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or self._context.trusting:
            object.__setattr__(self, name, value)
        else:
            self._context.request("setattr", self, name, value)

    def __repr__(self) -> str:
        return f"<function {self.__qualname__}>"

    def __copy__(self) -> "FunctionProxy":
        return self

    def __deepcopy__(self, _: Any) -> "FunctionProxy":
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        raise TypeError("a function of the submission cannot be pickled")

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else _bound(self, instance)


FunctionProxy.__name__ = "function"  # messages say what it stands for


def _bound(function: FunctionProxy, instance: Any) -> Callable[..., Any]:
    def method(*args: Any, **kwargs: Any) -> Any:
        return function(instance, *args, **kwargs)

    return method


def function_facts(function: Any, encoder: Encoder) -> list[Node]:
    """Describe a function: its names, its signature and, of the student's, its docstring, as far as they are plain."""
    wrapped, doc = getattr(function, "__wrapped__", None), getattr(function, "__doc__", None)
    told = encoder.context.trusting
    return [
        _name(getattr(function, "__name__", None), encoder),
        _name(getattr(function, "__qualname__", None), encoder),
        encoder.text(doc[:_MOST_TEXT]) if type(doc) is str and told else None,
        _parameters(function, encoder),
        encoder.encode(wrapped) if type(wrapped) is FunctionProxy else None,
        bool(getattr(getattr(function, "__code__", None), "co_flags", 0) & inspect.CO_GENERATOR),
    ]


def _name(value: Any, encoder: Encoder) -> Node:
    return encoder.text(value[:200]) if type(value) is str else "function"


def _parameters(function: Any, encoder: Encoder) -> Node:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return None
    rows = []
    for item in signature.parameters.values():
        default = [] if item.default is inspect.Parameter.empty else [_plain_default(item.default, encoder)]
        rows.append([item.name, int(item.kind), default, annotation_node(item.annotation, encoder)])
    return [rows, annotation_node(signature.return_annotation, encoder)]


def _plain_default(value: Any, encoder: Encoder) -> Node:
    if not encoder.context.trusting:
        return None
    plain = value is None or type(value) in (bool, int, float, complex, str, bytes, tuple)
    return encoder.encode(value if plain else f"{type(value).__name__} object")


def annotation_node(value: Any, encoder: Encoder) -> Node:
    """Return the node of an annotation: of a common type itself, of others their text."""
    if value is inspect.Parameter.empty:
        return None
    if isinstance(value, type) and _ANNOTATIONS.get(value.__name__) is value:
        return [value.__name__]
    text = value if type(value) is str else inspect.formatannotation(value)
    return encoder.text(text[:_MOST_TEXT])


def read_facts(node: list[Node], decoder: Decoder) -> dict[str, Any]:
    """Read what ``function_facts`` wrote."""
    name, qualname, doc, rows, wrapped, is_generator = node
    facts: dict[str, Any] = {"name": str(decoder.decode(name)), "qualname": str(decoder.decode(qualname))}
    facts["doc"] = None if doc is None else str(decoder.decode(doc))
    facts["is_generator"] = is_generator is True
    facts["signature"], facts["annotations"] = (None, {}) if rows is None else _signature(rows, decoder)
    facts["wrapped"] = None if wrapped is None else decoder.decode(wrapped)
    return facts


def _signature(node: list[Node], decoder: Decoder) -> tuple[inspect.Signature, dict[str, Any]]:
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


def read_annotation(node: Node, decoder: Decoder) -> Any:
    """Return an annotation, or the empty one of ``inspect.Parameter``."""
    if node is None:
        return inspect.Parameter.empty
    if type(node) is list and len(node) == 1:
        if node[0] not in _ANNOTATIONS:
            raise ProtocolError("no annotation")
        return _ANNOTATIONS[node[0]]
    return decoder.decode(node)
