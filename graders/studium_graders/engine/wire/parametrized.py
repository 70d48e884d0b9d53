"""Modules that torch has parametrized: their class is made anew, on each side, from the class that they had before."""

from typing import Any

from torch import nn
from torch.nn.utils import parametrize

TABLE = "parametrizations"


def class_before(cls: type) -> type | None:
    """Return the class that a module had before it was parametrized; None where it is not."""
    made = cls.__module__ == parametrize.__name__ and cls.__name__.startswith("Parametrized")
    return cls.__bases__[0] if made and len(cls.__bases__) == 1 else None


def parametrize_again(module: nn.Module) -> nn.Module:
    """Give a module of the class before, with what it held, the class that torch makes for its parametrizations."""
    parametrize._inject_new_class(module)
    for name in vars(module)["_modules"][TABLE]:
        parametrize._inject_property(module, name)
    return module


def empty(cls: type) -> Any:
    """Return an instance of a class that holds nothing yet."""
    return object.__new__(cls)


def fill(module: nn.Module, held: dict[str, Any]) -> None:
    """Give a module that is built again what it held."""
    vars(module).update(held)
    parametrize_again(module)
