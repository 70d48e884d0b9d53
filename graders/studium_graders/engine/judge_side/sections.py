"""Small sections of messages: what was printed, which names were bound anew, whether objects are wanted."""

from collections.abc import Callable
from typing import Any

from studium_graders.engine.judge_side.permissions import Permissions
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder
from studium_graders.engine.wire.messages import Node
from studium_graders.engine.wire.paths import CALLBACK, ITEM, item_of
from studium_graders.engine.wire.section import PlainSection


class Printed(PlainSection):
    """Shows what the student's code printed."""

    def __init__(self, show: Callable[[list[Any]], None]) -> None:
        self._show = show

    def read(self, node: Node, decoder: Decoder) -> None:
        """Show text."""
        self._show(node)


class Rebound(PlainSection):
    """Forgets functions and classes whose names stand for something else now."""

    def __init__(self, known: dict[str, Any]) -> None:
        self._known = known

    def read(self, node: Node, decoder: Decoder) -> None:
        """Ask again for these names when they are needed."""
        if type(node) is not list or not all(type(name) is str for name in node):
            raise ProtocolError("no names")
        for name in node:
            self._known.pop(name, None)


class Wanted(PlainSection):
    """Says whether objects are wanted: as the answer to a request, as its items, and for functions that it passes.

    Each of the three may be None, where that is not known. ``open_paths`` are those of the requests under way.
    """

    def __init__(self, permissions: Permissions, open_paths: list[str]) -> None:
        self._permissions, self._open_paths = permissions, open_paths

    def write(self, encoder: Encoder) -> Node:
        """Ask the permissions."""
        if encoder.reply or not self._open_paths:
            return None
        path = self._open_paths[-1]
        return [self._permissions.wants_object(place) for place in (path, item_of(path), path + CALLBACK + ITEM)]
