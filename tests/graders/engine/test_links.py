"""Messages between the engine's own processes."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from studium_graders.engine.processes.links import LinkClosedError, receive, receive_bytes, send


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a link."""
    near, far = socket.socketpair()
    with near, far:
        far.settimeout(20)
        yield near, far


def test_messages_come_as_they_were_sent_one_after_the_other(ends):
    near, far = ends
    send(near, {"a": [1, 2]})
    send(near, "b" * 10_000)
    assert receive(far, dict[str, list[int]]) == {"a": [1, 2]}
    assert receive(far, str) == "b" * 10_000


def test_a_length_beyond_the_limit_is_refused_before_memory_is_taken_for_it(ends):
    near, far = ends
    near.sendall(struct.pack("!Q", 1 << 62))
    with pytest.raises(LinkClosedError, match=f"less than {1 << 31} bytes: it has {1 << 62}"):
        receive_bytes(far)


def test_an_end_within_a_message_is_the_end_of_the_link(ends):
    near, far = ends
    near.sendall(struct.pack("!Q", 5) + b"abc")
    near.close()
    with pytest.raises(LinkClosedError):
        receive_bytes(far)


def test_sending_to_nobody_is_the_end_of_the_link(ends):
    near, far = ends
    far.close()
    with pytest.raises(LinkClosedError):
        send(near, "x")
