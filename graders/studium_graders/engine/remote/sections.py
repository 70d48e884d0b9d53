"""What a message carries beside its value: text, random state, tensors and modules, a graph, names, what is kept."""

from collections.abc import Callable
from typing import Any

from studium_graders.engine.remote.decode import Decoder
from studium_graders.engine.remote.encode import Encoder
from studium_graders.engine.remote.gradients import read_graph
from studium_graders.engine.remote.mirrors import Mirrors


class Sections:
    """Completes and reads messages. A side overrides what it has to tell, or wants to know."""

    mirrors: Mirrors
    outward: Callable[[str], str] | None = None
    """What becomes of a text on its way to the other side."""
    inward: Callable[[str], str] | None = None
    """What becomes of a text of the other side's."""

    def complete(self, encoder: Encoder) -> list[Any]:
        """Give what else the message carries."""
        graph = self.graph_node(encoder)
        modules = self.module_nodes(encoder)
        ambient = self.take_ambient(reply=encoder.reply)
        wanted = None if encoder.reply else self.take_wanted()
        mirrors, rebound = self.mirrors.nodes(encoder), self.take_rebound()
        classes = encoder.classes or None
        return [self.take_text(), ambient, mirrors, modules, graph, rebound, wanted, classes, self.take_kept()]

    def absorb(self, more: list[Any], decoder: Decoder) -> None:
        """Take in what ``complete`` gave."""
        text, ambient, mirrors, modules, graph, rebound, wanted, classes, kept = more
        if classes is not None:
            self.read_classes(classes)
        self.show_text(text)
        self.show_ambient(ambient)
        if mirrors is not None:
            self.mirrors.read(mirrors, decoder)
        if modules is not None:
            self.read_modules(modules, decoder)
        if graph is not None:
            read_graph(graph, decoder)
        if rebound is not None:
            self.show_rebound(rebound)
        if kept is not None:
            self.show_kept(kept)
        if wanted is not None:
            self.show_wanted(wanted)

    def graph_node(self, encoder: Encoder) -> Any:
        """Give the node of the outputs that the message holds."""

    def module_nodes(self, encoder: Encoder) -> Any:
        """Give the modules that are new or changed."""

    def read_modules(self, node: Any, decoder: Decoder) -> None:
        """Take in what ``module_nodes`` gave."""

    def take_text(self) -> list[list[str]]:
        """Give what was printed here since the last message."""
        return []

    def show_text(self, parts: list[Any]) -> None:
        """Show what was printed on the other side."""

    def take_ambient(self, *, reply: bool) -> Any:
        """Give what the other side must know of the state of this process."""

    def show_ambient(self, node: Any) -> None:
        """Take in what ``take_ambient`` gave."""

    def take_rebound(self) -> list[str] | None:
        """Give the names that stand for something else here than the other side knows."""

    def show_rebound(self, names: list[str]) -> None:
        """Take in what ``take_rebound`` gave."""

    def read_classes(self, node: Any) -> None:
        """Take in the descriptions of classes."""

    def take_wanted(self) -> list[bool | None] | None:
        """Tell whether objects are wanted in answer to a request, as its items, and for functions that it passes.

        Each of the three may be None, where that is not known.
        """

    def show_wanted(self, node: Any) -> None:
        """Take in what ``take_wanted`` gave."""

    def take_kept(self) -> list[int] | None:
        """Give the numbers of the requests whose arguments are kept here."""

    def show_kept(self, numbers: Any) -> None:
        """Take in what ``take_kept`` gave."""
