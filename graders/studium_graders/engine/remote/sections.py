"""What a message carries beside its value: text, random state, tensors and modules, a graph, names; and what is met."""

from typing import Any

from studium_graders.engine.remote.decode import Decoder
from studium_graders.engine.remote.encode import Encoder
from studium_graders.engine.remote.gradients import read_graph
from studium_graders.engine.remote.mirrors import Mirrors


class Sections:
    """Completes and reads messages. A side overrides what it has to tell, or wants to know."""

    mirrors: Mirrors

    def complete(self, encoder: Encoder) -> list[Any]:
        """Give what else the message carries."""
        graph = self.graph_node(encoder)
        modules = self.module_nodes(encoder)
        ambient = self.take_ambient(reply=encoder.reply)
        return [self.take_text(), ambient, self.mirrors.nodes(encoder), modules, graph, self.take_rebound()]

    def absorb(self, more: list[Any], decoder: Decoder) -> None:
        """Take in what ``complete`` gave."""
        text, ambient, mirrors, modules, graph, rebound = more
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

    def container(self, value: Any, decoder: Decoder) -> Any:
        """Give a container that has arrived, or what takes its place."""
        return value

    def number(self, value: Any, decoder: Decoder) -> Any:
        """Give a scalar of NumPy's that has arrived, or what takes its place."""
        return value

    def no_items(self, path: str) -> float | None:
        """Give what takes the place of the items that an object does not have; None where it may have none."""
        return None

    def may_shadow(self, cls: type, name: str) -> bool:
        """Tell whether an instance of a given class may hold its own value for what the class has."""
        return True

    def met_object(self, path: str) -> None:
        """Hear that a record has arrived from a path."""

    def met_estimator(self, path: str, value: Any) -> None:
        """Hear that an estimator has arrived from a path."""

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
