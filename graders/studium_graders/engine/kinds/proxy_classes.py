"""Classes of the other side: what a side tells of its own, and the proxies' classes that are made of that.

No class of a library is a base of one of these, but for ``nn.Module`` and exceptions: whatever the other side names,
its methods run over there.
"""

import collections.abc
import types
from typing import Any

from torch import nn

from studium_graders.engine.kinds import library, records
from studium_graders.engine.kinds.exceptions import error_class, library_error, made_there
from studium_graders.engine.kinds.modules import NAMES, STOCK, ModuleProxy, is_forwarded, module_method
from studium_graders.engine.kinds.operators import SPECIAL
from studium_graders.engine.kinds.proxies import Handle, InPlaceOfGiven, Proxy, ProxyClass
from studium_graders.engine.kinds.special_methods import special_method
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Context, Decoder, Encoder, RefusedError
from studium_graders.engine.wire.messages import Node
from studium_graders.engine.wire.objects import MINE, YOURS

_METHODS = (types.FunctionType, types.MethodDescriptorType)
_MOST_NAMES = 2000
_DESCRIBED = "classes"
_MODULE = "torch.nn.modules.module"
_ABSTRACT: dict[str, Any] = {name: vars(collections.abc)[name] for name in collections.abc.__all__}
_EXTENDED = {
    "dict": "MutableMapping",
    "list": "MutableSequence",
    "set": "MutableSet",
    "tuple": "Sequence",
    "frozenset": "Set",
}
"""What the instances of a class that extends one of plain data are, where they stay on the other side."""


class ProxyClasses:
    """What was told of classes: a section of each message."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._layers: dict[str, type] = {}

    # ------------------------------------------------------------------------------------------------ describing

    def node(self, cls: type, encoder: Encoder) -> Node:
        """Return the node of a class of this side's, which is described when it is first spoken of."""
        references = self._context.objects.references
        return references.get(id(cls)) or self._described(cls, encoder)

    def _described(self, cls: type, encoder: Encoder) -> Node:
        number = self._context.objects.enrol(cls)
        kind = self._context.side.kind_of(cls)
        if kind is not None:
            facts = records.describe(cls, kind, encoder)
        elif issubclass(cls, BaseException):
            kind, facts = "error", [encoder.text(cls.__name__[:200]), self._bases(cls, encoder)]
        else:
            kind, facts = "class", self._facts(cls, encoder)
        encoder.collect(_DESCRIBED, [number, kind, facts])
        return [MINE, number]

    def _facts(self, cls: type, encoder: Encoder) -> list[Node]:
        lineage = [base for base in type.__dict__["__mro__"].__get__(cls) if base is not object]
        own = [base for base in lineage if not (issubclass(cls, nn.Module) and base.__module__.startswith("torch."))]
        special = [name for name in sorted(self._context.side.shown_special) if self._context.side.defines(own, name)]
        doc = cls.__doc__ if type(cls.__doc__) is str and self._context.trusting else None
        name, text = encoder.text(cls.__name__[:200]), None if doc is None else encoder.text(doc[:10_000])
        bases = [] if library.name_of(cls) and cls not in NAMES else self._bases(cls, encoder)
        return [name, text, bases, special, _methods_of(own)]

    def _bases(self, cls: type, encoder: Encoder) -> list[Node]:
        return [node for base in cls.__bases__ if (node := self._base(base, encoder)) is not None]

    def _base(self, base: type, encoder: Encoder) -> Node:
        """Return the place of an exception, an abstract class or a layer, the node of a class of one's own, or None."""
        if base is nn.Module or base in NAMES:
            return [_MODULE, NAMES.get(base, "Module")]
        place = [base.__module__, base.__qualname__]
        abstract = _ABSTRACT.get(base.__name__) is base or base in (dict, list, set, tuple, frozenset)
        if library_error(*place) is base or abstract:
            return place
        return None if library.is_library(base.__module__) else self.node(base, encoder)

    # ------------------------------------------------------------------------------------------------ as a section

    def write(self, encoder: Encoder) -> Node:
        """Return the descriptions of the classes that the message speaks of first."""
        return encoder.collected.get(_DESCRIBED)

    def read(self, node: Node, decoder: Decoder) -> None:
        """Take in descriptions."""
        for number, kind, facts in node:
            if type(number) is not int or number < 1:
                raise ProtocolError("no number")
            self._context.objects.described[number] = [kind, facts]

    def resend(self) -> None:
        """Do nothing: what could not be sent is described anew."""

    def sweep(self) -> list[int]:
        """Return nothing: a class is released like other objects."""
        return []

    def forget(self, number: int) -> None:
        """Do nothing: a class is an object like others."""

    # ------------------------------------------------------------------------------------------------ making

    def read_class(self, node: Node, decoder: Decoder) -> Any:
        """Return the class of a node: of the other side's, or one of this side's that it had got."""
        if node[0] == YOURS:
            return self._context.objects.own(node[1])
        if node[0] != MINE or type(node[1]) is not int:
            raise ProtocolError("no class")
        found = self._context.objects.proxy(node[1])
        if found is not None:
            return found
        if node[1] not in self._context.objects.described:
            raise ProtocolError("a class that was never described")
        kind, facts = self._context.objects.described[node[1]]
        return self._context.objects.adopt(node[1], self.make(kind, facts, node[1], "", decoder))

    def make(self, kind: Any, facts: list[Node], number: int, path: str, decoder: Decoder) -> Any:
        """Make what stands here for a class."""
        if kind in records.KIND_NAMES:
            return records.class_of(self._context, kind, facts, decoder)
        if kind == "error":
            return self._error_class(facts, decoder)
        if kind != "class":
            raise ProtocolError("no kind of object")
        return self._class(facts, number, path, decoder)

    def of_layer(self, name: str) -> type:
        """Return the class of the proxies of a layer of torch's own, which say that they are of that."""
        if name not in self._layers:
            cls = STOCK[name]
            own = [
                base
                for base in cls.__mro__
                if base.__module__.startswith("torch.nn.modules.") and base is not nn.Module
            ]
            special = {method for base in own for method in SPECIAL & vars(base).keys()}
            namespace: dict[str, Any] = {method: special_method(method) for method in special}
            namespace |= {method: module_method(method) for method in _methods_of(own) if is_forwarded(method)}
            namespace["__class__"] = property(lambda _: cls)  # for isinstance
            self._layers[name] = _new_class(name, (ModuleProxy,), namespace)
        return self._layers[name]

    def _class(self, node: list[Node], number: int, path: str, decoder: Decoder) -> Any:
        named, doc, bases, special, methods = node
        name = str(decoder.decode(named))
        if not {*special} <= SPECIAL or not all(map(_is_method_name, methods)):
            raise ProtocolError("no class")
        handle = Handle(self._context, number, path or (name if name.isidentifier() else ""), frozenset(methods))
        parents = tuple(filter(None, (self._parent(base, decoder) for base in bases)))
        namespace: dict[str, Any] = {method: special_method(method) for method in special}
        if any(issubclass(parent, nn.Module) for parent in parents):
            namespace |= {method: module_method(method) for method in methods if is_forwarded(method)}
        namespace |= {"__module__": "__main__", "__doc__": decoder.decode(doc)}
        handle.given = given = self._given(name)
        if given is not None:
            namespace["__class__"] = property(lambda _: given)  # for isinstance
        made = _new_class(name, parents or (Proxy,), namespace, InPlaceOfGiven if handle.given else ProxyClass)
        type.__setattr__(made, "_handle", handle)
        for base in bases:
            _register(made, base)
        return made

    def _given(self, name: str) -> type | None:
        """Return the class of this side's own in whose place one of this name is."""
        here = self._context.side.given_class(name)
        own = isinstance(here, type) and not isinstance(here, ProxyClass)
        return here if own and library.is_of_course(here.__module__) else None

    def _parent(self, base: Node, decoder: Decoder) -> type | None:
        if base[0] in (MINE, YOURS):
            found: Any = self.read_class(base, decoder)
            parent: type | None = found if isinstance(found, ProxyClass) else None
            return parent
        if base[0] != _MODULE:
            return None
        if base[1] == "Module":
            module: type = ModuleProxy
            return module
        if base[1] not in STOCK:
            raise ProtocolError("no layer")
        return self.of_layer(base[1])

    def _error_class(self, node: list[Node], decoder: Decoder) -> type:
        parents = [self._error_parent(base, decoder) for base in node[1]]
        errors = [parent for parent in parents if isinstance(parent, type) and issubclass(parent, Exception)]
        name = str(decoder.decode(node[0]))
        return error_class(name, *errors) if self._context.trusting else made_there(name, errors, self._make_error)

    def _error_parent(self, base: Node, decoder: Decoder) -> Any:
        return self.read_class(base, decoder) if base[0] in (MINE, YOURS) else library_error(*base)

    def _make_error(self, cls: type, *args: Any, **kwargs: Any) -> Any:
        return self._context.request("call", cls, args, kwargs, path=f"{cls.__name__}()")


def _new_class(name: str, parents: tuple[type, ...], namespace: dict[str, Any], meta: type = ProxyClass) -> Any:
    """Make a class without running what its parents make of the classes that extend them."""
    bases = tuple(parent for parent in parents if not any(parent in other.__mro__[1:] for other in parents))
    metas = [meta, *map(type, bases)]
    derived = next(one for one in metas if all(issubclass(one, other) for other in metas))
    try:
        made: Any = type.__new__(derived, name, bases, namespace)
    except TypeError as error:  # bases that do not go together
        raise RefusedError(f"a class {name} that cannot be shown to a test") from error
    type.__init__(made, name, bases, {})
    return made


def _register(made: type, base: Node) -> None:
    """Let a class that extends an abstract one, or a dictionary and the like, count as that."""
    if base[0] in ("collections.abc", "builtins", "typing"):
        abstract = _ABSTRACT.get(_EXTENDED.get(base[1], base[1]))
        if abstract is not None and hasattr(abstract, "register"):
            abstract.register(made)


def is_always_true(cls: type) -> bool:
    """Return whether each instance of a class is true, whatever is in it."""
    return not any(name in vars(base) for base in cls.__mro__ for name in ("__bool__", "__len__"))


def _methods_of(lineage: list[type]) -> list[str]:
    """Name the methods of these classes that can be asked for by name."""
    found = {name: value for cls in reversed(lineage) for name, value in vars(cls).items()}
    names = (name for name, value in found.items() if isinstance(value, _METHODS) and type(name) is str)
    return sorted(name for name in names if name.isascii() and not name.startswith("__"))[:_MOST_NAMES]


def _is_method_name(name: Any) -> bool:
    return type(name) is str and name.isidentifier() and not name.startswith("__")
