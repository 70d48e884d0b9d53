"""Whatever bytes come, the judge survives them: frames, structures and requests at random."""

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.kinds.table import KINDS
from studium_graders.engine.material.limits import Limits

from .liar import Liar, frame, reply, request

tags = st.sampled_from(sorted(KINDS.by_tag))
integers = st.integers(-(2**63), 2**64 - 1)  # msgpack has no others
nodes = st.recursive(
    st.none() | st.booleans() | integers | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5) | st.tuples(tags, inner, inner, inner).map(list) | st.tuples(tags, inner).map(list)
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
@given(
    nodes,
    st.integers(1, 2),
    st.lists(st.tuples(integers, integers, nodes)),
    st.lists(nodes, min_size=8, max_size=8),
)
def test_any_structure_is_survived(payload, kind, changes, sections):
    message = [kind, 1, changes, [], sections, payload]
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
    said = request(op, payload if isinstance(payload, list) else [payload])
    liar = Liar(said, reply(3), limits=Limits(call_seconds=0.02, message_mb=1))
    try:
        liar.ask([1], lambda: 1)
    except Exception as error:
        assert not isinstance(error, MemoryError)  # noqa: PT017  anything else will do
