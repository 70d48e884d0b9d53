"""Whatever bytes come, the judge survives them: frames, structures and requests at random."""

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from studium_graders.engine.limits import Limits
from studium_graders.engine.remote import StudentGone

from .liar import Liar, frame, reply

nodes = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(st.integers(0, 47), inner, inner, inner).map(list)
        | st.tuples(st.integers(0, 47), inner).map(list)
    ),
    max_leaves=12,
)
CALM = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


@CALM
@given(st.binary(max_size=200))
@example(b"\x05\0\0\0")
def test_any_bytes_are_survived(data):
    with pytest.raises(StudentGone):
        Liar(data, limits=Limits(call_seconds=0.02, message_mb=1)).ask(1)


@CALM
@given(nodes, st.integers(1, 2), nodes, st.lists(nodes, min_size=6, max_size=6))
def test_any_structure_is_survived(payload, kind, changes, more):
    message = [kind, 1, None, payload, changes, [], *more]
    liar = Liar(frame(message, [b"12345678", b""]), limits=Limits(call_seconds=0.02, message_mb=1))
    try:
        liar.ask([1], {"a": torch.ones(1)}, lambda: 1)
    except Exception as error:
        assert not isinstance(error, MemoryError)  # noqa: PT017  anything else will do


@CALM
@given(
    nodes, st.sampled_from(["call", "method", "getattr", "setattr", "special", "next", "backward", "run", "perform"])
)
def test_any_request_is_survived(payload, op):
    message = [
        0,
        1,
        op,
        payload if isinstance(payload, list) else [payload],
        [],
        [],
        [],
        [None, True],
        *[None] * 7,
    ]
    liar = Liar(frame(message), reply(3), limits=Limits(call_seconds=0.02, message_mb=1))
    try:
        liar.ask([1], lambda: 1)
    except Exception as error:
        assert not isinstance(error, MemoryError)  # noqa: PT017  anything else will do
