"""A section of messages about which there is nothing more to do than to write it, or to read it."""

from studium_graders.engine.wire.codec import Decoder, Encoder
from studium_graders.engine.wire.messages import Node


class PlainSection:
    """See ``peer.Section``."""

    def write(self, encoder: Encoder) -> Node:
        """Say nothing."""
        return None

    def read(self, node: Node, decoder: Decoder) -> None:
        """Hear nothing."""

    def resend(self) -> None:
        """Do nothing: it is said anew with each message."""

    def sweep(self) -> list[int]:
        """Return nothing: there are no objects here."""
        return []

    def forget(self, number: int) -> None:
        """Do nothing: there are no objects here."""
