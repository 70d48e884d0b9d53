"""Which argument of a call was changed, so that a function which may change one argument may not change another."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from studium_graders.engine.remote.writeback import HOLDERS, is_held

_WITH_ARGUMENTS = ("call", "method", "special")
_STOPPING = frozenset({"__next__", "__anext__", "send", "throw", "asend", "athrow"})


@dataclass
class OpenCall:
    """A request that waits for its answer. ``changed`` has, by ``id()``, the entries of what came back changed."""

    op: str
    path: str
    parts: tuple[Any, ...]
    changed: dict[int, str] = field(default_factory=dict)

    @property
    def may_stop(self) -> bool:
        """Whether its answer may be the end of an iteration."""
        return self.op in ("next", "outcome") or (self.op in ("method", "special") and self.parts[1] in _STOPPING)

    def entry(self, value: Any) -> str:
        """Give ``path#place`` of the argument that is or holds ``value``; the place is "" where none does."""
        path = self.path.removesuffix("()")
        if self.op not in _WITH_ARGUMENTS:
            return f"{path}#"
        args, kwargs = self.parts[-2:]
        named = [*enumerate(args), *dict(kwargs).items()]
        return f"{path}#{next((place for place, argument in named if _holds(argument, value)), '')}"


def _holds(argument: Any, value: Any) -> bool:
    seen: set[int] = set()
    waiting = [argument]
    while waiting:
        item = waiting.pop()
        if item is value:
            return True
        if id(item) not in seen:
            seen.add(id(item))
            waiting.extend(_parts(item))
    return False


def _parts(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        yield from item.keys()
        yield from item.values()
    elif isinstance(item, (list, tuple, set, frozenset)):
        yield from item
    elif isinstance(item, HOLDERS):
        yield item.data
    elif isinstance(item, nn.Module):
        yield from item._modules.values()
        yield from item._parameters.values()
        yield from item._buffers.values()
    elif hasattr(type(item), "__dataclass_fields__") or is_held(type(item)):
        yield from vars(item).values()
