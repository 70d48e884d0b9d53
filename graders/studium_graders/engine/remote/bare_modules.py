"""Modules without parameters where the reference's have some: what a test says of all of them holds of none.

A test that passes with one is run again with a parameter and a layer in it, of which the other side does not hear.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from studium_graders.engine.remote.policy import PARAMETERS
from studium_graders.engine.remote.wire import ProtocolError

if TYPE_CHECKING:
    from studium_graders.engine.remote.policy import Policy

_INSTEAD = "weight_instead_of_bias"  # whichever of both a test picks by name
METHODS = frozenset(
    {f"{kind}{name}" for kind in ("", "named_") for name in ("parameters", "buffers", "children", "modules")}
    | {"state_dict", "load_state_dict", "get_parameter", "get_submodule"}
)
"""Those that say, or change, what a module holds."""
_SHAPE = (1, 1, 1, 1)


def received(module: nn.Module, path: str, policy: "Policy") -> bool:
    """Note whether a module at a path has parameters; tell whether something was put into it that has none."""
    if policy.recording:
        policy.met(PARAMETERS, path, alone=not _is_bare(module))
    elif _is_bare(module) and policy.expects(PARAMETERS, path) and policy.filling is not None:
        module._parameters[_INSTEAD] = nn.Parameter(torch.full(_SHAPE, policy.filling))
        module._modules[_INSTEAD] = nn.Identity()
        return True
    return False


def restore(module: nn.Module) -> None:
    """Take out again what was put into a module."""
    module._parameters.pop(_INSTEAD, None)
    module._modules.pop(_INSTEAD, None)


def own(held: dict[str, Any]) -> list[tuple[str, Any]]:
    """Give the parts of a module by name, without what was put into it."""
    return [item for item in held.items() if item[0] != _INSTEAD]


def refill(held: dict[str, Any], items: list[tuple[Any, Any]]) -> None:
    """Let a module have these parts, and what was put into it."""
    if not all(type(name) is str and name and "." not in name for name, _ in items):
        raise ProtocolError("no name")
    instead = {name: value for name, value in held.items() if name == _INSTEAD}
    held.clear()
    held.update(items)
    held.update(instead)


def keeps_parts(parameters: list[Any], layers: list[nn.Module | None], module: nn.Module) -> bool:
    """Tell whether a module would have no other layers, but some if it has some now, and no fewer parameters."""
    held = {id(layer) for layer in module._modules.values()}
    same = all(id(layer) in held for layer in layers) and bool(layers) == bool(held)
    kept = sum(value is not None for _, value in parameters)
    return same and kept >= sum(value is not None for value in module._parameters.values())


def _is_bare(module: nn.Module) -> bool:
    """Tell whether neither a module nor one in it has a parameter; an answer's class may say anything of that."""
    seen: set[int] = set()
    waiting: list[nn.Module | None] = [module]
    while waiting:
        part = waiting.pop()
        if part is not None and id(part) not in seen:
            seen.add(id(part))
            if any(value is not None for value in part._parameters.values()):
                return False
            waiting.extend(part._modules.values())
    return True
