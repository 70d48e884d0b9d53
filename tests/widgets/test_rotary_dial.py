"""RotaryDial: its frequencies and scores against transformers and torch, its mistakes, and its view."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from studium_widgets import RotaryDial
from traitlets import TraitError

MATHS = "widgets/studium_widgets/rotary_dial_maths.js"


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def setting(d: int = 16, layout: str = "half", mistake: str = "none", **extra) -> dict:
    speeds = (10000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)).tolist()
    vectors = {"query": randn(d, seed=1).tolist(), "key": randn(d, seed=2).tolist()}
    return {"speeds": speeds, "gain": 1, "layout": layout, "mistake": mistake} | vectors | extra


def said(page, start: str) -> str:
    page.wait_for_function("(s) => document.querySelector('.st-summary').textContent.startsWith(s)", arg=start)
    return page.locator(".st-summary").inner_text()


@pytest.mark.heavy
@pytest.mark.browser
def test_frequencies_are_those_of_transformers(call_js):
    for d, base, factor, context in [(64, 10000.0, 4.0, 2048), (128, 500000.0, 8.0, 4096)]:
        for method in ["none", "linear", "yarn"]:
            pytest.importorskip("transformers")
            from transformers import LlamaConfig
            from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

            rope = {"rope_type": {"none": "linear"}.get(method, method), "factor": 1.0 if method == "none" else factor}
            rope |= {"rope_theta": base} | ({"original_max_position_embeddings": context} if method == "yarn" else {})
            config = LlamaConfig(
                hidden_size=2 * d,
                num_attention_heads=2,
                max_position_embeddings=int(context * factor),
                rope_parameters=rope,
            )
            expected, gain = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config, torch.device("cpu"))
            options = {"d": d, "base": base, "method": method, "factor": factor, "context": context}
            got = call_js(MATHS, "frequencies", options)
            np.testing.assert_allclose(got["frequencies"], expected.numpy(), rtol=2e-6)
            assert got["gain"] == pytest.approx(gain)


@pytest.mark.browser
def test_linear_slows_each_pair_by_the_factor_and_ntk_the_slowest_alone(call_js):
    plain = call_js(MATHS, "frequencies", {"d": 32, "base": 10000})["frequencies"]
    ntk = call_js(MATHS, "frequencies", {"d": 32, "base": 10000, "method": "ntk", "factor": 4})["frequencies"]
    linear = call_js(MATHS, "frequencies", {"d": 32, "base": 10000, "method": "linear", "factor": 4})["frequencies"]
    assert plain == pytest.approx(setting(32)["speeds"])
    assert linear == pytest.approx([speed / 4 for speed in plain])
    assert ntk[0] == plain[0] == 1
    assert plain[-1] / ntk[-1] == pytest.approx(4)


@pytest.mark.browser
def test_turning_is_multiplication_by_a_complex_unit(call_js):
    for layout in ["half", "interleaved"]:
        vector, here = randn(16), setting()
        speeds = torch.tensor(here["speeds"], dtype=torch.float64)
        pairs = vector.view(2, 8).T if layout == "half" else vector.view(8, 2)
        turned = torch.view_as_real(
            torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones(8).double(), 37 * speeds)
        )
        expected = turned.T.flatten() if layout == "half" else turned.flatten()
        got = call_js(MATHS, "rotate", vector.tolist(), 37, here["speeds"], layout)
        np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.browser
def test_the_score_hangs_on_the_offset_alone_unless_something_is_broken(call_js):
    for layout in ["half", "interleaved"]:
        for mistake in ["none", "key still", "sign", "mixed"]:
            here = setting(layout=layout, mistake=mistake)
            first, second = (call_js(MATHS, "score", here, 40 + shift, 10 + shift) for shift in (0, 100))
            assert (first == pytest.approx(second, abs=1e-12)) == (mistake == "none")


@pytest.mark.browser
def test_the_curve_is_the_score_at_each_offset(call_js):
    for layout in ["half", "interleaved"]:
        for mistake in ["none", "mixed"]:
            here = setting(layout=layout, mistake=mistake, gain=1.1)
            offsets = [0, 1, 17, 40]
            expected = [call_js(MATHS, "score", here, 40, 40 - offset) for offset in offsets]
            np.testing.assert_allclose(call_js(MATHS, "curve", here, 40, offsets), expected, atol=1e-12)


@pytest.mark.browser
def test_only_slow_pairs_meet_angles_that_training_has_not_shown(call_js):
    assert not call_js(MATHS, "unseen", 0.5, 1000, 0.5, 128)
    assert call_js(MATHS, "unseen", 0.01, 300, 0.01, 128)
    assert not call_js(MATHS, "unseen", 0.01, 100, 0.01, 128)
    assert not call_js(MATHS, "unseen", 0.01 / 4, 300, 0.01, 128)


def test_options_out_of_range_are_answered_with_the_range():
    for state, sentence in [
        ({"dimensions": 7}, "dimensions need to be even, because they turn in pairs, got 7"),
        ({"dimensions": 200}, "dimensions needs to be from 4 to 128, got 200"),
        ({"query_position": 2000}, "query_position needs to be from 0 to 1024, got 2000"),
        ({"factor": 0.5}, "factor needs to be from 1 to 16, got 0.5"),
        ({"query": [1.0] * 4}, "query needs 32 numbers, one per dimension, got 4"),
    ]:
        with pytest.raises(TraitError, match=sentence):
            RotaryDial(**state)


def test_the_alternative_text_says_where_the_hands_stand():
    assert "16 dials" in RotaryDial().alt
    assert RotaryDial(mistake="sign").alt.endswith("offset 30, with the mistake “sign”.")


@pytest.mark.browser
def test_moving_both_keeps_the_score_and_moving_one_does_not(mount):
    page = mount(RotaryDial())
    before = said(page, "Offset 30")
    page.get_by_role("switch", name="Move both").check()
    page.get_by_role("slider", name="Query stands at").press("PageUp")
    state = page.state()
    assert state["query_position"] - state["key_position"] == 30
    assert said(page, "Offset 30") == before
    page.get_by_role("switch", name="Move both").uncheck()
    page.get_by_role("slider", name="Key stands at").press("ArrowLeft")
    said(page, "Offset 31")


@pytest.mark.heavy
@pytest.mark.browser
def test_moving_both_stops_at_the_end_with_the_offset_kept(mount):
    page = mount(RotaryDial(query_position=1000, key_position=1020, together=True))
    page.get_by_role("slider", name="Query stands at").press("End")
    state = page.state()
    assert (state["query_position"], state["key_position"]) == (1004, 1024)


@pytest.mark.browser
def test_a_mistake_shows_that_the_score_moves(mount):
    page = mount(RotaryDial())
    page.get_by_label("Put in a mistake").select_option("sign")
    page.wait_for_function(
        "document.querySelector('.st-summary').textContent.includes('no longer depends on the offset')"
    )


@pytest.mark.heavy
@pytest.mark.browser
def test_beyond_the_context_slow_pairs_are_strangers_until_they_are_stretched(mount):
    page = mount(RotaryDial(query_position=500, key_position=0))
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('never showed them')")
    page.get_by_label("Stretch the context by").select_option("linear")
    page.wait_for_function("!document.querySelector('.st-summary').textContent.includes('never showed them')")


@pytest.mark.heavy
@pytest.mark.browser
def test_arrow_keys_go_from_dial_to_dial(mount):
    page = mount(RotaryDial())
    dials = page.get_by_role("application", name="Dials")
    dials.press("ArrowRight")
    said(page, "Pair 0 turns once every 6.283 positions")
    dials.press("ArrowRight")
    said(page, "Pair 1 turns once")


@pytest.mark.heavy
@pytest.mark.browser
def test_each_button_that_plays_says_what_it_plays(mount):
    names = mount(RotaryDial()).locator(".st-play").evaluate_all("(found) => found.map((one) => one.ariaLabel)")
    assert len(names) == len(set(names)) == 2
    assert all(name.startswith("Play ") for name in names)
