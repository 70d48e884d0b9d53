"""What a test lends to the student: functions, iterators, and the ``forward`` of modules of its own classes.

They are open while a request of their test is. They can be called and nothing else, and what they raise comes back as
itself where the student's code lets it through.
"""

from typing import Any

import torch

from studium_graders.engine.judge_side.session import Session
from studium_graders.engine.kinds.contents import content_of, copied, is_same, walk
from studium_graders.engine.kinds.table import KINDS
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder
from studium_graders.engine.wire.messages import CallBack, Failed, Pull, Pulled, Returned

_LONGEST = 2000


def answer(session: Session, message: CallBack, buffers: list[memoryview]) -> Returned | Failed:
    """Call what was lent, in the student's grad mode."""
    decoder = Decoder(KINDS, session, buffers)
    called = session.lent(message.number)
    args, kwargs = _arguments(decoder, message)
    session.hear(message.told, decoder, for_now=True)
    own = walk([args, *kwargs.values()], session.is_open, lambda _: False)
    before = [content_of(value, session.is_open) for value in own]
    try:
        with torch.set_grad_enabled(message.grad):
            value = next(called) if message.args is None else _function(called)(*args, **kwargs)
    except BaseException as error:
        return failed(session, error)
    now = [content_of(value, session.is_open) for value in own]
    changed = [index for index in range(len(own)) if not is_same(before[index], now[index])]
    changes = {index: copied(own[index]) for index in changed} if len(own) == message.walked else {}
    session.pending = session.graph.known(message.leaves, decoder.graph)
    return Returned(value, changes, session.arguments.changed(), session.random.changed())


def _arguments(decoder: Decoder, message: CallBack) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if message.args is None:
        return (), {}
    found = decoder.value(message.args)
    if type(found) is not tuple or len(found) != 2 or type(found[0]) is not tuple or type(found[1]) is not dict:
        raise ProtocolError("no arguments")
    args, kwargs = found
    if not all(type(name) is str for name in kwargs):
        raise ProtocolError("no arguments")
    return args, kwargs


def _function(called: Any) -> Any:
    if not callable(called):
        raise ProtocolError("a call of what cannot be called")
    return called


def failed(session: Session, error: BaseException) -> Failed:
    """Return what the student may know of an exception: of an assertion of the test, nothing but that it is one."""
    hidden = isinstance(error, AssertionError)
    session.failures.append(error)
    return Failed(type(error).__name__, "" if hidden else str(error)[:_LONGEST], len(session.failures) - 1)


def pull(session: Session, message: Pull, buffers: list[memoryview]) -> Pulled:
    """Differentiate through what a callback returned."""
    decoder = Decoder(KINDS, session, buffers)
    gradient = decoder.value(message.gradient)
    found = session.graph.pull(message.result, gradient, create_graph=message.create_graph)
    session.pending = [*session.graph.results[message.result][1], *decoder.graph.values()]
    return Pulled(found)
