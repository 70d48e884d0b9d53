"""Requests about Python objects, and how each side describes its own objects to the other."""

import copy
import types
from collections.abc import Iterator
from typing import Any

from torch import nn

from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import (  # noqa: F401
    algebra,
    dataclass_fields,
    estimators,
    frames,
    instances,
    library,
    records,
    standard,
    streams,
)
from studium_graders.engine.remote.class_making import (
    inherited,
    is_always_true,
    is_method_name,
    make_class,
    methods_of,
    register,
)
from studium_graders.engine.remote.decode import READERS, Decoder
from studium_graders.engine.remote.encode import BASES, WRITERS, Encoder
from studium_graders.engine.remote.errors import error_class, error_node, error_of, library_error, made_there
from studium_graders.engine.remote.functions import RemoteFunction, function_facts, read_facts
from studium_graders.engine.remote.lasting import Lasting
from studium_graders.engine.remote.modules import Modules, RemoteModule, module_method
from studium_graders.engine.remote.objects import (
    BoundMethod,
    Facts,
    RemoteClass,
    RemoteIterator,
    given_back,
    place,
)
from studium_graders.engine.remote.opaque import Opaque, what_is
from studium_graders.engine.remote.operators import SPECIAL
from studium_graders.engine.remote.special_methods import special_method
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.waiting import There, async_generator, coroutine, named
from studium_graders.engine.remote.wire import Channel, ProtocolError

FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.MethodWrapperType)
_NEVER = (types.FrameType, types.CodeType)


class Side(Lasting):
    """A peer whose requests and objects are those of Python."""

    shown_special: frozenset[str] | set[str] = SPECIAL
    tasks: Any  # what is awaited here and there

    def __init__(self, channel: Channel, limits: Limits) -> None:
        super().__init__(channel, limits)
        self.modules = Modules(self)
        self._calling: list[Any] = []

    def module_nodes(self, encoder: Encoder) -> Any:
        """Give the modules that are new or changed."""
        return self.modules.nodes(encoder)

    def read_modules(self, node: Any, decoder: Decoder) -> None:
        """Take in what ``module_nodes`` gave."""
        self.modules.read(node, decoder)

    def resend(self) -> None:
        """Send everything with the next message, as if it had changed."""
        self.modules.resend()

    def sweep(self) -> list[int]:
        """Let go what nobody here uses any more; give the numbers."""
        return [*self.modules.sweep(), *super().sweep()]

    def forgotten(self, number: int) -> None:
        """Forget a module that was let go."""
        self.modules.forget(number)

    def perform(self, op: Any, parts: list[Any]) -> Any:
        """Do what a request asks for; ProtocolError for what no request can be."""
        action = getattr(self, f"do_{op}", None) if type(op) is str and op.isidentifier() else None
        if action is None:
            raise ProtocolError("no such request")
        return action(*parts)

    def do_call(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an object of this side."""
        self._calling.append(target)
        try:
            return target(*args, **kwargs)
        finally:
            self._calling.pop()

    def calls(self, module: nn.Module) -> bool:
        """Tell whether it is this module that the other side has called last."""
        return bool(self._calling) and self._calling[-1] is module

    def do_method(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method of an object of this side."""
        return getattr(target, name)(*args, **kwargs)

    def do_setattr(self, target: Any, name: str, value: Any) -> None:
        """Set an attribute."""
        setattr(target, name, value)

    def do_delattr(self, target: Any, name: str) -> None:
        """Delete an attribute."""
        delattr(target, name)

    def do_vars(self, target: Any) -> dict[str, Any]:
        """Give the attributes that an instance holds."""
        return dict(vars(target))

    def do_shallow_copy(self, target: Any) -> Any:
        """Give a shallow copy."""
        return copy.copy(target)

    def do_copy(self, target: Any) -> Any:
        """Give a deep copy."""
        return copy.deepcopy(target)

    def do_special(self, target: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a dunder method."""
        return getattr(type(target), name)(target, *args, **kwargs)

    def do_next(self, target: Iterator[Any]) -> Any:
        """Give the next item of an iterator."""
        return next(target)

    def do_begin(self, target: Any, *call: Any) -> int:
        """Begin to wait for something; give the number of the task that does."""
        return self.tasks.begin(target, *call)  # type: ignore[no-any-return]

    def do_outcome(self, number: int) -> Any:
        """Give what was waited for."""
        return self.tasks.outcome(number)

    def do_cancel(self, number: int) -> None:
        """Wait no longer."""
        self.tasks.cancel(number)

    # ------------------------------------------------------------------------------------------------ describing

    def export(self, value: Any, encoder: Encoder) -> Any:
        """Give the node of an object that stays here."""
        kind = type(value)
        if kind is types.TracebackType:
            return None  # __exit__ gets one
        if isinstance(value, _NEVER):
            raise TypeError(f"a {kind.__name__} cannot be sent")
        if issubclass(kind, nn.Module):
            return self.modules.node(value, encoder)
        if issubclass(kind, type):
            return self._export_class(value, encoder)
        if issubclass(kind, types.ModuleType) and library.is_shared_module(value):
            return [Tag.LIBRARY, value.__name__]
        number = self.enrol(value)
        if issubclass(kind, FUNCTIONS):
            return [Tag.MINE, number, "function", function_facts(value, encoder)]
        if kind is types.AsyncGeneratorType:
            return [Tag.MINE, number, "async generator", None]
        if hasattr(kind, "__await__") and library.is_library(str(kind.__module__)):
            return [Tag.MINE, number, "coroutine", encoder.text(getattr(value, "__name__", kind.__name__)[:200])]
        if hasattr(kind, "__next__") and (kind.__module__ == "builtins" or library.name_of(kind)):
            return [Tag.MINE, number, "iterator", kind.__name__[:200]]
        return [Tag.MINE, number, "instance", self.class_node(kind, encoder)]

    def class_node(self, cls: type, encoder: Encoder) -> Any:
        """Give the node of a class of which an instance is sent."""
        return self.references.get(id(cls)) or self._describe_class(cls, encoder)

    def _export_class(self, cls: type, encoder: Encoder) -> Any:
        name = library.NAMES.get(cls)
        return [Tag.TYPE, name] if name else self._describe_class(cls, encoder)

    def _describe_class(self, cls: type, encoder: Encoder) -> Any:
        number = self.enrol(cls)
        if (kind := self.kind_of(cls)) is not None:
            return self._first(encoder, number, kind, records.describe(cls, kind, encoder))
        if issubclass(cls, BaseException):
            bases = [self._base(base, encoder) for base in cls.__bases__ if issubclass(base, BaseException)]
            return self._first(encoder, number, "error", [encoder.text(cls.__name__[:200]), bases])
        lineage = [base for base in type.__dict__["__mro__"].__get__(cls) if base is not object]
        if issubclass(cls, nn.Module):
            lineage = [base for base in lineage if not base.__module__.startswith("torch.")]
        if library.name_of(cls):
            bases = [[cls.__module__, cls.__qualname__]]
        else:
            bases = [self._base(base, encoder) for base in cls.__bases__ if base is not object]
        special = [name for name in sorted(self.shown_special) if self._defines(lineage, name)]
        doc = cls.__doc__ if type(cls.__doc__) is str and self.trusting else None
        name = encoder.text(cls.__name__[:200])
        described = [name, None if doc is None else encoder.text(doc[:10_000]), bases, special, methods_of(lineage)]
        fields = dataclass_fields.describe(cls, encoder) if self.trusting else None
        return self._first(encoder, number, "class", [*described, fields] if fields else described)

    def _first(self, encoder: Encoder, number: int, kind: str, facts: list[Any]) -> list[Any]:
        """Describe a class where the receiver finds it before all that is of it; give the node."""
        encoder.classes.append([number, kind, facts])
        return [Tag.MINE, number]

    def read_classes(self, node: Any) -> None:
        """Take in the descriptions of classes."""
        for number, kind, facts in node:
            if type(number) is not int or number < 1:
                raise ProtocolError("no number")
            self.described[number] = [kind, facts]

    def _base(self, base: type, encoder: Encoder) -> Any:
        place = base.__module__, base.__qualname__
        if library.base_class(*place) is base or library_error(*place) is base or base in library.ABSTRACT:
            return list(place)
        return self.class_node(base, encoder)

    def _defines(self, lineage: list[type], name: str) -> bool:
        found = next((vars(cls)[name] for cls in lineage if name in vars(cls)), None)
        return found is not None

    # ------------------------------------------------------------------------------------------------ standing in

    def admits(self, path: str, kind: str, names: tuple[str, ...]) -> bool:
        """Tell whether an object of the other side may arrive at a path."""
        return True

    def proxy(self, node: list[Any], decoder: Decoder) -> Any:
        """Give what stands here for the object of a node of Tag.MINE, or Opaque where it is not wanted."""
        path = decoder.origin
        kind, found = self._resolve(node, path, decoder)
        if kind == "instance":
            given_back(found, path)
        names = _names(found)
        if self.admits(path, kind, names):
            return found
        if kind == "coroutine":
            found.close()
        true = kind == "coroutine" or (kind == "instance" and is_always_true(type(found)))
        instead = Opaque(self, path, what_is(found, names[0]), found, true=true)
        return instead if decoder.changing else self.under_another(instead, found)

    def _resolve(self, node: list[Any], path: str, decoder: Decoder) -> tuple[str, Any]:
        number = node[1]
        if type(number) is not int or number < 1:
            raise ProtocolError("no number")
        if len(node) > 2:
            self.described[number] = node[2:]
        elif number not in self.described:
            raise ProtocolError("an object that was never described")
        kind, facts = self.described[number][:2]
        found = self.imported(number)
        if found is None:
            found = self.adopt(number, self._stand_in(kind, facts, number, path, decoder))
        return kind, found

    def arrived(self, module: nn.Module, decoder: Decoder) -> Any:
        """Give a module, or Opaque where it is not wanted."""
        if not isinstance(module, RemoteModule):
            return module
        path = decoder.origin
        names = _names(module)
        return module if self.admits(path, "module", names) else Opaque(self, path, what_is(module, names[0]))

    def kind_of(self, cls: type) -> str | None:
        """Tell what kind of plain data the instances of a class are, or None."""
        return records.kind_of(cls)

    def given_class(self, name: str) -> Any:
        """Give the class of plain data that this side knows under a name, or None."""
        return None

    def met_plain(self, name: str) -> None:
        """Hear that a class of the other side's own is plain data."""

    def _stand_in(self, kind: Any, facts: Any, number: int, path: str, decoder: Decoder) -> Any:
        if kind == "function":
            return RemoteFunction(self, number, path, read_facts(facts, decoder))
        if kind == "iterator":
            return RemoteIterator(Facts(self, number, path, frozenset()), str(facts))
        if kind == "coroutine":
            return named(coroutine(self, There(number), path), str(decoder.decode(facts)))
        if kind == "async generator":
            return async_generator(self, There(number), path)
        if kind in ("record", "tuple", "enum", instances.KIND):
            return records.stand_in(self, kind, facts, decoder)
        if kind == "error":
            return self._error_class(facts, decoder)
        if kind == "class":
            return self._class(facts, number, path, decoder)
        if kind != "instance":
            raise ProtocolError("no kind of object")
        _, cls = self._resolve(facts, "", decoder)
        if not isinstance(cls, RemoteClass):
            raise ProtocolError("an instance of no class")
        return place(cls, Facts(self, number, path, cls._facts.methods))

    def _class(self, node: Any, number: int, path: str, decoder: Decoder) -> Any:
        named, doc, bases, special, methods, *fields = node
        name = str(decoder.decode(named))
        if not {*special} <= SPECIAL or not all(is_method_name(method) for method in methods):
            raise ProtocolError("no class")
        parents = tuple(self._parent(base, decoder) for base in bases)
        special = {*special, *(name for parent in parents for name in inherited(parent))}
        here = self.given_class(name)
        given = isinstance(here, type) and not isinstance(here, RemoteClass) and library.is_of_course(here.__module__)
        parents = (*parents, here) if given else parents
        namespace: dict[str, Any] = {method: special_method(method) for method in special}
        if any(parent is not None and issubclass(parent, nn.Module) for parent in parents):
            namespace |= {method: module_method(method) for method in methods if self.takes_method(method)}
        if not path and name.isidentifier():
            path = name  # the same whether the class or one of its instances came first
        facts = Facts(self, number, path, frozenset(methods))
        facts.given = here if given else None
        namespace |= {"__module__": "__main__", "__doc__": decoder.decode(doc)}
        if shown := next(filter(None, (library.shown_class(*base) for base in bases)), None):
            namespace["__class__"] = property(lambda _: shown)  # for isinstance
        if fields and self.takes_fields(name, some=dataclass_fields.has_fields(fields[0])):
            namespace |= dataclass_fields.read(fields[0], decoder)
        made = make_class(name, parents, namespace, facts)
        for base in bases:
            register(made, base)
        return made

    def class_of(self, node: Any, decoder: Decoder) -> Any:
        """Give the class of a node of Tag.MINE."""
        return self._resolve(node, "", decoder)[1]

    def _error_class(self, node: Any, decoder: Decoder) -> type:
        parents = [self._error_parent(base, decoder) for base in node[1]]
        errors = [parent for parent in parents if isinstance(parent, type) and issubclass(parent, Exception)]
        name = str(decoder.decode(node[0]))
        return error_class(name, *errors) if self.trusting else made_there(name, errors, self._make_error)

    def _error_parent(self, base: Any, decoder: Decoder) -> Any:
        if base[0] == Tag.YOURS:
            return self.own(base[1])
        return self._resolve(base, "", decoder)[1] if base[0] == Tag.MINE else library_error(*base)

    def _make_error(self, cls: type, *args: Any, **kwargs: Any) -> Any:
        return self.request("call", cls, args, kwargs, path=f"{cls.__name__}()")

    def _parent(self, base: Any, decoder: Decoder) -> Any:
        if base[0] == Tag.MINE:
            return self._resolve(base, "", decoder)[1]
        return library.base_class(*base)


def _names(found: Any) -> tuple[str, ...]:
    if isinstance(found, type):
        return (found.__name__,)
    if isinstance(type(found), RemoteClass):
        return tuple(cls.__name__ for cls in type(found).__mro__)
    return (found.__name__,) if isinstance(found, RemoteFunction) else (type(found).__name__,)


def _read_library(decoder: Decoder, node: list[Any]) -> Any:
    if len(node) == 2:
        return library.shared_module(node[1])
    if not decoder.peer.trusting:
        raise ProtocolError("a library's object by name")
    return library.named(node[1], node[2])


def _read_module(decoder: Decoder, node: list[Any]) -> Any:
    peer: Any = decoder.peer
    return peer.arrived(peer.modules.find(node[1], node[2]), decoder)


READERS[Tag.MODULE] = _read_module


def _read_bound(decoder: Decoder, node: list[Any]) -> Any:
    return decoder.peer.do_getattr(decoder.decode(node[1]), node[2])


def _read_argument(decoder: Decoder, node: list[Any]) -> Any:
    peer: Any = decoder.peer
    value = peer.argument(node[1], node[2])
    if records.is_record(type(value)):
        peer.met_object(decoder.origin)
    return value


BASES.append((BaseException, lambda encoder, value: [Tag.ERROR, error_node(value, encoder, encoder.peer, value=True)]))
READERS[Tag.ERROR] = lambda decoder, node: error_of(node[1], decoder, decoder.peer)
WRITERS[BoundMethod] = lambda encoder, value: [Tag.BOUND, encoder.encode(value.__self__), value.__name__]
READERS[Tag.BOUND] = _read_bound
READERS[Tag.MINE] = lambda decoder, node: decoder.peer.proxy(node, decoder)
READERS[Tag.YOURS] = lambda decoder, node: decoder.peer.own(node[1])
READERS[Tag.ARGUMENT] = _read_argument
READERS[Tag.TYPE] = lambda _, node: library.TYPES[node[1]]
READERS[Tag.LIBRARY] = _read_library
READERS[Tag.ALGEBRA] = algebra.read
