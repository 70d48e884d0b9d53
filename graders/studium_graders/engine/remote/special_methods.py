"""Methods with two underscores of what stands for an object of the other side: they are run there."""

from collections.abc import Callable
from typing import Any

import numpy as np

from studium_graders.engine.remote.decode import RefusedError
from studium_graders.engine.remote.objects import Facts, facts_of, path_of_result
from studium_graders.engine.remote.operators import ASKED, IN_PLACE, LATER
from studium_graders.engine.remote.waiting import coroutine

_TRUTH = ("__bool__", "__len__")


def special_method(name: str) -> Callable[..., Any]:
    """Give the method of a remote class that forwards a dunder."""
    return _OTHER.get(name) or (_later(name) if name in LATER else _at_once(name))


def _at_once(name: str) -> Callable[..., Any]:
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        facts = facts_of(self)
        if name in ASKED and not facts.peer.may_answer(facts.path, name, args):
            return _refused(self, name, args)
        path = path_of_result(facts.path, name)
        result = facts.peer.request("special", self, name, args, kwargs, path=path)
        if name == "__bool__" and result is False:
            facts.peer.met_empty(facts.path)
        nothing = name == "__len__" and result == 0 and facts.peer.no_items(facts.path)
        if name in _TRUTH and not facts.weighed:
            facts.weighed = True
            nothing = nothing or facts.peer.begins_false(facts.path, true=bool(result))
        if nothing:
            raise facts.peer.refused(RefusedError("an object without items where a right answer has some"))
        if result is self and name in IN_PLACE:
            facts.path = path
        return result

    forward.__name__ = forward.__qualname__ = name
    return forward


def _refused(value: Any, name: str, args: tuple[Any, ...]) -> Any:
    """Answer for an object whose operator is not asked, but for whether it refuses: as if it lacked that, then."""
    facts = facts_of(value)
    if name in ("__eq__", "__ne__"):
        return _compared(value, name, *args)
    if name == "__hash__" and facts.made_of is None:
        return object.__hash__(value)
    if name == "__hash__":
        return facts.peer.request("special", value, name, args, {}, path="")
    if facts.peer.request("special", value, name, args, {}, path=path_of_result(facts.path, name)) is NotImplemented:
        return NotImplemented
    sentence = (
        f"an object of the class {type(value).__name__} stands where a plain value is needed: its {name} is not asked"
    )
    raise facts.peer.refused(RefusedError(sentence))


def _item(self: Any, index: Any) -> Any:
    """Give an item; an object without ``__iter__`` has none where there is no first one."""
    facts, first = facts_of(self), type(index) is int and index == 0
    try:
        return _ITEM(self, index)
    except IndexError as error:
        if not (first or facts.begun):
            raise
        return _instead_of(error, facts)
    finally:
        facts.begun |= first


_ITEM = _at_once("__getitem__")


def _compared(value: Any, name: str, other: Any) -> Any:
    """Compare where the answer's word does not count, but for an exception, which a right one does not raise.

    Of two objects that a test made, where the reference has plain data, it does: they are equal, or have other values.
    """
    facts = facts_of(value)
    found = facts.peer.request("special", value, name, (other,), {}, path=path_of_result(facts.path, name))
    values = facts_of(other).made_of if type(other) is type(value) else None
    if facts.made_of is None or values is None or not isinstance(found, int | np.bool_):
        return NotImplemented
    if bool(found) is (name == "__eq__") and values != facts.made_of:
        raise facts.peer.refused(RefusedError(f"two objects of the class {type(value).__name__} are called equal"))
    return found


def _later(name: str) -> Callable[..., Any]:
    """Give a method whose result is awaited."""

    def forward(self: Any, *args: Any) -> Any:
        facts = facts_of(self)
        waiting = coroutine(facts.peer, self, path_of_result(facts.path, name), name, *args)
        return _AFTERWARDS[name](facts, waiting, *args) if name in _AFTERWARDS else waiting

    return forward


def _wait(self: Any) -> Any:
    facts = facts_of(self)
    return coroutine(facts.peer, self, facts.path).__await__()


def _next(self: Any) -> Any:
    facts = facts_of(self)
    try:
        return facts.peer.request("special", self, "__next__", (), {}, path=path_of_result(facts.path, "__next__"))
    except StopIteration as error:
        return _instead_of(error, facts)
    finally:
        facts.begun = True


async def _next_later(facts: Facts, waiting: Any) -> Any:
    try:
        return await waiting
    except StopAsyncIteration as error:
        return _instead_of(error, facts)
    finally:
        facts.begun = True


def _instead_of(end: Exception, facts: Facts) -> Any:
    """Give the next of what takes the place of items where there was none; else raise what tells the end."""
    if not facts.begun:
        facts.instead = iter(facts.peer.no_items(facts.path))
    for item in facts.instead:
        return item
    raise end


def _exit(self: Any, *exc: Any) -> Any:
    facts = facts_of(self)
    path = path_of_result(facts.path, "__exit__")
    return _left(facts, facts.peer.request("special", self, "__exit__", exc, {}, path=path), *exc)


async def _exit_later(facts: Facts, waiting: Any, *exc: Any) -> Any:
    return _left(facts, await waiting, *exc)


def _left(facts: Facts, swallowed: Any, *exc: Any) -> Any:
    """Give what ``__exit__`` gave: no answer keeps an assertion from failing where the reference does not."""
    if swallowed and len(exc) > 1 and _fails_a_test(exc[1]) and not facts.peer.may_swallow(facts.path):
        raise facts.peer.refused(RefusedError("a context manager keeps from the test that it has failed"))
    return swallowed


def _fails_a_test(error: Any) -> bool:
    return isinstance(error, AssertionError) or type(error).__module__.startswith("_pytest.")


_OTHER: dict[str, Callable[..., Any]] = {
    "__await__": _wait,
    "__next__": _next,
    "__exit__": _exit,
    "__getitem__": _item,
}
_AFTERWARDS: dict[str, Callable[..., Any]] = {"__anext__": _next_later, "__aexit__": _exit_later}
