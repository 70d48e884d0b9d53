"""The attention heat map: its arithmetic against torch, its errors, and what it shows when it is used."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from studium_widgets import AttentionHeatmap
from traitlets import TraitError

MATHS = "widgets/studium_widgets/attention_maths.js"
TOKENS = ["this", "dog", "barks", ".", "those", "cats", "sleep", "."]
PREDICTIONS = [
    {"position": 0, "words": ["this", "these"], "bidirectional": [1.0, 0.0], "causal": [0.5, 0.5]},
    {"position": 4, "words": ["that", "those"], "bidirectional": [0.0, 1.0], "causal": [0.5, 0.5]},
]


def scores(layers: int = 2, heads: int = 3, size: int = 8) -> torch.Tensor:
    return torch.randn(layers, heads, size, size, generator=torch.Generator().manual_seed(0)) * 2


@pytest.fixture
def heatmap():
    """heatmap(**state) → eight tokens, 2 layers of 3 heads, two words that can be masked."""
    return lambda **state: AttentionHeatmap(
        **({"tokens": TOKENS, "scores": scores(), "predictions": PREDICTIONS} | state)
    )


def expected(given: torch.Tensor, causal: bool, hidden: list[bool] | None, temperature: float) -> torch.Tensor:
    size = given.shape[-1]
    allowed = torch.ones(size, size, dtype=torch.bool)
    if causal:
        allowed = allowed.tril()
    if hidden is not None:
        allowed = allowed & ~torch.tensor(hidden)
    return torch.softmax((given / temperature).masked_fill(~allowed, -torch.inf), -1).nan_to_num()


def said(page, start: str) -> str:
    page.wait_for_function("(s) => document.querySelector('.st-summary').textContent.startsWith(s)", arg=start)
    return page.locator(".st-summary").inner_text()


def bar_values(page) -> list[str]:
    return page.locator(".st-predictions .st-value").all_inner_texts()


@pytest.mark.browser
def test_softmax_with_masks_and_temperature_is_that_of_torch(call_js):
    for temperature in [0.3, 1.0, 4.0]:
        for hidden in [None, [False] * 5 + [True] * 3, [True] + [False] * 7]:
            for causal in [False, True]:
                head = scores()[0, 0].double()
                got = call_js(MATHS, "attend", head, 8, {"causal": causal, "hidden": hidden}, temperature)
                torch.testing.assert_close(
                    torch.tensor(got).reshape(8, 8).double(),
                    expected(head, causal, hidden, temperature),
                    atol=1e-6,
                    rtol=1e-5,
                )


@pytest.mark.browser
def test_weights_masked_again_equal_the_softmax_of_masked_scores(call_js):
    head = scores()[0, 0].double()
    logarithms = call_js(MATHS, "scoresOf", torch.softmax(head, -1))
    got = call_js(MATHS, "attend", np.array(logarithms), 8, {"causal": True, "hidden": None}, 0.5)
    torch.testing.assert_close(
        torch.tensor(got).reshape(8, 8).double(), expected(head, True, None, 0.5), atol=1e-6, rtol=1e-4
    )


@pytest.mark.browser
def test_what_may_not_be_seen_can_be_told_from_zero(call_js):
    open_end = {"causal": True, "hidden": None}
    got = call_js(MATHS, "attend", np.zeros(4), 2, open_end, 1, float("nan"))
    assert [got[0], got[2], got[3]] == [1, 0.5, 0.5]
    assert math.isnan(got[1])


@pytest.mark.browser
def test_spread_is_the_exponential_of_the_entropy_and_the_share_to_the_right(call_js):
    weights = torch.softmax(scores()[0, 0].double(), -1)
    got = call_js(MATHS, "spread", weights, 8, 2)
    assert got["tokens"] == pytest.approx(torch.distributions.Categorical(weights[2]).entropy().exp().item())
    assert got["right"] == pytest.approx(weights[2, 3:].sum().item())


@pytest.mark.browser
def test_the_heaviest_cells_are_those_that_torch_finds(call_js):
    weights = torch.softmax(scores(size=32)[0, 0].double(), -1)
    got = call_js(MATHS, "heaviest", weights, weights.max().item(), 50)
    assert 30 <= len(got) <= 50
    assert got == weights.flatten().topk(len(got)).indices.tolist()


@pytest.mark.browser
def test_a_thumbnail_keeps_the_largest_weight_of_each_stretch(call_js):
    head = scores(size=12)[0, 0].double()
    got = call_js(MATHS, "thumbnail", head, 12, {"causal": False, "hidden": None}, 1, 4)
    rows = torch.softmax(head, -1)[[1, 4, 7, 10]]
    torch.testing.assert_close(
        torch.tensor(got["data"]).reshape(4, 4).double(), rows.reshape(4, 4, 3).amax(-1), atol=1e-6, rtol=0
    )


@pytest.mark.browser
def test_the_colour_scale_ends_on_a_round_number(call_js):
    for value, rounded in [(1, 1), (0.51, 1), (0.5, 0.5), (0.21, 0.5), (0.03, 0.05), (0.012, 0.02)]:
        assert call_js(MATHS, "roundUp", value) == pytest.approx(rounded)


@pytest.mark.browser
def test_one_bright_cell_among_many_does_not_darken_the_rest(call_js):
    got = call_js(MATHS, "scaleTop", np.r_[1.0, np.full(4000, 0.018)])
    assert got == {"range": pytest.approx(0.02), "clipped": True}


def test_parts_that_do_not_fit_are_answered_with_what_was_needed(heatmap):
    for change, sentence in [
        ({"scores": None}, "one of weights and scores is needed, got neither: give one"),
        ({"weights": torch.softmax(scores(), -1)}, "got weights and scores: give one"),
        ({"tokens": ["a"]}, "tokens need one string a row of scores, got 1 for 8"),
        ({"padding": [True]}, "padding needs one boolean a token, got 1 for 8"),
        ({"layer": 2}, "layer needs to be from 0 to 1, got 2"),
        ({"head": -1}, "head needs to be from 0 to 2, got -1"),
        ({"masked": 8}, "masked needs to be from -1 to 7, got 8"),
        ({"temperature": 0.0}, "temperature needs to be above 0, got 0.0"),
        (
            {"scores": None, "weights": scores()},
            "weights need rows that are not negative and sum to 1, got .*: give scores=",
        ),
        ({"scores": scores()[0]}, r"scores needs shape \(layers, heads, tokens, tokens\), got \(3, 8, 8\): add 1 axis"),
        ({"predictions": [{"position": 0}]}, "got none of words, bidirectional, causal: add it"),
        ({"predictions": [PREDICTIONS[0] | {"position": 9}]}, "position needs to be from 0 to 7, got 9"),
        ({"predictions": [PREDICTIONS[0] | {"causal": [0.5]}]}, "causal needs one probability .* for each of 2 words"),
        ({"predictions": [PREDICTIONS[0] | {"causal": [0.5, 50]}]}, "causal needs one probability from 0 to 1"),
    ]:
        with pytest.raises(TraitError, match=sentence):
            heatmap(**change)


@pytest.mark.heavy
def test_arrays_too_large_for_a_notebook_are_refused():
    with pytest.raises(
        TraitError, match=r"scores needs at most 32 MB, got 36 MB: pass fewer layers, such as scores\[:1\]"
    ):
        AttentionHeatmap(tokens=["x"] * 512, scores=np.zeros((3, 12, 512, 512), np.float32))


def test_the_alternative_text_names_the_strongest_key(heatmap):
    for mask in ["bidirectional", "causal"]:
        weights = expected(scores()[1, 2], mask == "causal", None, 2.0)[5]
        widget = heatmap(layer=1, head=2, mask=mask, temperature=2.0, locked=5)
        assert f"“cats” looks most at “{TOKENS[weights.argmax()]}” ({weights.max():.2f})." in widget.alt
        assert f"layer 1, head 2, {mask} mask" in widget.alt


def test_the_alternative_text_survives_a_row_that_sees_nothing(heatmap):
    assert "(0.00)" in heatmap(padding=[True] * 8).alt


def test_the_source_that_each_instance_sends_stays_small(heatmap):
    assert len(heatmap()._esm) < 30_000


@pytest.mark.heavy
@pytest.mark.browser
def test_a_cell_under_the_pointer_is_read_exactly(mount, heatmap):
    page = mount(heatmap(predictions=[]))
    canvas = page.get_by_role("application", name="Attention matrix")
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] - 4, "y": box["height"] - 4})
    value = expected(scores()[0, 0], False, None, 1.0)[7, 7]
    assert f"gives weight {value:.4f} to “.” (7)" in said(page, "“.” (7)")


@pytest.mark.browser
@pytest.mark.parametrize("view", ["matrix", "arcs"])
def test_arrow_keys_read_a_pair_and_enter_locks_its_row(mount, heatmap, view):
    page = mount(heatmap(predictions=[], view=view))
    canvas = page.get_by_role("application", name=f"Attention {view}")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight"):
        canvas.press(key)
    value = expected(scores()[0, 0], False, None, 1.0)[1, 2]
    assert f"“dog” (1) gives weight {value:.4f} to “barks” (2)" in said(page, "“dog” (1)")
    canvas.press("Enter")
    assert page.state()["locked"] == 1
    canvas.press("Enter")
    assert page.state()["locked"] == -1


@pytest.mark.heavy
@pytest.mark.browser
def test_the_causal_mask_says_what_may_not_be_seen(mount, heatmap):
    page = mount(heatmap(predictions=[], mask="causal"))
    canvas = page.get_by_role("application", name="Attention matrix")
    canvas.press("ArrowDown")
    canvas.press("ArrowRight")
    assert "“this” (0) may not look at “dog” (1)" in said(page, "“this”")
    assert said(page, "“this”").endswith("0 % of its attention lies to the right.")


@pytest.mark.heavy
@pytest.mark.browser
def test_toggling_the_mask_makes_the_bars_jump(mount, heatmap):
    page = mount(heatmap(masked=0))
    assert bar_values(page) == ["100 %", "0 %"]
    page.get_by_role("radio", name="Causal").check()
    page.wait_for_function("document.querySelector('.st-predictions .st-value').textContent === '50 %'")
    assert bar_values(page) == ["50 %", "50 %"]
    page.get_by_role("radio", name="Bidirectional").check()
    page.wait_for_function("document.querySelector('.st-predictions .st-value').textContent === '100 %'")


@pytest.mark.browser
def test_a_word_with_predictions_is_masked_by_a_click_and_unmasked_by_another(mount, heatmap):
    page = mount(heatmap())
    assert page.locator("button.st-token").count() == 2
    page.get_by_role("button", name="Mask “those”").click()
    page.wait_for_function("document.querySelectorAll('.st-token')[4].textContent === '[MASK]'")
    assert page.state()["masked"] == 4
    assert bar_values(page) == ["0 %", "100 %"]
    page.get_by_role("button", name="Mask “those”").press("Enter")
    page.wait_for_function("document.querySelectorAll('.st-token')[4].textContent === 'those'")
    assert bar_values(page) == []


@pytest.mark.heavy
@pytest.mark.browser
def test_heads_are_chosen_from_their_pictures_by_arrow_keys(mount, heatmap):
    page = mount(heatmap())
    page.get_by_role("radio", name="Head 0").press("ArrowRight")
    assert page.state()["head"] == 1


@pytest.mark.heavy
@pytest.mark.browser
def test_layer_and_padding_change_the_weights_shown(mount, heatmap):
    page = mount(heatmap(predictions=[], padding=[False] * 6 + [True] * 2, locked=3))
    page.get_by_role("button", name="next layer").click()
    weights = expected(scores()[1, 0], False, [False] * 6 + [True] * 2, 1.0)[3]
    assert f"{weights.max():.4f}" in said(page, f"“.” (3) gives weight {weights.max():.4f}")
    page.get_by_role("switch", name="Hide padding").uncheck()
    weights = expected(scores()[1, 0], False, None, 1.0)[3]
    assert f"{weights.max():.4f}" in said(page, f"“.” (3) gives weight {weights.max():.4f}")


def toy(sentence: str):
    words = sentence.split()
    if "?" in words:
        raise ValueError("no questions")
    return words, torch.zeros(2, 3, len(words), len(words))


def test_a_sentence_of_ones_own_goes_through_the_kernel(heatmap):
    widget = heatmap(on_sentence=toy, locked=7, masked=0)
    widget.set_state({"sentence": "we see"})
    assert (widget.tokens, widget.scores.shape, widget.answered) == (["we", "see"], (2, 3, 2, 2), "we see")
    assert (widget.locked, widget.masked, widget.predictions, widget.problem) == (-1, -1, [], "")
    assert "“we” looks most at “we” (0.50)" in widget.alt


def test_a_sentence_that_fails_leaves_the_picture_and_says_why(heatmap):
    for model, sentence, problem in [
        (toy, "why ?", "ValueError: no questions"),
        (
            lambda text: (["a"], np.zeros((1, 1, 1, 1))),
            "a",
            r"scores need (2, 3) layers and heads, as before: got (1, 1)",
        ),
        (lambda text: (["a", "b"], np.zeros((2, 3, 1, 1))), "a", "tokens need one string a row of scores, got 2 for 1"),
    ]:
        widget = heatmap(on_sentence=model)
        widget.set_state({"sentence": sentence})
        assert problem in widget.problem
        assert (widget.tokens, widget.answered) == (TOKENS, sentence)


@pytest.mark.heavy
@pytest.mark.browser
def test_a_typed_sentence_is_sent_and_its_answer_drawn(mount, heatmap):
    page = mount(heatmap(on_sentence=toy))
    page.get_by_label("Your own sentence").fill("we see")
    page.keyboard.press("Enter")
    assert page.state()["sentence"] == "we see"
    page.evaluate(
        """() => { const model = window.views[0].model;
          model.set("scores", { dtype: "float32", shape: [2, 3, 2, 2], data: new DataView(new ArrayBuffer(96)) });
          for (const [name, value] of [["predictions", []], ["tokens", ["we", "see"]]]) model.set(name, value);
          model.set("answered", "we see"); }"""
    )
    page.wait_for_function("document.querySelector('.st-question .st-note').textContent === 'Shown below.'")
    page.get_by_role("application", name="Attention matrix").press("ArrowRight")
    assert "gives weight 0.5000 to “we” (0)" in said(page, "“we” (0)")
    assert page.locator(".st-token").all_inner_texts() == ["we", "see"]


@pytest.mark.heavy
@pytest.mark.browser
def test_where_no_kernel_answers_a_sentence_says_so(mount, heatmap):
    page = mount(heatmap(on_sentence=toy), kernel=False)
    page.get_by_label("Your own sentence").fill("we see")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_function(
        "document.querySelector('.st-question .st-note').textContent.startsWith('No kernel answers.')"
    )
    assert page.locator(".st-token").first.inner_text() == "this"


RECORD = """() => {
  window.drawn = [];
  const fillText = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
    window.drawn.push(text);
    return fillText.call(this, text, ...place);
  };
}"""


@pytest.mark.heavy
def test_a_long_token_has_room_though_its_width_was_measured_before_the_page_had_its_font(chromium, tmp_path, heatmap):
    tokens = [*TOKENS[:-1], "cabinets"]
    html = heatmap(tokens=tokens, predictions=[])._repr_mimebundle_()[0]["text/html"]
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset='utf-8'>{html}", encoding="utf-8")
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        inside = page.frames[-1]
        inside.evaluate(RECORD)
        inside.get_by_role("application", name="Attention matrix").press("ArrowDown")
        for _ in range(3000):  # `wait_for_function` needs what the page's policy forbids
            if inside.evaluate("drawn.length") >= 2 * len(tokens):
                break
            page.wait_for_timeout(20)
        assert sorted(set(inside.evaluate("drawn"))) == sorted(set(tokens))
