"""The messages, as msgspec structs. Those to the judge are a closed union: msgspec refuses all else before it is read.

A node stands for a value: a plain one for itself, a list for all others, whose first item is the tag of a kind.
"""

from typing import Any, Literal

import msgspec

Node = Any
Stream = Literal["stdout", "stderr"]


# ------------------------------------------------------------------------------------------------ to the student


class Surroundings(msgspec.Struct):
    """What is as it is in the judge while a request is served. ``states`` are those of generators that a test set."""

    grad: bool
    dtype: str
    floating: dict[str, str]
    states: list[Any]
    leaf_grads: dict[int, Any] = {}
    released: list[int] = []


class Run(msgspec.Struct):
    """Run a cell; a given one defines what the module ``given`` has on both sides, a ``passing`` one is a test."""

    source: str
    given: bool
    passing: bool
    around: Surroundings


class Get(msgspec.Struct):
    """Give what is under a name."""

    name: str
    around: Surroundings


class Call(msgspec.Struct):
    """Call an object of the student's. ``reads`` names given data. What may change is numbered from ``first`` on.

    ``keep``: the numbers of earlier calls of this test hold as well.
    """

    target: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    reads: tuple[str, ...]
    first: int
    keep: bool
    around: Surroundings


class Ask(msgspec.Struct):
    """Ask an object of the student's for an attribute, an iterator, or the next item."""

    handle: int
    what: Literal["attribute", "iterate", "next"]
    name: str
    around: Surroundings


class Differentiate(msgspec.Struct):
    """Give the gradients of inputs, given those of outputs. The graph ends at results of callbacks."""

    output: int
    inputs: tuple[int, ...]
    gradient: Any
    create_graph: bool
    around: Surroundings


class Returned(msgspec.Struct):
    """What a callback returned, and what it changed: its own arguments, and those of the calls that are open."""

    value: Any
    own: dict[int, Any]
    changes: dict[int, Any]
    states: list[Any]


class Failed(msgspec.Struct):
    """The exception that a callback raised, by its number; of an assertion, no text."""

    name: str
    text: str
    number: int


class Pulled(msgspec.Struct):
    """The gradients that the student asked for with ``Pull``."""

    gradients: list[Any]


Request = Run | Get | Call | Ask | Differentiate


# ------------------------------------------------------------------------------------------------ to the judge


class _ToJudge(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    pass


class Told(_ToJudge, frozen=True):
    """What each message tells besides its value.

    ``walked`` is how many arguments the student's side found, ``changes`` are the numbers of those that changed and
    what they hold now, ``drew`` the generators that were drawn from.
    """

    walked: int
    changes: list[tuple[int, Node]]
    printed: list[tuple[Stream, str]]
    drew: tuple[bool, bool, bool]


class StreamOutput(msgspec.Struct, tag="stream", tag_field="output_type", forbid_unknown_fields=True):
    """What a cell printed."""

    name: Stream
    text: str


class ShownOutput(msgspec.Struct, tag="display_data", tag_field="output_type", forbid_unknown_fields=True):
    """What a cell showed."""

    data: dict[str, str]
    metadata: dict[str, str] = {}


class ResultOutput(msgspec.Struct, tag="execute_result", tag_field="output_type", forbid_unknown_fields=True):
    """The value of a cell's last line."""

    data: dict[str, str]
    execution_count: int
    metadata: dict[str, str] = {}


class ErrorOutput(msgspec.Struct, tag="error", tag_field="output_type", forbid_unknown_fields=True):
    """The error of a cell."""

    ename: str
    evalue: str
    traceback: list[str]


Output = StreamOutput | ShownOutput | ResultOutput | ErrorOutput


class Ran(_ToJudge, frozen=True, tag=0):
    """A cell has run; ``error`` is "" where it came to its end."""

    outputs: list[Output]
    error: str
    drew: tuple[bool, bool, bool]


class Gave(_ToJudge, frozen=True, tag=1):
    """The value that a request gave."""

    value: Node
    told: Told


class Raised(_ToJudge, frozen=True, tag=2):
    """The exception that a request raised: its nearest class of a library, its own name, and what it says.

    ``line`` is the last line of a cell that it went through. ``echo`` is the number of the callback's failure where
    that came through, else -1.
    """

    module: str
    cls: str
    name: str
    args: list[Node]
    text: str
    line: str
    echo: int
    told: Told


class Pull(_ToJudge, frozen=True, tag=3):
    """Differentiate through what a callback returned."""

    result: int
    gradient: Node
    create_graph: bool


class CallBack(_ToJudge, frozen=True, tag=4):
    """Call what a test lent; None for ``args``: the next item of an iterator.

    ``leaves`` are the tensors that the result may depend on, ``walked`` how many of its arguments may change.
    """

    number: int
    args: Node
    leaves: list[int]
    walked: int
    grad: bool
    told: Told


class Broken(_ToJudge, frozen=True, tag=5):
    """The engine's own part of the student's process could not do it; one sentence."""

    sentence: str


ToJudge = Ran | Gave | Raised | Pull | CallBack | Broken
