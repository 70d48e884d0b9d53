"""Objects of torch.nn, torch.optim and given classes, by their ``__dict__``, where the reference gave such objects.

The judge's own methods run on what the student put into an object. So nothing in it may stand where the class has
something: a method, a hook, a property. There is no ``__setstate__``. What is in it and can be called is a function of
``torch.nn.functional``, as the activation of a layer is, or a Remote, which runs where the student's code runs.
"""

from collections import OrderedDict
from enum import Enum
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from studium_graders.engine.kinds.plain import PLAIN
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder, Kind, Open, StaysError
from studium_graders.engine.wire.given import GIVEN
from studium_graders.engine.wire.parametrized import TABLE, class_before, parametrize_again
from studium_graders.engine.wire.sending import is_of_test, is_private

OPEN_MODULES = ("torch.nn.", "torch.optim.")
_FUNCTIONS = {
    name: value
    for name, value in vars(nn.functional).items()
    if type(value) is FunctionType and value.__module__ == "torch.nn.functional" and not name.startswith("_")
}
_PARAMETERS = "_parameters"
_TABLES = {_PARAMETERS: (nn.Parameter,), "_buffers": (torch.Tensor,), "_modules": (nn.Module,)}
_HOOKS = "_hooks"
_OF_SHELLS = (_PARAMETERS, "_buffers", "_modules", "training")


def open_classes(packages: tuple[str, ...] = ()) -> Open:
    """Return what tells whether both sides have a class whose instances cross by their ``__dict__``.

    These are torch's, those of given cells, and those of ``packages``, such as a topic's own.
    """

    def is_open(cls: type) -> bool:
        cls = class_before(cls) or cls
        module = cls.__module__
        if is_library_object(cls):
            return True
        given = module == GIVEN or (module.partition(".")[0] in packages and not is_private(module))
        plain = cls.__dictoffset__ != 0 and cls.__qualname__ == cls.__name__  # else the judge finds it under no name
        return given and plain and not issubclass(cls, type | BaseException | ModuleType)

    return is_open


def is_library_object(cls: type) -> bool:
    """Return whether a class is one of torch's whose instances cross by their ``__dict__``."""
    return cls.__module__.startswith(OPEN_MODULES) and cls.__qualname__ == cls.__name__


def is_shell(cls: type) -> bool:
    """Return whether a module crosses as a shell: its class is a test's own, and ``forward`` runs where that is."""
    if not issubclass(cls, nn.Module) or class_before(cls) is not None:
        return False
    return getattr(cls, "is_shell", False) is True or is_of_test(cls)


def word_of(cls: type) -> str:
    """Return the word that allows instances of a class."""
    return f"object {cls.__module__}.{cls.__qualname__}"


def _write(encoder: Encoder, value: Any) -> list[Any]:
    cls = _own_class(value)
    held = held_by(value) if encoder.is_change else vars(value)
    if not all(type(name) is str and not (_HOOKS in name and held[name]) for name in held):
        raise StaysError
    return [cls.__module__, cls.__qualname__, *[part for pair in held.items() for part in _pair(encoder, *pair)]]


def _pair(encoder: Encoder, name: str, value: Any) -> list[Any]:
    if type(value) is FunctionType and _FUNCTIONS.get(value.__name__) is value:
        return [name, ["function", value.__name__]]
    return [name, encoder.part(value)]


def _read(decoder: Decoder, parts: list[Any]) -> Any:
    module, name, *pairs = parts
    cls = decoder.taking.open_class(module, name)
    if issubclass(cls, Enum):
        raise ProtocolError("a member of an enumeration that is made anew")
    decoder.allows(word_of(cls))
    value = decoder.begun(object.__new__(cls))
    held = {}
    for index in range(0, len(pairs), 2):
        key, node = pairs[index : index + 2]
        item = _attribute(decoder, node)
        if key == _PARAMETERS:
            _make_parameters(item)
        if fault := _fault(cls, key, item):
            raise decoder.refuse(f"your code gave an object of {cls.__name__} with {fault}")
        held[key] = item
    vars(value).update(held)
    return _parametrized(decoder, value) if issubclass(cls, nn.Module) and TABLE in held.get("_modules", ()) else value


def _parametrized(decoder: Decoder, module: nn.Module) -> nn.Module:
    """Give a module the class that torch makes for its parametrizations."""
    table = vars(module)["_modules"][TABLE]
    own = {name for base in type(module).__mro__ for name in vars(base)}
    if type(table) is not nn.ModuleDict or any(type(part) is not ParametrizationList for part in table.values()):
        raise decoder.refuse("your code gave a module with no parametrizations")
    if not own.isdisjoint(table.keys()):
        raise decoder.refuse("your code gave a module whose parametrization replaces what its class has")
    return parametrize_again(module)


def _make_parameters(table: Any) -> None:
    """Make parameters of what was a parameter of an argument: its copy comes as a result, which no module can hold."""
    if type(table) in (dict, OrderedDict):
        for name, value in table.items():
            if type(value) is torch.Tensor:
                table[name] = nn.Parameter(value.detach())


def _attribute(decoder: Decoder, node: Any) -> Any:
    if type(node) is list and node[:1] == ["function"]:
        return _FUNCTIONS[node[1]]
    return decoder.part(node)


def _fault(cls: type, key: Any, value: Any) -> str:
    """Return what is wrong with an attribute: it stands in the place of something of the class, or is a hook."""
    if type(key) is not str or not key.isidentifier() or key.startswith("__"):
        return "an attribute of no name"
    own = [vars(base)[key] for base in cls.__mro__ if key in vars(base)]
    if own and (type(own[0]) not in PLAIN or callable(value)):
        return f"a {key} of its own"
    return _fault_of_torch(key, value) if issubclass(cls, nn.Module | torch.optim.Optimizer) else ""


def _fault_of_torch(key: str, value: Any) -> str:
    if _HOOKS in key and (type(value) not in (dict, OrderedDict) or value):
        return "hooks"
    if key == "training" and type(value) is not bool:
        return "a mode that is none"
    if key in _TABLES and not _is_table(value, _TABLES[key]):
        return f"{key} that are none"
    return ""


def _is_table(value: Any, classes: tuple[type, ...]) -> bool:
    return type(value) in (dict, OrderedDict) and all(
        item is None or (type(name) is str and issubclass(type(item), classes)) for name, item in value.items()
    )


def _own_class(value: Any) -> type:
    """Return the class of an object, without what torch makes of it for parametrizations."""
    return class_before(type(value)) or type(value)


def _overwrite(value: Any, other: Any) -> None:
    if type(other) is not Held and _own_class(other) is not _own_class(value):
        raise ProtocolError("an object that became another")
    for name in held_by(value):
        del vars(value)[name]
    vars(value).update(other if type(other) is Held else held_by(other))


class Held(dict[str, Any]):
    """What both sides have of an object."""


def held_by(value: Any) -> Held:
    """Return what both sides have of an object and may change; hooks are each side's own."""
    held = vars(value)
    if is_shell(type(value)):
        return Held({name: held[name] for name in _OF_SHELLS})
    return Held({name: part for name, part in held.items() if not (type(name) is str and _HOOKS in name)})


def _write_shell(encoder: Encoder, value: nn.Module) -> list[Any]:
    return [encoder.part(part) for part in held_by(value).values()]


def _read_shell(decoder: Decoder, parts: list[Any]) -> Held:
    if not decoder.is_change:
        raise ProtocolError("a module of the test's that is no argument")
    held = Held({name: decoder.part(part) for name, part in zip(_OF_SHELLS, parts, strict=True)})
    for name, part in held.items():
        if fault := _fault_of_torch(name, part):
            raise decoder.refuse(f"your code gave a module of the test {fault}")
    return held


_MUTABLE: dict[str, Any] = {
    "children": lambda value: held_by(value).values(),
    "content": lambda value: [*held_by(value).items()],
}


def _write_member(_: Encoder, value: Enum) -> list[Any]:
    cls = type(value)
    return [cls.__module__, cls.__qualname__, value._name_]


def _read_member(decoder: Decoder, parts: list[Any]) -> Any:
    """Return the judge's own member of an enumeration that it has."""
    module, name, member = parts
    cls = decoder.taking.open_class(module, name)
    if not issubclass(cls, Enum):
        raise ProtocolError("no enumeration")
    decoder.allows(word_of(cls))
    return vars(cls)["_member_map_"][member]


KINDS = (
    Kind(
        "member", (), _write_member, _read_member, applies=lambda cls, is_open: issubclass(cls, Enum) and is_open(cls)
    ),
    Kind(
        "shell",
        (),
        _write_shell,
        _read_shell,
        applies=lambda cls, is_open: is_open(cls) and is_shell(cls),
        overwrite=lambda value, held: vars(value).update(held),
        **_MUTABLE,
    ),
    Kind("object", (), _write, _read, applies=lambda cls, is_open: is_open(cls), overwrite=_overwrite, **_MUTABLE),
)
