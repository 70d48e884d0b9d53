"""What each side knows of the other's objects: by number, as long as somebody needs them."""

import itertools
import weakref
from typing import Any

from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.messages import Node

MINE, YOURS = "mine", "yours"


class Objects:
    """The objects of this side that the other one may speak of, and the proxies here of the other side's."""

    def __init__(self) -> None:
        self.references: dict[int, Node] = {}  # id() of an object that both know -> its node
        self.released: set[int] = set()
        self.described: dict[int, list[Node]] = {}  # what the other side has said of its objects
        self._own: dict[int, Any] = {}
        self._proxies: dict[int, weakref.ref[Any]] = {}
        self._numbers = itertools.count(1)
        self._fresh: list[int] = []

    def enrol(self, value: Any) -> int:
        """Number an object of this side, so that the other side can speak of it."""
        number = next(self._numbers)
        self._own[number] = value
        self._fresh.append(number)
        self.references[id(value)] = [MINE, number]
        return number

    def own(self, number: Any) -> Any:
        """Return the object that has a number."""
        if type(number) is not int or number not in self._own:
            raise ProtocolError("no such object")
        return self._own[number]

    def is_own(self, value: Any) -> bool:
        """Return whether an object of this side was given to the other one."""
        node = self.references.get(id(value))
        return node is not None and node[0] == MINE

    def adopt(self, number: int, proxy: Any) -> Any:
        """Keep a proxy of the other side's object as long as somebody here uses it, then release that object."""

        def gone(reference: weakref.ref[Any]) -> None:
            if self._proxies.get(number) is reference:
                del self._proxies[number]
                self.references.pop(address, None)
                self.released.add(number)

        address = id(proxy)
        self._proxies[number] = weakref.ref(proxy, gone)
        self.references[address] = [YOURS, number]
        self.released.discard(number)
        return proxy

    def under_another(self, proxy: Any, first: Any) -> Any:
        """Let another proxy go back as the object that the first one stands for; it keeps the first one alive."""
        address = id(proxy)
        self.references[address] = self.references[id(first)]
        weakref.finalize(proxy, self.references.pop, address, None)
        return proxy

    def proxy(self, number: Any) -> Any:
        """Return the proxy of an object of the other side's, or None."""
        reference = self._proxies.get(number)
        return None if reference is None else reference()

    def forget(self, number: Any) -> None:
        """Forget an object that the other side has released."""
        value = self._own.pop(number, None)
        if value is not None:
            self.references.pop(id(value), None)

    def begin_message(self) -> None:
        """Begin to note which objects are numbered."""
        self._fresh = []

    def take_fresh(self) -> list[int]:
        """Return the objects that were numbered for a message that could not be made."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def take_released(self) -> list[int]:
        """Return what the other side need not keep any more."""
        pending, self.released = self.released, set()  # first: collecting garbage may add to the set at any moment
        for number in pending:
            self.described.pop(number, None)
        return sorted(pending)


def unused(kept: dict[int, Any]) -> list[tuple[int, int]]:
    """Take out of ``kept`` what nobody else refers to; return number and former ``id()`` of each."""
    gone = []
    for number in list(kept):
        value = kept.pop(number)
        address, reference = id(value), weakref.ref(value)
        del value
        alive = reference()
        if alive is None:
            gone.append((number, address))
        else:
            kept[number] = alive
    return gone
