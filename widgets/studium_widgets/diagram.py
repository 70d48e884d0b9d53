"""A labelled diagram from a plain SVG file in a topic's folder, in the colours of the page that shows it."""

from __future__ import annotations

from importlib.resources import files
from typing import Self

from traitlets import TraitError, Unicode

from studium_widgets.base import Widget
from studium_widgets.diagram_markup import DiagramError, Markup, read

__all__ = ["Diagram"]


class Diagram(Widget):
    """A diagram, light or dark as the page is, with its description as alternative text and its words as a table.

    svg: the text of an SVG file that draws with the classes of the shared palette and begins with <title> and <desc>.
    docs/diagrams.md has the classes. Raises TraitError for anything else.
    """

    _script = "diagram.js"
    _style = "diagram.css"

    svg = Unicode().tag(sync=True)

    @classmethod
    def from_package(cls, package: str, file: str) -> Self:
        """Return the diagram in ``file`` of a package's folder, such as ("studium_topics.ddpm", "flow.svg").

        Raise TraitError if the file does not exist or is not a diagram.
        """
        try:
            text = (files(package) / file).read_text("utf-8")
        except (ModuleNotFoundError, FileNotFoundError, IsADirectoryError, UnicodeDecodeError) as error:
            reason = "is not text" if isinstance(error, UnicodeDecodeError) else "does not exist"
            raise TraitError(f"a diagram needs its file: {file} in {package} {reason}; check both names") from None
        try:
            return cls(svg=text)
        except TraitError as error:
            raise TraitError(f"{file} in {package}: {error}") from None

    @classmethod
    def example(cls) -> Self:
        return cls.from_package("studium_widgets", "diagram_example.svg")

    @property
    def alt(self) -> str:
        markup = self._markup()
        text = f"{markup.title.rstrip('.:')}. {markup.description}"
        return text if text.endswith((".", "!", "?")) else f"{text}."

    def check(self) -> None:
        self._markup()

    def _markup(self) -> Markup:
        try:
            return read(self.svg)
        except DiagramError as error:
            raise TraitError(str(error)) from None
