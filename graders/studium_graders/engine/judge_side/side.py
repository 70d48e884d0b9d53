"""What the judge's side answers the conversation: which objects may come, what of its own it gives out, what counts."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from studium_graders.engine.judge_side.callbacks import Callbacks
from studium_graders.engine.judge_side.estimator_scores import score
from studium_graders.engine.judge_side.open_objects import CALLBACK_SPECIAL, require_harmless, runs
from studium_graders.engine.judge_side.permissions import Permissions
from studium_graders.engine.judge_side.random_state import JudgeState
from studium_graders.engine.judge_side.recording import Crossings
from studium_graders.engine.kinds import handles, proxies, records
from studium_graders.engine.kinds.exceptions import error_node, error_of
from studium_graders.engine.kinds.opaque import Opaque, refuse, what_is
from studium_graders.engine.kinds.proxies import Handle, ProxyClass, handle_of
from studium_graders.engine.kinds.random_generators import is_generator, move_on
from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder
from studium_graders.engine.wire.messages import Node
from studium_graders.engine.wire.paths import CALLBACK, item_of, step
from studium_graders.engine.wire.peer import Peer


@dataclass
class JudgeSide:
    """Asks the permissions for everything. ``secret`` is what random generators go on by.

    ``refusal`` is the first TypeError that was the judge's own: a test may have taken it for one of the student's code.
    """

    permissions: Permissions
    ask: Callable[..., Any]
    secret: bytes
    output_kb: int
    state: JudgeState
    refusal: TypeError | None = None
    open_paths: list[str] = field(default_factory=list)
    """Where the results of the requests come from that wait for their answers, the outermost first."""
    echoes: list[BaseException] = field(default_factory=list)
    crossings: Crossings | None = None
    _moved: set[int] = field(default_factory=set)

    trusting = False
    fatal = (ProtocolError,)
    shown_special = CALLBACK_SPECIAL

    def stand_on(self, peer: Peer) -> None:
        """Begin to answer for a peer."""
        self._peer = peer
        self._callbacks = Callbacks(peer)
        if self.crossings is not None:
            self.crossings.stand_on(peer)

    # ------------------------------------------------------------------------------------------------ the conversation

    def request(self, operation: str, *operands: Any, path: str = "") -> Any:
        """Ask the student's process."""
        return self.ask(operation, *operands, path=path)

    def crossed(self, objects: list[Any]) -> None:
        """Keep what the test may change, where the reference is recorded, and note what records hold."""
        if self.crossings is not None:
            self.crossings.note(objects)
            for value in objects:
                self._note_parts(value, f"{type(value).__name__}()")

    def _note_parts(self, value: Any, path: str, deepest: int = 4) -> None:
        """Note where the records that a test makes hold others: an answer may have objects of its own there."""
        for name, part in records.parts_of(value).items() if deepest else ():
            place = step(path, name)
            held, place = (part, item_of(place)) if isinstance(part, list | tuple) else ([part], place)
            for item in held:
                if records.parts_of(item) or proxies.is_proxy(item):
                    self.permissions.note("record", place)
                    self._note_parts(item, place, deepest - 1)

    def begin(self) -> None:
        """Start the clock of a request that is not part of another."""
        self._peer.start_clock()
        self.state.begin()
        self._moved.clear()
        self.echoes.clear()

    def perform(self, operation: str, operands: list[Any]) -> Any:
        """Do what the student's code asks of an object that a test gave to it."""
        self._callbacks.grad = self.state.grad
        return self._callbacks.perform(operation, operands)

    def answering(self, operation: str) -> AbstractContextManager[None]:
        """Answer as the judge is."""
        return nullcontext()

    def arrival_path(self) -> str:
        """Return the path of what the student's code passes to a callback."""
        return (self.open_paths[-1] if self.open_paths else "") + CALLBACK

    def take_change(self, value: Any, content: Any) -> None:
        """Take over what the student's code made of an argument; a random generator goes on by the secret instead."""
        if not is_generator(value):
            self._peer.arguments.overwrite(value, content)
            self.crossed([value])
        elif id(value) not in self._moved:
            self._moved.add(id(value))
            move_on(value, self.secret)

    def refused(self, error: TypeError) -> TypeError:
        """Take note of a refusal of the judge's own, which is about to be raised."""
        self.refusal = self.refusal or type(error)(*error.args)  # without the frames that the other one keeps
        return error

    def error_node(self, error: BaseException, encoder: Encoder) -> Node:
        """Return the node of an exception that a test's object raised."""
        return error_node(error, encoder)

    def error_of(self, node: Node, decoder: Decoder) -> BaseException:
        """Return the exception that the student's code raised."""
        return error_of(node, decoder)

    def show_text(self, parts: list[Any]) -> None:
        """Print what the student's code printed."""
        for name, text in parts[: self.output_kb]:
            (sys.stderr if name == "stderr" else sys.stdout).write(str(text)[: self.output_kb << 10])

    def is_own_file(self, filename: str) -> bool:
        """Return that no line of the judge's own code is shown."""
        return False

    # ------------------------------------------------------------------------------------------------ what goes out

    def hand_out(self, value: Any, encoder: Encoder) -> Node:
        """Return the node of an object of the judge's; KeptError for one that must not be asked for anything."""
        if type(value) is Opaque:
            refuse(value)
        require_harmless(value)
        return handles.hand_out(value, encoder)

    def keeps(self, value: Any, encoder: Encoder) -> bool:
        """Return that an instance which extends plain data goes as the data that it is."""
        if self.crossings is not None:
            self.crossings.note_extended(type(value))
        return False

    def defines(self, lineage: list[type], name: str) -> bool:
        """Return whether student code may have an instance of a class run a dunder method."""
        return bool(lineage) and any(vars(cls).get(name) is not None for cls in lineage) and runs(lineage[0], name)

    def score_of(self, value: Any) -> str:
        """Return nothing: the judge's own estimators have their own score."""
        return ""

    # ------------------------------------------------------------------------------------------------ what comes in

    def admits(self, path: str, kind: str, names: tuple[str, ...]) -> bool:
        """Ask the permissions."""
        return self.permissions.admits(path, kind, names)

    def admits_layers(self, module: nn.Module) -> bool:
        """Return whether a call may put other layers into a module of the test's, as the reference's does."""
        path = self.open_paths[-1] if self.open_paths else ""
        self.permissions.note("layers", path)
        return self.permissions.has("layers", path) or not self.permissions.strict

    def arrived(self, module: nn.Module, decoder: Decoder) -> Any:
        """Return a module of the student's, or Opaque where it has no permission to be here."""
        path, names = decoder.origin, handles.names_of(module)
        if self.admits(path, "module", names):
            return module
        return Opaque(self._peer, path, what_is(module, names[0]))

    def answers(self, value: Any, operator: str, args: tuple[Any, ...]) -> bool:
        """Ask the permissions. Where the reference's object answers for two, the other one could have done so."""
        other = args[0] if args and isinstance(type(args[0]), ProxyClass) else None
        if self.permissions.recording and other is not None:
            self.permissions.answers(handle_of(other).paths, operator, value=False)
        with_value = bool(args) and not proxies.is_proxy(args[0])
        plain = type(value).__name__ in self.permissions.plain
        return self.permissions.answers(handle_of(value).paths, operator, value=with_value, plain=plain)

    def call_method(self, owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method of a student's object; the score of an estimator is computed here from what it predicts."""
        kind = self._score_of(handle_of(owner)) if name == "score" else ""
        return score(kind, owner, *args, **kwargs) if kind else proxies.call_method(owner, name, args, kwargs)

    def _score_of(self, handle: Handle) -> str:
        if self.permissions.recording and handle.score:
            for path in handle.paths:
                self.permissions.note("score", path, handle.score)
        return self.permissions.score_of(handle.paths)

    def do_getattr(self, target: Any, name: str) -> Any:
        """Return an attribute of the judge's own, for the student's code."""
        return self._callbacks.attribute(target, name)

    def kind_of(self, cls: type) -> str | None:
        """Return what kind of plain data the instances of a class are; a given one may have methods, run here."""
        given = cls.__name__ in self.permissions.data and self.permissions.given(cls.__name__) is cls
        return records.kind_of(cls, given=given)

    def given_base(self, cls: type) -> type | None:
        """Return None: instances of the judge's own classes go as what they are."""
        return None

    def given_class(self, name: str) -> Any:
        """Return what the judge's own namespace has under a name."""
        return self.permissions.given(name)

    def admits_attribute(self, cls: type, name: str) -> bool:
        """Return whether an instance of a given class may hold its own value for what the class has, as a tolerance."""
        self.permissions.note("attribute", cls.__name__, name)
        return self.permissions.has("attribute", cls.__name__, name) or not self.permissions.strict

    def met_plain(self, name: str) -> None:
        """Note a class of plain data: a test that calls it makes the reference's objects here."""
        if self.permissions.recording:
            self.permissions.plain.add(name)
            self.permissions.note("record", f"{name}()")

    def met_record(self, path: str) -> None:
        """Note where plain data of a class come from: an answer's own object may come there."""
        self.permissions.note("record", path)
