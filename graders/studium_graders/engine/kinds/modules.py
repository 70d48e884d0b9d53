"""Modules that exist on both sides with equal structure: the same parameters, buffers and submodules by name.

A module computes where it was made. On the other side stands a ``ModuleProxy``: parameters, names and modes are there,
its forward pass and its own methods are asked for. Layers of torch's own that a test makes are the exception: student
code asks for their class, replaces them and differentiates through them, so that they are real ones there too. In the
judge no layer that a student made ever computes; one of ``torch.nn`` says that it is of that class, and that is all.
"""

import sys
import weakref
from typing import Any

import torch
from torch import nn

from studium_graders.engine.kinds.proxies import Handle, Initialiser, ProxyClass
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Context, Decoder, Encoder, Kind, RefusedError
from studium_graders.engine.wire.messages import Node
from studium_graders.engine.wire.objects import unused
from studium_graders.engine.wire.paths import step

STOCK: dict[str, type[nn.Module]] = {
    value.__name__: value
    for name, module in list(sys.modules.items())
    if name.startswith("torch.nn.modules.")
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, nn.Module) and "Lazy" not in value.__name__
    if value.__module__.startswith("torch.nn.modules.") and value is not nn.Module
}
NAMES = {cls: name for name, cls in STOCK.items()}
_BASE = frozenset(vars(nn.Module()))
_HOOKS = tuple(name for name in _BASE if name.endswith("_hooks"))
_GIVE_THEMSELVES = frozenset({"train", "eval", "apply", "requires_grad_", "to", "cpu", "float", "double", "half"})
_DERIVED = frozenset({"_flat_weights", "_flat_weight_refs"})  # of recurrent layers; made again from the parameters
_SIMPLE = (type(None), bool, int, float, str, torch.dtype, torch.device, torch.Size)
_HELD = frozenset(
    {f"{kind}{name}" for kind in ("", "named_") for name in ("parameters", "buffers", "children", "modules")}
    | {"state_dict", "load_state_dict", "get_parameter", "get_submodule", "forward"}
)
"""Methods that say what a module holds: that is here, and no answer's word about it counts."""
_DEFINED = "modules"


class ModuleProxy(nn.Module, metaclass=ProxyClass):
    """A module of the other side's."""

    __init__ = Initialiser(nn.Module.__init__)
    _handle: Handle

    def _get_name(self) -> str:
        return type(self).__name__  # not what ``__class__`` says

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the other side to call the module."""
        handle = self._handle
        return handle.context.request("call", self, args, kwargs, path=f"{handle.path}()")

    def __getattr__(self, name: str) -> Any:
        try:
            return nn.Module.__getattr__(self, name)
        except AttributeError:
            if name.startswith("__") or name == "_handle" or name in _BASE:
                raise
        handle = self._handle
        return handle.context.request("getattr", self, name, path=step(handle.path, name))

    def __setattr__(self, name: str, value: Any) -> None:
        held = isinstance(value, nn.Parameter | nn.Module) or any(
            name in self.__dict__.get(kind, ()) for kind in ("_parameters", "_buffers", "_modules")
        )
        if held or name in _BASE:
            nn.Module.__setattr__(self, name, value)
        else:
            self._handle.context.request("setattr", self, name, value)

    def __deepcopy__(self, _: Any) -> Any:
        handle = self._handle
        return handle.context.request("copy", self, path=handle.path)

    def __reduce_ex__(self, _: Any) -> Any:
        raise self._handle.context.side.refused(RefusedError("a module of the submission cannot be pickled"))


def module_method(name: str) -> Any:
    """Return the method of a module proxy that forwards a call."""

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        handle = self._handle
        path = handle.path if name in _GIVE_THEMSELVES else f"{step(handle.path, name)}()"
        return handle.context.request("method", self, name, args, kwargs, path=path)

    forward.__name__ = name
    return forward


def is_forwarded(name: str) -> bool:
    """Return whether a module's own method of this name is asked for."""
    return name not in _HELD


class _Known:
    """What was last exchanged of one module. ``stock`` ones of the judge's are real ones on the student's side."""

    __slots__ = ("mine", "module", "number", "stale", "state", "stock")

    def __init__(self, module: nn.Module, number: int, *, mine: bool, stock: bool) -> None:
        self.module = weakref.ref(module)
        self.number, self.mine, self.stock = number, mine, stock
        self.state: list[Any] = []
        self.stale = False


class Modules:
    """All modules that both ends know: a section of each message."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_number: dict[tuple[bool, int], _Known] = {}
        self._kept: dict[int, nn.Module] = {}

    def node(self, module: nn.Module, encoder: Encoder) -> Node:
        """Return the node of a module; from now on both sides have it."""
        references = self._context.objects.references
        if (reference := references.get(id(module))) is not None:
            return reference
        number = self._context.objects.enrol(module)
        stock = not self._context.trusting and _is_stock(module)
        known = self._by_number[True, number] = _Known(module, number, mine=True, stock=stock)
        references[id(module)] = ["module", True, number]
        encoder.collect(_DEFINED, known)
        return references[id(module)]

    def find(self, mine: Any, number: Any) -> nn.Module:
        """Return the module that the other side named."""
        known = self._by_number.get((not mine, number)) if type(number) is int else None
        module = None if known is None else known.module()
        if module is None:
            raise ProtocolError("no such module")
        return module

    def was_given(self, module: Any) -> bool:
        """Return whether a module of this side was given to the other one."""
        return bool(self._context.objects.references.get(id(module), [])[:2] == ["module", True])

    # ------------------------------------------------------------------------------------------------ as a section

    def write(self, encoder: Encoder) -> Node:
        """Return definitions of new modules and the structure of those that changed."""
        changes = []
        defined = encoder.collected.setdefault(_DEFINED, [])
        for known in list(self._by_number.values()):
            module = known.module()
            if module is None or known in defined:
                continue
            state = _state(module, known)
            if known.stale or not _same(state, known.state):
                known.state, known.stale = state, False
                changes.append([known.mine, known.number, self._state_node(state, encoder)])
        definitions = []
        for known in defined:  # grows while it is walked over
            module = known.module()
            assert module is not None
            known.state = _state(module, known)
            definitions.append(
                [known.number, self._class_node(module, known, encoder), self._state_node(known.state, encoder)]
            )
        return [definitions, changes] if definitions or changes else None

    def read(self, node: Node, decoder: Decoder) -> None:
        """Make new modules and take over changed structures."""
        definitions, changes = node
        made = [self._make(number, cls, decoder) for number, cls, _ in definitions]
        for known, (_, _, state) in zip(made, definitions, strict=True):
            self._fill(known, state, decoder)
        for mine, number, state in changes:
            changed = self._by_number.get((not mine, number)) if type(number) is int else None
            if changed is None:
                raise ProtocolError("a change of no module")
            if (module := changed.module()) is not None and self._takes(changed, module, state):
                self._fill(changed, state, decoder)

    def resend(self) -> None:
        """Count every module as changed."""
        for known in self._by_number.values():
            known.stale = True

    def sweep(self) -> list[int]:
        """Let those modules of the other side's go that nobody here uses any more; return their numbers."""
        gone = unused(self._kept)
        for number, address in gone:
            del self._by_number[False, number]
            self._context.objects.references.pop(address, None)
        return [number for number, _ in gone]

    def forget(self, number: int) -> None:
        """Drop a module of this side that the other side has let go."""
        self._by_number.pop((True, number), None)

    def _class_node(self, module: nn.Module, known: _Known, encoder: Encoder) -> Node:
        named = known.stock or (self._context.trusting and type(module) in NAMES)
        return NAMES[type(module)] if named else self._context.classes.node(type(module), encoder)

    def _state_node(self, state: list[Any], encoder: Encoder) -> list[Any]:
        training, parameters, buffers, passing, modules, attributes = state
        return [
            training,
            [[encoder.text(name), self._tensor(value, encoder)] for name, value in parameters],
            [[encoder.text(name), self._tensor(value, encoder)] for name, value in buffers],
            [encoder.text(name) for name in passing],
            [[encoder.text(name), None if value is None else self.node(value, encoder)] for name, value in modules],
            [[encoder.text(name), encoder.apart(value)] for name, value in attributes],
        ]

    def _tensor(self, value: torch.Tensor | None, encoder: Encoder) -> Node:
        return None if value is None else self._context.tensors.enrol(value, encoder)

    def _takes(self, changed: _Known, module: nn.Module, node: Node) -> bool:
        """Return whether a structure may be taken over: another one of the judge's own needs a permission."""
        layers = [self._module_of(layer) for _, layer in node[4]]
        same = {id(layer) for layer in layers} == {id(layer) for layer in module._modules.values()}
        changed.stale = not (same or not changed.mine or self._context.side.admits_layers(module))
        return not changed.stale

    def _make(self, number: Any, cls: Node, decoder: Decoder) -> _Known:
        if type(number) is not int or number in self._kept:
            raise ProtocolError("a module that is there already")
        stock = type(cls) is str and self._context.trusting
        kind = self._class(cls, decoder)
        module = kind.__new__(kind)
        nn.Module.__init__(module)
        if not stock:
            object.__setattr__(module, "_handle", Handle(self._context, number, decoder.path, frozenset()))
        self._kept[number] = module
        known = self._by_number[False, number] = _Known(module, number, mine=False, stock=stock)
        self._context.objects.references[id(module)] = ["module", False, number]
        return known

    def _class(self, node: Node, decoder: Decoder) -> type[nn.Module]:
        if type(node) is str:
            if node not in STOCK:
                raise ProtocolError("no layer")
            found: type[nn.Module] = STOCK[node] if self._context.trusting else self._context.classes.of_layer(node)
            return found
        kind = self._context.classes.read_class(node, decoder)
        if not (isinstance(kind, type) and issubclass(kind, ModuleProxy)):
            raise ProtocolError("a module of no class of modules")
        return kind

    def _fill(self, known: _Known, node: list[Any], decoder: Decoder) -> None:
        module = known.module()
        assert module is not None
        training, parameters, buffers, passing, modules, attributes = node
        module.training = training is True
        _refill(module._parameters, [(name, self._tensor_of(value)) for name, value in parameters])
        _refill(module._buffers, [(name, self._tensor_of(value)) for name, value in buffers])
        module._non_persistent_buffers_set = {str(name) for name in passing}
        _refill(module._modules, [(name, self._module_of(value)) for name, value in modules])
        if known.stock and not known.mine:
            module.__dict__.update((name, decoder.apart(value)) for name, value in attributes)
            if isinstance(module, nn.RNNBase):
                module._flat_weight_refs = []
                module._init_flat_weights()
        known.state = _state(module, known)

    def _tensor_of(self, node: Node) -> Any:
        return None if node is None else self._context.tensors.find(*node[-2:])

    def _module_of(self, node: Node) -> Any:
        return None if node is None else self.find(*node[-2:])


def _refill(held: dict[str, Any], items: list[tuple[Any, Any]]) -> None:
    if not all(type(name) is str and name and "." not in name for name, _ in items):
        raise ProtocolError("no name")
    held.clear()
    held.update(items)


def _state(module: nn.Module, known: _Known) -> list[Any]:
    """Return what is compared and sent: mode, named parts, and what else of the judge's own layers both have."""
    return [
        module.training,
        list(module._parameters.items()),
        list(module._buffers.items()),
        sorted(module._non_persistent_buffers_set),
        list(module._modules.items()),
        _attributes(module) if known.stock and known.mine else [],
    ]


def _is_stock(module: nn.Module) -> bool:
    hooked = any(module.__dict__.get(name) for name in _HOOKS)
    return type(module) in NAMES and not hooked and all(_is_plain(value) for _, value in _attributes(module))


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if type(value) in (tuple, list) else type(value) in _SIMPLE


def _attributes(module: nn.Module) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in module.__dict__.items() if name not in _BASE and name not in _DERIVED]


def _same(now: list[Any], before: list[Any]) -> bool:
    return all(now[part] == before[part] for part in (0, 3, 5)) and all(
        len(now[part]) == len(before[part])
        and all(a[0] == b[0] and a[1] is b[1] for a, b in zip(now[part], before[part], strict=True))
        for part in (1, 2, 4)
    )


def _read(decoder: Decoder, node: list[Any]) -> Any:
    module = decoder.context.modules.find(*node)
    return decoder.context.side.arrived(module, decoder) if isinstance(module, ModuleProxy) else module


KINDS = (Kind("module", read=_read),)
