"""Modules that exist on both sides with equal structure: the same parameters, buffers and submodules by name.

A stock module of torch.nn is the same class on both sides and computes where it is called; in the judge one of the
student's changes nothing that it is given. A module of a class that one
side defined is a ``RemoteModule`` on the other: parameters, names and modes are there, its forward pass is asked for.
"""

import sys
import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studium_graders.engine.remote import bare_modules
from studium_graders.engine.remote.decode import RefusedError
from studium_graders.engine.remote.forward_hooks import hooks_node, hooks_of, put_hooks
from studium_graders.engine.remote.letting_go import unused
from studium_graders.engine.remote.objects import Facts, Initialiser, RemoteClass
from studium_graders.engine.remote.policy import step
from studium_graders.engine.remote.recurrent import require_fitting_weights
from studium_graders.engine.remote.sizes import may_compute_with
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.encode import Encoder
    from studium_graders.engine.remote.exports import Side

STOCK: dict[str, type[nn.Module]] = {
    value.__name__: value
    for name, module in list(sys.modules.items())
    if name.startswith("torch.nn.modules.")
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, nn.Module) and "Lazy" not in value.__name__
    if value.__module__.startswith("torch.nn.modules.") and value is not nn.Module
}
_NAMES = {cls: name for name, cls in STOCK.items()}
_BASE = frozenset(vars(nn.Module()))
_HOOKS = tuple(name for name in _BASE if name.endswith("_hooks"))
_GIVE_THEMSELVES = frozenset({"train", "eval", "apply", "requires_grad_", "to", "cpu", "float", "double", "half"})
_DERIVED = frozenset({"_flat_weights", "_flat_weight_refs"})  # of recurrent layers; made again from the parameters
_ALL = frozenset(range(8))  # parts of a state
_BUILT = frozenset({1, 2, 4, 5})  # those that neither training nor a hook changes
_PARAMETERS, _LAYERS, _REPLACED = 1, 4, 6
_SIMPLE = frozenset({type(None), bool, int, float, str, torch.dtype, torch.device, torch.Size})
_FUNCTIONS = {"relu": nn.functional.relu, "gelu": nn.functional.gelu, "torch_relu": torch.relu}


class RemoteModule(nn.Module, metaclass=RemoteClass):
    """A module of the other side's own class."""

    __init__ = Initialiser(nn.Module.__init__)
    _remote_facts: Facts

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the other side to call the module."""
        facts = self._remote_facts
        return facts.peer.request("call", self, args, kwargs, path=f"{facts.path}()")

    def __getattr__(self, name: str) -> Any:
        try:
            return nn.Module.__getattr__(self, name)
        except AttributeError:
            if name.startswith("__") or name == "_remote_facts" or name in _BASE:
                raise
        facts = self._remote_facts
        return facts.peer.request("getattr", self, name, path=step(facts.path, name))

    def __setattr__(self, name: str, value: Any) -> None:
        held = isinstance(value, nn.Parameter | nn.Module) or any(
            name in self.__dict__.get(kind, ()) for kind in ("_parameters", "_buffers", "_modules")
        )
        if held or name in _BASE:
            nn.Module.__setattr__(self, name, value)
        else:
            self._remote_facts.peer.request("setattr", self, name, value)

    def __deepcopy__(self, _: Any) -> Any:
        facts = self._remote_facts
        return facts.peer.request("copy", self, path=facts.path)

    def __reduce_ex__(self, _: Any) -> Any:
        raise self._remote_facts.peer.refused(RefusedError("a module of the submission cannot be pickled"))


def module_method(name: str) -> Any:
    """Give the method of a remote module that forwards a call."""

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        facts = self._remote_facts
        path = facts.path if name in _GIVE_THEMSELVES else f"{step(facts.path, name)}()"
        return facts.peer.request("method", self, name, args, kwargs, path=path)

    forward.__name__ = name
    return forward


class AskedForward:
    """The forward pass of a stock module that the other side has replaced by a function of its own."""

    def __init__(self, peer: "Side", module: weakref.ref[nn.Module], path: str) -> None:
        self._peer, self._module, self._path = peer, module, path

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Ask the other side to call the module."""
        return self._peer.request("call", self._module(), args, kwargs, path=self._path)

    def __deepcopy__(self, _: Any) -> "AskedForward":
        return self  # a function is not copied either


class _Known:
    """What was last exchanged of one module."""

    __slots__ = ("mine", "module", "number", "stale", "state", "stock")

    def __init__(self, module: nn.Module, number: int, *, mine: bool, stock: bool) -> None:
        self.module = weakref.ref(module)
        self.number, self.mine, self.stock = number, mine, stock
        self.state: list[Any] = []
        self.stale = False


class Modules:
    """All modules that both ends know."""

    def __init__(self, peer: "Side") -> None:
        self._peer = peer
        self._by_number: dict[tuple[bool, int], _Known] = {}
        self._kept: dict[int, nn.Module] = {}

    def node(self, module: nn.Module, encoder: "Encoder") -> list[Any]:
        """Give the node of a module; from now on both sides have it."""
        reference = self._peer.references.get(id(module))
        if reference is not None:
            return reference
        number = self._peer.enrol(module)
        stock = _is_stock(module, judge=not self._peer.trusting)
        known = self._by_number[True, number] = _Known(module, number, mine=True, stock=stock)
        reference = self._peer.references[id(module)] = [Tag.MODULE, True, number]
        encoder.modules.append(known)
        return reference

    def find(self, mine: Any, number: Any) -> nn.Module:
        """Give the module that the other side named."""
        known = self._by_number.get((not mine, number)) if type(number) is int else None
        module = None if known is None else known.module()
        if module is None:
            raise ProtocolError("no such module")
        return module

    def forget(self, number: int) -> None:
        """Drop a module of this side that the other side has let go."""
        self._by_number.pop((True, number), None)

    def resend(self) -> None:
        """Count every module as changed."""
        for known in self._by_number.values():
            known.stale = True

    def sweep(self) -> list[int]:
        """Let those modules of the other side's go that nobody here uses any more; give their numbers.

        One whose forward pass was replaced here, or has a hook, stays: the other side asks for it.
        """
        gone, replaced = [], [one for one in self._kept.values() if _is_replaced(one) or hooks_of(one)]
        for number, address in unused(self._kept):
            gone.append(number)
            del self._by_number[False, number]
            self._peer.references.pop(address, None)
        del replaced  # they were in use until here
        return gone

    # ------------------------------------------------------------------------------------------------ sending

    def nodes(self, encoder: "Encoder") -> Any:
        """Give definitions of new modules and the structure of those that changed; None where there is nothing."""
        changes = []
        for known in list(self._by_number.values()):
            module = known.module()
            if module is None or known in encoder.modules:
                continue
            state = self._state(module, known)
            if known.stale or not _same(state, known.state):
                known.state, known.stale = state, False
                changes.append([known.mine, known.number, self._state_node(state, encoder)])
        definitions = []
        for known in encoder.modules:  # grows while it is walked over
            module = known.module()
            assert module is not None
            known.state = self._state(module, known)
            cls = _NAMES[type(module)] if known.stock else self._peer.class_node(type(module), encoder)
            definitions.append([known.number, cls, self._state_node(known.state, encoder)])
        return [definitions, changes] if definitions or changes else None

    def _state(self, module: nn.Module, known: _Known) -> list[Any]:
        """Give what is compared and sent: mode, named parts, what else of stock modules both can have, and hooks."""
        return [
            module.training,
            bare_modules.own(module._parameters),
            list(module._buffers.items()),
            sorted(module._non_persistent_buffers_set),
            bare_modules.own(module._modules),
            _sent(module) if known.stock else [],
            known.stock and _is_replaced(module),
            hooks_of(module) if not self._peer.trusting and (known.stock or not known.mine) else [],
        ]

    def _state_node(self, state: list[Any], encoder: "Encoder") -> list[Any]:
        training, parameters, buffers, passing, modules, attributes, replaced, hooks = state
        return [
            training,
            [[encoder.text(name), self._tensor(value, encoder)] for name, value in parameters],
            [[encoder.text(name), self._tensor(value, encoder)] for name, value in buffers],
            [encoder.text(name) for name in passing],
            [[encoder.text(name), None if value is None else self.node(value, encoder)] for name, value in modules],
            [[encoder.text(name), _attribute_node(value, encoder)] for name, value in attributes],
            replaced,
            hooks_node(hooks, encoder),
        ]

    def _tensor(self, value: torch.Tensor | None, encoder: "Encoder") -> Any:
        if value is None:
            return None
        encoder.shown.add(id(value))
        return self._peer.references.get(id(value)) or self._peer.mirrors.enrol(value, encoder)

    # ------------------------------------------------------------------------------------------------ receiving

    def read(self, node: Any, decoder: "Decoder") -> None:
        """Make new modules and take over changed structures."""
        definitions, changes = node
        made = [self._make(number, cls, decoder) for number, cls, _ in definitions]
        for known, (_, _, state) in zip(made, definitions, strict=True):
            self._fill(known, state, decoder)
        for mine, number, state in changes:
            changed = self._by_number.get((not mine, number)) if type(number) is int else None
            if changed is None:
                raise ProtocolError("a change of no module")
            if (module := changed.module()) is not None and self._peer.accepts_change(changed):
                self._change(changed, module, state, decoder)

    def _change(self, changed: _Known, module: nn.Module, node: list[Any], decoder: "Decoder") -> None:
        if not changed.mine:
            self._fill(changed, node, decoder)
            return
        layers = [self._module_of(layer) for _, layer in node[_LAYERS]]
        same = bare_modules.keeps_parts(node[_PARAMETERS], layers, module)
        if not (same or self._peer.takes_layers(module)):
            changed.stale = True
            return
        before = changed.state
        self._fill(changed, node, decoder)
        if node[_REPLACED] is True or not _same(changed.state, before, parts=_BUILT):
            self._peer.rebuilt(module)

    def _make(self, number: Any, cls: Any, decoder: "Decoder") -> _Known:
        if type(number) is not int or number in self._kept:
            raise ProtocolError("a module that is there already")
        stock = type(cls) is str
        kind: Any = STOCK[cls] if stock else self._peer.class_of(cls, decoder)
        if not stock and not (isinstance(kind, type) and issubclass(kind, RemoteModule)):
            raise ProtocolError("a module of no class of modules")
        module = kind.__new__(kind)
        nn.Module.__init__(module)
        if not stock:
            facts = Facts(self._peer, number, decoder.path, frozenset())
            object.__setattr__(module, "_remote_facts", facts)
        self._kept[number] = module
        known = self._by_number[False, number] = _Known(module, number, mine=False, stock=stock)
        self._peer.references[id(module)] = [Tag.MODULE, False, number]
        return known

    def _fill(self, known: _Known, node: list[Any], decoder: "Decoder") -> None:
        module = known.module()
        assert module is not None
        training, parameters, buffers, passing, modules, attributes, replaced, hooks = node
        module.training = training is True
        bare_modules.refill(module._parameters, [(name, self._tensor_of(value)) for name, value in parameters])
        bare_modules.refill(module._buffers, [(name, self._tensor_of(value)) for name, value in buffers])
        module._non_persistent_buffers_set = {str(name) for name in passing}
        bare_modules.refill(module._modules, [(name, self._module_of(value)) for name, value in modules])
        for name, value in attributes:
            if not _may_set(type(module), name):
                raise ProtocolError("an attribute that no module has")
            module.__dict__[name] = _attribute(value, decoder)
        if known.stock and not _is_replaced(module):
            asked = replaced is True and (not known.mine or self._peer.takes_forward(module))
            self._ask_for(module, decoder.path, asked=asked)
        if known.stock and not self._peer.trusting:
            self._restrain(module)
        if known.stock and isinstance(module, nn.RNNBase):
            require_fitting_weights()
            module._flat_weight_refs = []
            module._init_flat_weights()
        if self._peer.trusting:
            put_hooks(module, hooks, self._peer, decoder)
        known.state = self._state(module, known)

    def _ask_for(self, module: nn.Module, path: str, *, asked: bool) -> None:
        """Let the other side compute what a stock module gives, where its forward pass was replaced there."""
        module.__dict__.pop("forward", None)
        if asked:
            module.__dict__["forward"] = AskedForward(self._peer, weakref.ref(module), f"{path}()")

    def _restrain(self, module: nn.Module) -> None:
        """Let a module of the student's that computes here change no tensor of the test's, and end no process."""
        held = module.__dict__
        if "inplace" in held:
            held["inplace"] = False
        held.update((name, None) for name, value in _attributes(module) if not may_compute_with(name, value))
        given = [self._peer.references.get(id(value)) for value in module._parameters.values()]
        if "max_norm" in held and any(node and node[:2] == [Tag.MIRROR, True] for node in given):
            held["max_norm"] = None  # it would scale the rows of a weight that the test has, too

    def _tensor_of(self, node: Any) -> Any:
        return None if node is None else self._peer.mirrors.find(node[1], node[2])

    def _module_of(self, node: Any) -> Any:
        return None if node is None else self.find(node[1], node[2])


def _is_stock(module: nn.Module, *, judge: bool) -> bool:
    return (
        type(module) in _NAMES
        and not any(module.__dict__.get(name) for name in _HOOKS)
        and all(_may_set(type(module), name) and _plain(value, judge) for name, value in _attributes(module))
    )


def _plain(value: Any, judge: bool) -> bool:
    kind = type(value)
    if kind in _SIMPLE:
        return True
    if kind in (tuple, list):
        return all(_plain(item, judge) for item in value)
    if kind is dict:
        return all(_plain(item, judge) for pair in value.items() for item in pair)
    return value in _FUNCTIONS.values() if callable(value) else False


def _may_set(cls: type, name: Any) -> bool:
    if type(name) is not str or not name.isidentifier() or name.startswith("__") or name in _BASE:
        return False
    return not callable(getattr(cls, name, None))


def _is_replaced(module: nn.Module) -> bool:
    """Tell whether this side has given a module another forward pass than its class's."""
    return "forward" in module.__dict__ and not isinstance(module.__dict__["forward"], AskedForward)


def _attributes(module: nn.Module) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in module.__dict__.items() if name not in _BASE and name not in _DERIVED]


def _sent(module: nn.Module) -> list[tuple[str, Any]]:
    """Give the attributes of a stock module that both sides can have; others stay where they were set."""
    cls = type(module)
    return [
        (name, value)
        for name, value in _attributes(module)
        if type(value) in _SIMPLE or (_may_set(cls, name) and _plain(value, judge=False))
    ]


def _attribute_node(value: Any, encoder: "Encoder") -> Any:
    name = next((name for name, function in _FUNCTIONS.items() if function is value), None)
    return [name] if name else [None, encoder.apart(value)]


def _attribute(node: list[Any], decoder: "Decoder") -> Any:
    if node[0] is not None:
        return _FUNCTIONS[node[0]]
    value = decoder.apart(node[1])
    if not _plain(value, judge=False):
        raise ProtocolError("an attribute that is not plain")
    return value


def _same(now: list[Any], before: list[Any], parts: frozenset[int] = _ALL) -> bool:
    if any(now[part] != before[part] for part in parts & {0, 3, 5, _REPLACED}):
        return False
    return all(
        len(now[part]) == len(before[part])
        and all(a[0] == b[0] and a[1] is b[1] for a, b in zip(now[part], before[part], strict=True))
        for part in parts & {1, 2, 4, 7}
    )
