"""What a side of the conversation may answer, allow or take note of."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from studium_graders.engine.remote.decode import Decoder
from studium_graders.engine.remote.encode import Encoder
from studium_graders.engine.remote.mirrors import Mirror
from studium_graders.engine.remote.writeback import Frame


class Hooks:
    """What ``Peer`` leaves to its subclasses, with what holds where they say nothing."""

    @property
    def awaits(self) -> bool:
        """Tell whether something of the other side's is awaited, which may raise what it was given."""
        return False

    def is_own_file(self, filename: str) -> bool:
        """Tell whether the lines of a file may be shown with an exception."""
        return False

    def arrival_path(self) -> str:
        """Say where the objects in a request of the other side come from."""
        return ""

    def perform(self, op: Any, parts: list[Any]) -> Any:
        """Do what a request asks for."""
        raise NotImplementedError

    def export(self, value: Any, encoder: Encoder) -> Any:
        """Give the node of an object that stays on this side."""
        raise NotImplementedError

    def kind_of(self, cls: type) -> str | None:
        """Tell what kind of plain data the instances of a class are, or None."""
        raise NotImplementedError

    def received(self, value: Any, decoder: Decoder) -> Any:
        """Give an array that has arrived, or what takes its place."""
        return value

    def given_base(self, cls: type) -> type | None:
        """Give the given class whose data an instance of another one is sent as, or None."""
        return None

    def keeps(self, value: Any, encoder: Encoder) -> bool:
        """Tell whether an instance of a class stays on this side, although that extends one of plain data."""
        return False

    def may_answer(self, path: str, operator: str, args: tuple[Any, ...]) -> bool:
        """Tell whether an object of the other side may answer an operator."""
        return True

    def made(self, facts: Any, cls: type, values: tuple[Any, ...]) -> None:
        """Hear from what values this side has had an object made."""

    def container(self, value: Any, decoder: Decoder) -> Any:
        """Give a container that has arrived, or what takes its place."""
        return value

    def number(self, value: Any, decoder: Decoder) -> Any:
        """Give a scalar of NumPy's that has arrived, or what takes its place."""
        return value

    def missing(self, value: Any, decoder: Decoder) -> Any:
        """Give a value that may be None or NaN, or what takes its place."""
        return value

    def part(self, value: torch.Tensor, mirror: Mirror, decoder: Decoder) -> torch.Tensor:
        """Give what a tensor holds that both sides have, or what takes its place."""
        return value

    def gradient(self, value: torch.Tensor, path: str) -> torch.Tensor:
        """Give a gradient through what came from a path, or what takes its place."""
        return value

    def may_swallow(self, path: str) -> bool:
        """Tell whether a context manager may keep an assertion from failing."""
        return True

    def no_items(self, path: str) -> tuple[float, ...]:
        """Give what takes the place of the items that an object does not have; () where it may have none."""
        return ()

    def met_empty(self, path: str) -> None:
        """Hear that an object is false, and so may have no items."""

    def may_shadow(self, cls: type, name: str) -> bool:
        """Tell whether an instance of a given class may hold its own value for what the class has."""
        return True

    def met_object(self, path: str) -> None:
        """Hear that a record has arrived from a path."""

    def met_record(self, cls: Any) -> None:
        """Hear of a class that stands here for a dataclass of the other side's."""

    def met_estimator(self, path: str, value: Any) -> None:
        """Hear that an estimator has arrived from a path."""

    def refused(self, error: TypeError) -> TypeError:
        """Take note of a refusal of this side's own, which is about to be raised."""
        return error

    def do_getattr(self, target: Any, name: str) -> Any:
        """Give an attribute of an object of this side."""
        return getattr(target, name)

    def proxy(self, node: list[Any], decoder: Decoder) -> Any:
        """Give what stands here for an object of the other side."""
        raise NotImplementedError

    def accepts_change(self, mirror: Any) -> bool:
        """Tell whether the other side may change a tensor or a module that both have."""
        return True

    def accepts_gradient(self, mirror: Any) -> bool:
        """Tell whether the other side may change the gradient of such a tensor."""
        return True

    def rebuilt(self, module: nn.Module) -> None:
        """Hear that the other side has put other parts, or another forward pass, into a module of this side's."""

    def takes_layers(self, module: nn.Module) -> bool:
        """Tell whether the other side may put other layers into a module of this side's."""
        return True

    def takes_forward(self, module: nn.Module) -> bool:
        """Tell whether the other side may replace the forward pass of a module of this side's."""
        return True

    def changed(self, frame: Frame, index: Any, content: Any) -> None:
        """Take in what the other side made of an argument."""
        frame.write(index, content)

    def takes_method(self, name: str) -> bool:
        """Tell whether a module may have a method of its own in place of that of all modules."""
        return name != "forward"

    def begins_false(self, path: str, *, true: bool) -> bool:
        """Tell whether an object at a path must not be false, or empty, the first time that this is asked."""
        return False

    def takes_fields(self, name: str, *, some: bool) -> bool:
        """Tell whether a class of this name may say which fields or members it has: some, or none."""
        return True

    def kind_of_call(self) -> str:
        """Tell whether nothing but numbers and texts is passed by what this side asks for."""
        return ""

    def asked(self, number: int, frame: Frame) -> None:
        """Hear that a request of this side's has ended."""

    def answered(self, number: Any, frame: Frame) -> None:
        """Hear that a request of the other side's has ended."""

    def told(self, number: Any, objects: list[Any]) -> None:
        """Hear that this side has answered with objects that may be parts of one of its own."""

    def heard(self, number: int, objects: list[Any]) -> None:
        """Hear that the other side has answered with objects that may be parts of one of its own."""

    def earlier(self, number: int) -> Frame | None:
        """Give the arguments of a request that has ended; None where the other side need not speak of them."""

    def later_changes(self, encoder: Encoder) -> Iterable[list[Any]]:
        """Give what became of arguments of requests that have ended."""
        return ()
