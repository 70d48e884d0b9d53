"""The token strip: its maths against torch, its controls in a browser, its Python side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from studium_widgets import TokenStrip
from traitlets import TraitError

MATHS = "widgets/studium_widgets/token_strip_maths.js"


def drawn(count: int = 40, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def filtered(call_js: Any, logits: torch.Tensor, temperature: float, **options: Any) -> dict[str, Any]:
    p = call_js(MATHS, "softmax", logits, temperature)
    rank = call_js(MATHS, "ranking", np.array(p))
    return call_js(MATHS, "filter", np.array(p), rank, options) | {"p": np.array(p), "rank": rank}


def kept(scores: torch.Tensor, top_k: int, top_p: float, min_p: float) -> torch.Tensor:
    """The scores that the filters of transformers keep, -inf for the others."""
    if top_k:
        scores = scores.masked_fill(scores < scores.topk(top_k).values[-1], -torch.inf)
    if top_p < 1:
        ordered, at = scores.sort()
        gone = ordered.softmax(-1).cumsum(-1) <= 1 - top_p
        scores = scores.masked_fill(torch.zeros_like(gone).scatter(0, at, gone), -torch.inf)
    if min_p:
        p = scores.softmax(-1)
        scores = scores.masked_fill(p < min_p * p.max(), -torch.inf)
    return scores


@pytest.mark.browser
def test_filters_keep_what_transformers_keeps(call_js):
    tied = torch.tensor([1.0, 3.0, 3.0, 3.0, 0.0, 2.0], dtype=torch.float64)
    for logits, temperature, topK, topP, minP in [  # noqa: N806
        (drawn(), 1.0, 0, 1.0, 0.0),
        (drawn(), 0.7, 8, 1.0, 0.0),
        (drawn(), 1.5, 0, 0.6, 0.0),
        (drawn(), 1.3, 12, 0.8, 0.0),
        (drawn(seed=1), 1.0, 0, 1.0, 0.2),
        (drawn(seed=2), 2.0, 20, 0.9, 0.1),
        (tied, 1.0, 2, 1.0, 0.0),
    ]:
        scores = kept(logits / temperature, topK, topP, minP)
        found = filtered(call_js, logits, temperature, topK=topK, topP=topP, minP=minP)
        assert found["q"] == pytest.approx(scores.softmax(-1).tolist(), rel=1e-9)
        assert found["count"] == int(scores.isfinite().sum())
        assert found["mass"] == pytest.approx((logits / temperature).softmax(-1)[scores.isfinite()].sum().item())


@pytest.mark.browser
def test_temperature_entropy_and_draws_have_their_definitions(call_js):
    logits = drawn()
    assert call_js(MATHS, "softmax", logits, 0.5) == pytest.approx((logits / 0.5).softmax(-1).tolist(), rel=1e-12)
    assert int(np.argmax(call_js(MATHS, "softmax", logits, 0))) == int(logits.argmax())
    p = logits.softmax(-1)
    bits = torch.distributions.Categorical(p).entropy().item() / np.log(2)
    assert call_js(MATHS, "entropy", p) == pytest.approx(bits, rel=1e-12)
    q, rank = [0.5, 0.0, 0.3, 0.2], [0, 2, 3, 1]
    assert [call_js(MATHS, "pick", q, rank, u) for u in (0.001, 0.5, 0.51, 0.8, 0.81, 1.0)] == [0, 0, 2, 2, 3, 3]


@pytest.mark.browser
def test_the_texts_score_is_torchs_cross_entropy(call_js):
    logits = drawn(60).view(6, 10)
    ids = torch.tensor([3, 1, 4, 1, 5, 9])
    probabilities = call_js(MATHS, "likelihoods", logits, 10, ids.tolist(), 1)
    found = call_js(MATHS, "score", np.array(probabilities), 12)
    nats = torch.nn.functional.cross_entropy(logits, ids).item()
    assert found["nats"] == pytest.approx(nats, rel=1e-12)
    assert found["perplexity"] == pytest.approx(np.exp(nats), rel=1e-12)
    assert found["bitsPerByte"] == pytest.approx(6 * nats / np.log(2) / 12, rel=1e-12)


@pytest.mark.browser
def test_a_right_check_gives_the_target_and_each_mistake_does_not(call_js):
    p, q = drawn(8).softmax(-1), drawn(8, seed=1).softmax(-1)
    right = call_js(MATHS, "verified", p, q)
    assert right["alpha"] == pytest.approx(torch.minimum(p, q).sum().item(), rel=1e-12)
    assert right["out"] == pytest.approx(p.tolist(), rel=1e-12)
    assert call_js(MATHS, "residual", p, p) == pytest.approx(p.tolist())
    for mistake in ("resample-target", "swapped-ratio", "always-accept"):
        wrong = call_js(MATHS, "verified", p, q, mistake)
        counts = np.array(call_js(MATHS, "trial", p, q, 40_000, 0, mistake))
        assert wrong["distance"] > 0.02
        assert counts / 40_000 == pytest.approx(wrong["out"], abs=0.01)
    counts = np.array(call_js(MATHS, "trial", p, q, 40_000, 0))
    assert ((counts - 40_000 * p.numpy()) ** 2 / (40_000 * p.numpy())).sum() < 24.3  # chi-squared, 7 degrees, p = 0.001


@pytest.mark.browser
def test_a_check_stops_at_the_first_rejection_and_a_full_draft_earns_a_bonus(call_js):
    p, q = drawn(8).softmax(-1).tolist(), drawn(8, seed=1).softmax(-1).tolist()
    sure = [0.0] * 7 + [1.0]
    same = [{"p": p, "q": p}, {"p": p, "q": p}, {"p": sure}]
    assert call_js(MATHS, "check", same, [0, 1], 0) | {"draws": 0} == {"kept": 2, "token": 7, "bonus": True, "draws": 0}
    never = [{"p": p, "q": p}, {"p": sure, "q": q}, {"p": p}]
    found = call_js(MATHS, "check", never, [0, 1], 0)
    assert (found["kept"], found["token"], found["bonus"], len(found["draws"])) == (1, 7, False, 2)
    alpha, gamma, cost = 0.8, 8, 0.05
    gain = call_js(MATHS, "gain", [alpha] * gamma, cost)
    assert gain["tokens"] == pytest.approx((1 - alpha ** (gamma + 1)) / (1 - alpha))
    assert gain["speedup"] == pytest.approx(3.09, abs=0.005)  # Leviathan et al. 2022: the best gamma for this alpha


@pytest.mark.browser
def test_sliders_cut_tokens_and_the_arrows_choose_a_position(mount):
    page = mount(TokenStrip.example(), width=320)
    page.get_by_role("slider", name="Top-k").press("ArrowRight")
    page.get_by_role("slider", name="Top-k").press("ArrowRight")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('2 of 17')")
    assert page.get_by_role("listitem").filter(has_text="✗ top-k").count() == 8
    chosen = page.locator('[role="option"][aria-selected="true"]')
    strip = page.get_by_role("listbox", name="Text")
    strip.press("Home")
    assert page.state()["position"] == 0
    strip.press("ArrowRight")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('After “the”')")
    assert chosen.inner_text().startswith("cat")
    page.get_by_role("option").nth(3).click()
    assert page.state()["position"] == 3
    page.get_by_label("Greedy").press("Space")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('greedy takes “on”')")
    page.get_by_text("Show as table").click()
    assert page.get_by_role("row").nth(3).inner_text().split()[-1] == "top-k"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.evaluate("window.views[0].abort()")
    assert page.evaluate("window.views[0].model.listening") == 0


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("width", [900, 320])
def test_the_needle_stands_on_the_token_that_is_drawn_and_no_name_is_cut_off(mount, width):
    page = mount(TokenStrip.example(), width=width)
    for seed in range(1, 9):
        page.evaluate("(seed) => window.views[0].model.set('seed', seed)", seed)
        page.drawn()
        line = page.evaluate(
            """() => {
              const parts = [...document.querySelectorAll(".st-cumulated > span:not([hidden])")];
              const [hit, needle] = [".st-hit", "i"].map((part) => document.querySelector(`.st-cumulated > ${part}`).getBoundingClientRect());
              const middle = (needle.left + needle.right) / 2;
              return { on: hit.left - 0.5 <= middle && middle <= hit.right + 0.5,
                       cut: parts.filter((part) => part.scrollWidth > part.clientWidth).map((part) => part.textContent) };
            }"""  # noqa: E501
        )
        assert line == {"on": True, "cut": []}, seed


@pytest.mark.heavy
@pytest.mark.browser
def test_the_numbers_of_a_long_text_follow_a_moved_slider(mount):
    widget = TokenStrip.largest()
    widget.temperature = 1.5
    told = "[...document.querySelectorAll('.st-chip')].map((chip) => `${chip.ariaLabel} ${chip.innerText}`).join()"
    expected = mount(widget)
    expected.wait_for_function("[...document.querySelectorAll('.st-chip')].every((chip) => chip.ariaLabel)")
    wanted = expected.evaluate(told)
    page = mount(TokenStrip.largest())
    page.get_by_role("slider", name="Temperature").fill("1.5")
    page.wait_for_function(f"wanted => {told} === wanted", arg=wanted)


@pytest.mark.heavy
@pytest.mark.browser
def test_a_draft_is_checked_and_a_mistake_shows(mount):
    page = mount(TokenStrip.speculative(), kernel=False)
    marks = page.evaluate("[...document.querySelectorAll('.st-chip')].map((chip) => chip.dataset.mark)")
    kept = marks.count("kept")
    assert marks == ["kept"] * kept + ["cut"] + ["late"] * (4 - kept) + ["new"]
    assert kept >= 1
    assert f"{kept} of 5 drafted tokens are accepted" in page.locator(".st-summary").inner_text()
    assert page.get_by_role("option").nth(kept).get_attribute("aria-label").endswith("rejected")
    off = page.locator("dl > div").nth(1).locator("dd").first
    assert off.inner_text() == "0 %"
    page.get_by_label("Put in a mistake").select_option("resample-target")
    page.wait_for_function("parseFloat(document.querySelectorAll('dd')[2].textContent) > 1")


@pytest.mark.heavy
@pytest.mark.browser
def test_attention_shows_how_much_a_token_looks_at_each_of_the_source(mount):
    vocabulary = ["la", "maison", "bleue"]
    widget = TokenStrip(
        vocabulary=vocabulary,
        logits=np.eye(3) * 3,
        text=[0, 1, 2],
        source=["the", "blue", "house"],
        attention=[[0.9, 0.05, 0.05], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]],
        position=1,
    )
    page = mount(widget)
    notes = page.get_by_role("listbox", name="Source").locator(".st-chip-note").all_inner_texts()
    assert notes == ["10 %", "10 %", "80 %"]


def test_the_alternative_text_names_the_likeliest_token_and_the_settings():
    widget = TokenStrip.example()
    widget.top_k = 3
    assert widget.alt == (
        "Token strip: 5 tokens of 17 and their probabilities; at position 5, “cat” is the likeliest "
        "(temperature 1, top-k 3, top-p 1, min-p 0)."
    )


GOOD: dict[str, Any] = {"vocabulary": ["a", "b"], "logits": [[0.0, 1.0], [1.0, 0.0]], "text": [1]}


def test_what_does_not_fit_is_said_in_one_sentence():
    for state, message in [
        ({"vocabulary": ["a"]}, "one string for each of 2 columns, got 1"),
        ({"text": [1, 0, 1]}, "text needs 2 or 1 tokens for 2 rows, got 3"),
        ({"text": [2]}, "token numbers from 0 to 1, got 2"),
        ({"position": 2}, "position needs to be from 0 to 1, got 2"),
        ({"temperature": -1.0}, "temperature needs to be from 0 to 5, got -1"),
        ({"top_p": 0.0}, "top_p needs to be above 0, got 0"),
        ({"top_k": 3}, "top_k needs to be from 0 to 2, got 3"),
        ({"draft": [[0.0, 1.0]] * 2}, r"draft needs shape \(1, 2\), one row per token, got \(2, 2\)"),
        ({"attention": [[1.0], [1.0]]}, r"attention needs shape \(2, 0\), got \(2, 1\)"),
        ({"logits": [[-np.inf, -np.inf], [0.0, 1.0]]}, "a finite number in each row, got a row of -inf"),
    ]:
        with pytest.raises(TraitError, match=message) as caught:
            TokenStrip(**GOOD | state)
        assert str(caught.value)[0].islower()
