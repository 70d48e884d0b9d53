"""What the judge knows of one test's conversation: what was lent, what is remote, and what may come."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from studium_graders.engine.judge_side.changes import Arguments
from studium_graders.engine.judge_side.graph import Ask, Graph, Inputs
from studium_graders.engine.judge_side.permissions import REMOTE, Watch
from studium_graders.engine.judge_side.random_state import RandomState
from studium_graders.engine.judge_side.remote import Calling, Remote, parts_of
from studium_graders.engine.kinds.exceptions import table_of_classes
from studium_graders.engine.kinds.objects import is_shell
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Open, RefusedError
from studium_graders.engine.wire.given import GIVEN
from studium_graders.engine.wire.messages import Told

_SENTENCES = {
    "remote": "your code gave an object of its own where the reference gives a plain value",
    "argument": "your code gave back an object of the test where the reference gives another",
    "object": "your code gave an object where the reference gives none of its class",
}


class Session:
    """One test: the decoder and the pickler ask it what they need to know."""

    def __init__(
        self, number: int, watch: Watch, asking: Calling, ask: Ask, random: RandomState, is_open: Open, lent: int
    ) -> None:
        self.number, self.watch, self.random = number, watch, random
        self._is_open = is_open
        self.arguments = Arguments(watch, self.is_open)
        self.graph = Graph(self._differentiate, watch.refuse)
        self.failures: list[BaseException] = []
        self.printed_left = 0
        self._asking, self._ask = asking, ask
        self._remotes: dict[int, Remote] = {}
        self._first = lent
        self._lent: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._free = False
        self.pending: Inputs = []  # what the results that are sent next depend on

    # ------------------------------------------------------------------------------------------------ what comes

    def allow(self, word: str, called: str = "") -> None:
        """Raise RefusedError, which sticks, where a test may not receive what the word stands for.

        ``called`` is what the student calls it, for the sentence.
        """
        if not self.watch.allows(word):
            kind, _, name = word.partition(" ")
            called = called or name.rpartition(".")[2]
            raise self.watch.refuse(_SENTENCES[kind] + (f" ({called})" if called else ""))

    def allows(self, word: str) -> bool:
        """Return whether a test may receive it."""
        return self.watch.allows(word)

    def argument(self, number: int) -> Any:
        """Return the judge's own object that was an argument."""
        return self.arguments.value(number)

    def holds(self, value: Any) -> bool:
        """Return whether an argument is here what it is for the student's code."""
        return self.arguments.holds(value)

    def lent(self, number: int) -> Any:
        """Return what was lent. Raise RuntimeError for what an earlier test lent."""
        if number not in self._lent:
            if 0 <= number < self._first:
                raise EndedError("it belongs to a test that has ended")
            raise ProtocolError("no such function")
        return self._lent[number]

    def remote(self, handle: int, word: str) -> Any:
        """Return the Remote of an object that stayed: one object has one."""
        if not self._free:
            self.allow(REMOTE, word)
        self._free = False
        if handle not in self._remotes:
            self._remotes[handle] = Remote(self, handle, word)
        return self._remotes[handle]

    @contextmanager
    def freely(self) -> Iterator[None]:
        """Let a name of the student's be something remote."""
        self._free = True
        try:
            yield
        finally:
            self._free = False

    def output(self, number: int, data: torch.Tensor) -> torch.Tensor:
        """Return a tensor that the student computed."""
        return self.graph.output(number, data)

    def leaf(self, number: int, made: torch.Tensor) -> torch.Tensor:
        """Return the judge's tensor for a leaf that the student made."""
        return self.graph.made(number, made)

    def open_class(self, module: str, name: str) -> type:
        """Return a class of the judge's that says itself that it has this name, and whose instances cross.

        An honest answer may import a module of which no test has heard.
        """
        if type(module) is str and module not in sys.modules:
            raise self.watch.refuse("your code gave an object of a class that the judge does not have")
        cls = vars(sys.modules[module]).get(name) if type(module) is str and type(name) is str else None
        if not isinstance(cls, type) or (cls.__module__, cls.__qualname__) != (module, name) or not self._is_open(cls):
            raise ProtocolError("no class whose objects cross")
        return cls

    def is_open(self, cls: type) -> bool:
        """Return whether instances of a class are looked into."""
        return self._is_open(cls) or is_shell(cls)

    def hear(self, told: Told, decoder: Decoder, *, for_now: bool) -> None:
        """Take over what a message tells besides its value."""
        if told.walked != self.arguments.count():
            raise ProtocolError("arguments that are not those of the call")
        self.arguments.take(told.changes, decoder, for_now=for_now)
        self.random.drawn(told.drew)
        self._show(told)

    def _show(self, told: Told) -> None:
        self.printed_left -= sum(len(text) for _, text in told.printed)
        if self.printed_left < 0:
            raise ProtocolError("more output than a call can have")
        for name, text in told.printed:
            getattr(sys, name).write(text)

    # ------------------------------------------------------------------------------------------------ for a Remote

    @property
    def in_test(self) -> bool:
        """Whether the test runs."""
        return self.watch.open

    def call(self, target: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an object of the student's."""
        self._require_open()
        return self._asking.call(target, args, kwargs)

    def ask(self, handle: int, what: Any, name: str = "") -> Any:
        """Ask an object of the student's for an attribute, an iterator, or the next item."""
        self._require_open()
        return self._asking.ask(handle, what, name)

    def iterated(self) -> None:
        """Hear that an iteration goes on: then a length was asked for as a hint."""
        self.watch.iterated()

    def refuse(self, sentence: str, *, hint: bool = False) -> RefusedError:
        """Return a refusal that sticks; ``hint``: but not where an iteration follows."""
        return self.watch.refuse_unless_hint(sentence) if hint else self.watch.refuse(sentence)

    def _differentiate(self, *args: Any) -> list[Any]:
        self._require_open()
        return self._ask(*args)

    def _require_open(self) -> None:
        if not self.watch.open:
            raise EndedError("a test uses what an earlier test got")

    # ------------------------------------------------------------------------------------------------ what is sent

    def lend(self, value: Any) -> int:
        """Number what a test lends; one object has one number."""
        if id(value) not in self._numbers:
            number = self._first + len(self._lent)
            self._lent[number] = value
            self._numbers[id(value)] = number
        return self._numbers[id(value)]

    @property
    def next_lent(self) -> int:
        """The number of what the next test lends first."""
        return self._first + len(self._lent)

    def handle_of(self, value: Any) -> int | None:
        """Return the handle of a Remote."""
        if type(value) is not Remote:
            return None
        asking, handle, _ = parts_of(value)
        if asking is not self:
            raise self.refuse("a test gives the student what an earlier test got")
        return handle

    def number_of_leaf(self, tensor: torch.Tensor) -> tuple[str, int]:
        """Number a tensor that requires a gradient."""
        return self.graph.number(tensor)

    def number_of_argument(self, value: Any) -> int | None:
        """Return the number of an argument of an open call, where changes of others are told."""
        return self.arguments.number_of(value)


class EndedError(RuntimeError):
    """The student's code calls what an earlier test lent."""


def given_errors() -> dict[tuple[str, str], type[Exception]]:
    """Return the exceptions that given cells define."""
    held = vars(sys.modules[GIVEN]).values() if GIVEN in sys.modules else ()
    return {key: cls for key, cls in table_of_classes(held).items() if key[0] == GIVEN}
