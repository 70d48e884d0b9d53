"""What is no plain value crosses as a handle: a number, and what the other side needs to make a proxy."""

import types
from typing import Any

from torch import nn

from studium_graders.engine.kinds import library
from studium_graders.engine.kinds.functions import FunctionProxy, function_facts, read_facts
from studium_graders.engine.kinds.opaque import Opaque, what_is
from studium_graders.engine.kinds.proxies import BoundMethod, Handle, ProxyClass, ProxyIterator, handle_of, make_proxy
from studium_graders.engine.kinds.proxy_classes import is_always_true
from studium_graders.engine.wire.arguments import ARGUMENT
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind
from studium_graders.engine.wire.messages import Node
from studium_graders.engine.wire.objects import MINE, YOURS

FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType)
_NEVER = (types.FrameType, types.CodeType, types.CoroutineType, types.AsyncGeneratorType)


def hand_out(value: Any, encoder: Encoder) -> Node:
    """Return the node of an object that stays on this side."""
    context, kind = encoder.context, type(value)
    if kind is types.TracebackType:
        return None  # __exit__ gets one
    if isinstance(value, _NEVER) or hasattr(kind, "__await__"):
        raise TypeError(f"a {kind.__name__} cannot be sent")
    if issubclass(kind, nn.Module):
        return context.modules.node(value, encoder)
    if issubclass(kind, type):
        name = library.NAMES.get(value)
        return ["type", name] if name else context.classes.node(value, encoder)
    if issubclass(kind, types.ModuleType) and library.is_shared_module(value):
        return ["library", value.__name__]
    number = context.objects.enrol(value)
    if issubclass(kind, FUNCTIONS):
        return [MINE, number, "function", function_facts(value, encoder)]
    if hasattr(kind, "__next__") and (kind.__module__ == "builtins" or library.name_of(kind)):
        return [MINE, number, "iterator", kind.__name__[:200]]
    return [MINE, number, "instance", [context.classes.node(kind, encoder), context.side.score_of(value)]]


def _read_mine(decoder: Decoder, node: list[Any]) -> Any:
    """Return the proxy of an object of the other side's, or Opaque where it has no permission to be here."""
    context, path = decoder.context, decoder.origin
    kind, found = _resolved(node, path, decoder)
    names = names_of(found)
    if context.side.admits(path, kind, names):
        _came_from(found, path)
        return found
    true = kind == "instance" and is_always_true(type(found))
    return context.objects.under_another(Opaque(context, path, what_is(found, names[0]), found, true=true), found)


def _came_from(found: Any, path: str) -> None:
    if isinstance(found, FunctionProxy):
        found.renamed(path)
    elif isinstance(found, ProxyClass):
        handle = vars(found).get("_handle")
        if handle is not None and path:
            handle.renamed(path)
    elif isinstance(type(found), ProxyClass):
        handle_of(found).came_from(path)


def _resolved(node: list[Any], path: str, decoder: Decoder) -> tuple[str, Any]:
    objects, number = decoder.context.objects, node[0]
    if type(number) is not int or number < 1:
        raise ProtocolError("no number")
    if len(node) > 1:
        objects.described[number] = node[1:]
    elif number not in objects.described:
        raise ProtocolError("an object that was never described")
    kind, facts = objects.described[number][:2]
    found = objects.proxy(number)
    if found is None:
        found = objects.adopt(number, _made(kind, facts, number, path, decoder))
    return kind, found


def _made(kind: Any, facts: Any, number: int, path: str, decoder: Decoder) -> Any:
    context = decoder.context
    if kind == "function":
        return FunctionProxy(context, path, read_facts(facts, decoder))
    if kind == "iterator":
        return ProxyIterator(Handle(context, number, path, frozenset()), str(facts))
    if kind != "instance":
        return context.classes.make(kind, facts, number, path, decoder)
    cls = context.classes.read_class(facts[0], decoder)
    if not isinstance(cls, ProxyClass):
        raise ProtocolError("an instance of no class")
    handle = Handle(context, number, path, cls._handle.methods)
    handle.score = str(facts[1])
    return make_proxy(cls, handle)


def names_of(found: Any) -> tuple[str, ...]:
    """Return the name of a proxy and, of an instance, those of its class and of the bases."""
    if isinstance(found, type):
        return (found.__name__,)
    if isinstance(type(found), ProxyClass):
        return tuple(cls.__name__ for cls in type(found).__mro__)
    return (found.__name__,) if isinstance(found, FunctionProxy) else (type(found).__name__,)


def _read_type(decoder: Decoder, node: list[Any]) -> Any:
    """Return a type by its name in a fixed table: it needs a permission like any class."""
    if node[0] not in library.TYPES:
        raise ProtocolError("no type")
    found, path, context = library.TYPES[node[0]], decoder.origin, decoder.context
    admitted = context.side.admits(path, "type", (found.__name__,))
    return found if admitted else Opaque(context, path, what_is(found, found.__name__))


def _read_library(decoder: Decoder, node: list[Any]) -> Any:
    """Return a module or, for the student's side alone, any object of a library by its name."""
    context, path = decoder.context, decoder.origin
    if len(node) == 1:
        found = library.shared_module(node[0])
        admitted = context.side.admits(path, "library", (found.__name__,))
        return found if admitted else Opaque(context, path, f"the module {found.__name__}")
    if not context.trusting:
        raise ProtocolError("a library's object by name")
    return library.named(node[0], node[1])


def _read_argument(decoder: Decoder, node: list[Any]) -> Any:
    depth, index = node
    if type(depth) is not int or depth < 0:
        raise ProtocolError("no such request")
    return decoder.context.arguments.get(depth, index)


KINDS = (
    Kind(MINE, read=_read_mine),
    Kind(YOURS, read=lambda decoder, node: decoder.context.objects.own(node[0])),
    Kind(ARGUMENT, read=_read_argument),
    Kind(
        "method",
        (BoundMethod,),
        lambda encoder, value: [encoder.encode(value.__self__), value.__name__],
        lambda decoder, node: decoder.context.side.do_getattr(decoder.decode(node[0]), node[1]),
    ),
    Kind("type", read=_read_type),
    Kind("library", read=_read_library),
)
