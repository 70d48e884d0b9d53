"""The three messages of the conversation, as msgspec structs: msgspec refuses all else before anybody looks at it.

A node stands for a value: a plain one for itself, a list for all others, whose first item is the tag of a kind.
"""

from typing import Any

import msgspec

Node = Any
Change = tuple[int, int, Node]
"""Depth of an open request, index of an argument of it, and what the argument holds now."""


class _Message(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    number: int
    """Which request this is, or answers."""
    changes: list[Change]
    """What became of the arguments of open requests. It is read before the value."""
    released: list[int]
    """Objects of the receiver's that the sender needs no more."""
    sections: list[Node]
    """What the message carries beside its value, in the order of ``Peer.sections``."""


class Request(_Message, tag=0):
    """Do something: the name of an operation and the nodes of its operands."""

    operation: str
    operands: list[Node]


class Reply(_Message, tag=1):
    """The value that a request gave."""

    value: Node


class Raised(_Message, tag=2):
    """The exception that a request raised."""

    error: Node


Message = Request | Reply | Raised
