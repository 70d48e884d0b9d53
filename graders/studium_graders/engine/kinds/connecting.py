"""A peer with all that the kinds of values need: what both sides have in common besides single values."""

from typing import Any

from studium_graders.engine.kinds.gradients import Graphs
from studium_graders.engine.kinds.mirrors import Mirrors
from studium_graders.engine.kinds.modules import Modules
from studium_graders.engine.kinds.proxy_classes import ProxyClasses
from studium_graders.engine.kinds.table import KINDS
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.wire.channel import Channel
from studium_graders.engine.wire.peer import Peer, Section


def connect(channel: Channel, limits: Limits, side: Any, *sections: Section) -> Peer:
    """Return a peer for a side; ``sections`` are what that side has to say with each message."""
    peer = Peer(channel, limits, side, KINDS)
    peer.tensors, peer.modules, peer.classes = Mirrors(peer), Modules(peer), ProxyClasses(peer)
    peer.sections = (Graphs(peer), peer.modules, peer.tensors, peer.classes, *sections)
    return peer
