"""Hooks of a test on a module whose passes run on the other side, which calls them from there.

https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_forward_hook
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from studium_graders.engine.remote.decode import Decoder
    from studium_graders.engine.remote.encode import Encoder
    from studium_graders.engine.remote.exports import Side

_FORWARD = ("_forward_pre_hooks", "_forward_hooks")
_BACKWARD = ("_backward_pre_hooks", "_backward_hooks")
_KINDS = (*_FORWARD, *_BACKWARD)

Place = tuple[int, int, bool]
"""Of which kind a hook is, its number on the judge's side, and whether it takes keyword arguments."""


def hooks_of(module: nn.Module) -> list[tuple[Place, Callable[..., Any]]]:
    """Give the hooks on the passes of a module that are no library's; none of the kind that torch has given up."""
    held = vars(module)
    if not any(held[name] for name in _KINDS):
        return []
    return [
        ((kind, number, number in held.get(f"{name}_with_kwargs", ())), hook)
        for kind, name in enumerate(_KINDS)
        for number, hook in held[name].items()
        if not (_is_torchs(hook) or (name == "_backward_hooks" and not module._is_full_backward_hook))
    ]


def _is_torchs(hook: Any) -> bool:
    while isinstance(hook, functools.partial):
        hook = hook.func
    return str(getattr(hook, "__module__", "")).partition(".")[0] == "torch"


def hooks_node(hooks: list[tuple[Place, Callable[..., Any]]], encoder: "Encoder") -> list[Any]:
    """Give the node of hooks: whatever they are, functions go out."""
    return [[*place, encoder.apart(_function(hook))] for place, hook in hooks]


def _function(hook: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return hook(*args, **kwargs)

    return call


class HookOfTest:
    """Stands on the student's side for a hook of a test's."""

    def __init__(self, peer: "Side", function: Any) -> None:
        self._peer, self._function = peer, function

    def __call__(self, module: nn.Module, *args: Any) -> Any:
        """Ask the judge, but for the module that it has called itself: there it has run the hook, or will."""
        return None if self._peer.calls(module) else self._function(module, *args)

    def __deepcopy__(self, _: Any) -> "HookOfTest":
        return self


def put_hooks(module: nn.Module, nodes: list[Any], peer: "Side", decoder: "Decoder") -> None:
    """Let a module of this side call these hooks of a test, and no others of one."""
    held = vars(module)
    for name in _KINDS:
        for key in [key for key, hook in held[name].items() if isinstance(hook, HookOfTest)]:
            del held[name][key]
            held.get(f"{name}_with_kwargs", {}).pop(key, None)
    for kind, number, with_kwargs, function in nodes:
        key = ("test", number)
        held[_KINDS[kind]][key] = HookOfTest(peer, decoder.apart(function))
        if with_kwargs:
            held[f"{_KINDS[kind]}_with_kwargs"][key] = True
        if _KINDS[kind] in _BACKWARD and module._is_full_backward_hook is None:
            module._is_full_backward_hook = True


@contextmanager
def without_backward(called: nn.Module) -> Iterator[None]:
    """Leave out the hooks of a test on the backward pass of a module that the test calls: it runs them itself."""
    held = vars(called)
    taken = [
        (held[name], key, held[name].pop(key))
        for name in _BACKWARD
        for key in [key for key, hook in held.get(name, {}).items() if isinstance(hook, HookOfTest)]
    ]
    try:
        yield
    finally:
        for hooks, key, hook in taken:
            hooks[key] = hook
