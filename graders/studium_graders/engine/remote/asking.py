"""The judge's side asks its policy what may arrive from a student's process, and as what."""

import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import (
    aligned,
    bare_modules,
    empties,
    empty_containers,
    narrow,
    not_a_number,
    records,
    single_numbers,
)
from studium_graders.engine.remote.decode import Decoder, RefusedError
from studium_graders.engine.remote.exports import Side
from studium_graders.engine.remote.frame_parts import kind_of
from studium_graders.engine.remote.functions import RemoteFunction
from studium_graders.engine.remote.known_estimators import measure_by, score_of, scored_by
from studium_graders.engine.remote.mirrors import Mirror
from studium_graders.engine.remote.modules import RemoteModule
from studium_graders.engine.remote.objects import Facts, RemoteClass, facts_of, is_remote
from studium_graders.engine.remote.policy import CONTAINER, PARTS, Policy, item_of, step
from studium_graders.engine.remote.shared_files import SharedFiles
from studium_graders.engine.remote.truth import require_elements
from studium_graders.engine.remote.wire import Channel, ProtocolError

_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_HOLD_ITEMS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Asking(Side):
    """The side that does not trust the other one."""

    def __init__(self, channel: Channel, limits: Limits, policy: Policy) -> None:
        super().__init__(channel, limits)
        self.policy = policy
        self.files: SharedFiles | None = None
        self._put_into: list[nn.Module] = []  # something of which the other side does not hear
        self._others: weakref.WeakValueDictionary[tuple[int, str], RemoteFunction] = weakref.WeakValueDictionary()

    @property
    def outward(self) -> Callable[[str], str] | None:  # type: ignore[override]
        """Let a path in the judge's folder be one in the student's while a test is about files."""
        return None if self.files is None else self.files.outward

    @property
    def inward(self) -> Callable[[str], str] | None:  # type: ignore[override]
        """Let a path in the student's folder be one in the judge's."""
        return None if self.files is None else self.files.inward

    def show_text(self, parts: list[Any]) -> None:
        """Print what the student's code printed."""
        for name, text in parts[: self.limits.output_kb]:
            (sys.stderr if name == "stderr" else sys.stdout).write(str(text)[: self.limits.output_kb << 10])

    def admits(self, path: str, kind: str, names: tuple[str, ...]) -> bool:
        """Ask the policy."""
        return self.policy.admits(path, kind, names)

    def given_class(self, name: str) -> Any:
        """Give what the judge's own namespace has under a name."""
        return self.policy.given(name)

    def kind_of(self, cls: type) -> str | None:
        """Tell what kind of plain data the instances of a class are; a given one may have methods, run here."""
        given = cls.__name__ in self.policy.data and self.policy.given(cls.__name__) is cls
        return records.kind_of(cls, given=given)

    def received(self, value: Any, decoder: Decoder) -> Any:
        """Give an array that has arrived, or what takes the place of one without elements."""
        if kind_of(type(value)):
            require_elements()
            aligned.listen(self.policy.misaligned)
        for doubted in (not_a_number, narrow, single_numbers, empties):
            value = doubted.received(value, decoder, self.policy)
        return value

    def decode(self, message: list[Any], decoder: Decoder) -> Any:
        """Refuse what cannot be read because something takes the place of what is missing in it."""
        try:
            return super().decode(message, decoder)
        except ProtocolError as error:
            if self.policy.filling is None:
                raise
            raise RefusedError("a value of which nothing may be missing") from error

    def number(self, value: Any, decoder: Decoder) -> Any:
        """Give a scalar of NumPy's that has arrived, or what takes its place."""
        if isinstance(value, np.void):
            return self.container(value, decoder)
        return narrow.received(self.missing(value, decoder), decoder, self.policy)

    def missing(self, value: Any, decoder: Decoder) -> Any:
        """Give a value that may be None or NaN, or what takes its place."""
        return not_a_number.received(value, decoder, self.policy)

    def part(self, value: torch.Tensor, mirror: Mirror, decoder: Decoder) -> torch.Tensor:
        """Give what a tensor holds that both sides have, or what takes its place; note whether it lacks something."""
        before, self.policy.unexpected = self.policy.unexpected, set()
        for doubted in (not_a_number, empties):
            value = doubted.checked(value, (decoder.path + PARTS,), self.policy)
        mirror.lacking |= bool(self.policy.unexpected)
        self.policy.unexpected |= before
        return value

    def gradient(self, value: torch.Tensor, path: str) -> torch.Tensor:
        """Give a gradient through what came from a path, or numbers in place of those in it that are none."""
        found: torch.Tensor = not_a_number.checked(value, (step(path, "grad"),), self.policy)
        return found

    @contextmanager
    def filled(self, filling: float, reduction: str = "") -> Iterator[None]:
        """Put something in the place of what is missing, or of several numbers, for a while."""
        self.policy.filling, self.policy.reduction = filling, reduction
        try:
            with self.mirrors.as_if(lambda value: not_a_number.replaced(value, filling)):
                yield
        finally:
            self.policy.filling, self.policy.reduction = None, ""
            while self._put_into:
                bare_modules.restore(self._put_into.pop())

    def container(self, value: Any, decoder: Decoder) -> Any:
        """Give a container that has arrived, or what takes the place of one without items."""
        return empty_containers.item(value, decoder, self.policy)

    def no_items(self, path: str) -> tuple[float, ...]:
        """Give what takes the place of the items that an object does not have; () where it may have none."""
        return empty_containers.no_items(path, self.policy)

    def takes_method(self, name: str) -> bool:
        """Ask the policy about methods that say what a module holds: it is here, and need not be asked for."""
        return super().takes_method(name) and (name not in bare_modules.METHODS or self.policy.takes_method(name))

    def begins_false(self, path: str, *, true: bool) -> bool:
        """Tell whether an object is false at once where the reference's is not, and something takes its place."""
        return empty_containers.begins_false(path, self.policy, true=true)

    def may_swallow(self, path: str) -> bool:
        """Ask the policy."""
        return self.policy.may_swallow(path)

    def met_empty(self, path: str) -> None:
        """Tell the policy."""
        if self.policy.recording:
            self.policy.empties.add(path + CONTAINER)

    def met_plain(self, name: str) -> None:
        """Tell the policy; a test that calls the class makes the reference's objects here, and an answer its own."""
        if self.policy.recording:
            self.policy.plain.add(name)
            self.policy.may_be_own(f"{name}()")

    def takes_fields(self, name: str, *, some: bool) -> bool:
        """Ask the policy: of one without fields, what a test says of all of them holds in any case."""
        return self.policy.takes_fields(name, some=some)

    def may_shadow(self, cls: type, name: str) -> bool:
        """Ask the policy: where no instance of the reference's does, methods go by what the class has."""
        return self.policy.may_shadow(cls.__name__, name)

    def met_object(self, path: str) -> None:
        """Tell the policy."""
        self.policy.may_be_own(path)

    def met_estimator(self, path: str, value: Any) -> None:
        """Tell the policy; let what an answer gives be scored by what the reference's is scored by."""
        measure = scored_by(value)
        self.policy.met_estimator(path, measure)
        wanted = self.policy.scored_by(path)
        if wanted and wanted != measure and not self.policy.recording:
            measure_by(value, wanted)

    def arrived(self, module: nn.Module, decoder: Decoder) -> Any:
        """Give a module; tell the policy where a test finds the layers that it is or has."""
        if bare_modules.received(module, decoder.origin, self.policy):
            self._put_into.append(module)
        if self.policy.recording:
            if not isinstance(module, RemoteModule):
                self.policy.may_be_own(decoder.origin)
            for path in _paths_of_parts(module, decoder.origin, decoder.path):
                self.policy.may_be_own(path)
        return super().arrived(module, decoder)

    def proxy(self, node: list[Any], decoder: Decoder) -> Any:
        """Give what stands here for an object of the student's; what stands for an estimator is scored here."""
        found = super().proxy(node, decoder)
        if isinstance(found, RemoteFunction) and found._path != decoder.origin:
            return self._as_from(found, decoder.origin)
        if isinstance(type(found), RemoteClass):
            self._place(facts_of(found), decoder.origin)
        return found

    def _place(self, facts: Facts, path: str) -> None:
        """Let an object that comes from a path be asked for what the reference's is that comes from there."""
        self.policy.came_again(path, facts.path)
        if facts.path == path:
            facts.path = self.policy.first_path(path)
        if scored_by := self.policy.scored_by(path):
            facts.score = score_of(scored_by)

    def _as_from(self, function: RemoteFunction, path: str) -> RemoteFunction:
        """Give a function that came from another path before: there it may do other things than here."""
        key = id(function), path
        found = self._others.get(key)
        if found is None:
            found = self._others[key] = function.under(path)
            self.under_another(found, function)
        return found

    def may_answer(self, path: str, operator: str, args: tuple[Any, ...]) -> bool:
        """Ask the policy. Where the reference's object answers for two, the other one could have answered as well."""
        both_remote = bool(args) and is_remote(args[0])
        if self.policy.recording and both_remote and isinstance(type(args[0]), RemoteClass):
            self.policy.answers(facts_of(args[0]).path, operator, both_remote=True)
        return self.policy.answers(path, operator, both_remote=both_remote)

    def made(self, facts: Facts, cls: type, values: tuple[Any, ...]) -> None:
        """Note from what a test makes an object of a class whose instances are plain data with the reference."""
        if cls.__name__ in self.policy.plain and _PLAIN.issuperset(map(type, values)):
            facts.made_of = values


def _paths_of_parts(module: nn.Module, path: str, root: str) -> Iterator[str]:
    """Give where the parts of a module are found: by name, in a container as items, through a part of the ``root``."""
    for name, part in nn.Module.named_children(module):
        place = item_of(path) if isinstance(module, _HOLD_ITEMS) else step(path, name)
        yield from (place, step(root, name))
        yield from _paths_of_parts(part, place, root)
