"""Functions and classes that come unasked with what a cell printed, each as if it had been asked for by its name."""

import types
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from studium_graders.engine.remote.decode import READERS, Decoder, RefusedError
from studium_graders.engine.remote.encode import WRITERS, Encoder
from studium_graders.engine.remote.tags import Tag
from studium_graders.engine.remote.wire import ProtocolError


class Named(dict[str, Any]):
    """Values by the names under which they could be asked for one by one."""


def plain_callables(names: Iterable[Any], namespace: Mapping[str, Any]) -> Named:
    """Give the functions and ordinary classes among what these names stand for."""
    found = {name: namespace[name] for name in names if name in namespace}
    return Named({name: value for name, value in found.items() if type(value) in (types.FunctionType, type)})


def _write(encoder: Encoder, value: Named) -> Any:
    """Write all, or none where one cannot be sent: whoever asks for that one learns why."""
    with suppress(Exception), encoder.peer.all_or_nothing(encoder):
        return [Tag.NAMED, *([name, encoder.encode(item)] for name, item in value.items())]
    return [Tag.NAMED]


def _read(decoder: Decoder, node: list[Any]) -> Named:
    place, values = (decoder.path, decoder.depth), Named()
    for name, item in node[1:]:
        if type(name) is not str or not name.isidentifier():
            raise ProtocolError("no name")
        decoder.path, decoder.depth = name, 0
        with suppress(RefusedError):  # said to whoever asks for it
            values[name] = decoder.decode(item)
    decoder.path, decoder.depth = place
    return values


WRITERS[Named] = _write
READERS[Tag.NAMED] = _read
