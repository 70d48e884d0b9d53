"""How frames are compared with what they were."""

from __future__ import annotations

import pytest
from studium_graders.engine.remote.writeback import same_state, state_of

pd = pytest.importorskip("pandas")


@pytest.mark.parametrize("dtype", ["str", "string", pd.StringDtype("python")])
def test_a_column_of_texts_is_one_item_to_compare_and_each_change_of_it_is_seen(dtype):
    frame = pd.DataFrame({"a": pd.Series([None, *"xyz" * 1000], dtype=dtype)})
    before = state_of(frame)
    assert len(before.items) < 50
    assert same_state(before, state_of(frame.copy()))
    for place, text in ((0, "None"), (5, None), (7, "Q")):
        other = frame.copy()
        other.loc[place, "a"] = text
        assert not same_state(before, state_of(other))
