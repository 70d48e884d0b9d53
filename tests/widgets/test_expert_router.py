"""ExpertRouter: routing, losses and capacity against torch, its errors, and its view."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from studium_widgets import ExpertRouter
from traitlets import TraitError

MATHS = "widgets/studium_widgets/expert_router_maths.js"
TOKENS, EXPERTS = 50, 6


def logits(seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(TOKENS, EXPERTS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def auxiliary(given: torch.Tensor, k: int) -> torch.Tensor:
    """As transformers' load_balancing_loss_func has it: choices are counted, so that balance gives k."""
    probabilities = given.softmax(-1)
    chosen = torch.nn.functional.one_hot(probabilities.topk(k).indices, EXPERTS).double()
    return EXPERTS * (chosen.sum(1).mean(0) * probabilities.mean(0)).sum()


def route(call_js, given: torch.Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    probabilities = np.array(call_js(MATHS, "softmaxRows", given, TOKENS, EXPERTS)["probabilities"])
    return probabilities, np.array(call_js(MATHS, "topExperts", probabilities, TOKENS, EXPERTS, k))


@pytest.mark.browser
def test_gates_are_the_softmax_over_the_chosen_experts(call_js):
    for k in [1, 2, 6]:
        given = logits()
        probabilities, chosen = route(call_js, given, k)
        np.testing.assert_allclose(probabilities.reshape(TOKENS, EXPERTS), given.softmax(-1), atol=1e-12)
        top = given.topk(k)
        assert chosen.reshape(TOKENS, k).tolist() == top.indices.tolist()
        weights = call_js(MATHS, "gates", probabilities, chosen, TOKENS, EXPERTS, k, True)
        np.testing.assert_allclose(np.reshape(weights, (TOKENS, k)), top.values.softmax(-1), atol=1e-12)
        raw = call_js(MATHS, "gates", probabilities, chosen, TOKENS, EXPERTS, k, False)
        np.testing.assert_allclose(np.reshape(raw, (TOKENS, k)), given.softmax(-1).topk(k).values, atol=1e-12)


@pytest.mark.browser
def test_the_auxiliary_loss_is_that_of_transformers(call_js):
    for k in [1, 2]:
        given = logits()
        probabilities, chosen = route(call_js, given, k)
        load = np.bincount(chosen, minlength=EXPERTS)
        means = np.array(call_js(MATHS, "meanProbabilities", probabilities, TOKENS, EXPERTS))
        got = call_js(MATHS, "auxiliaryLoss", load.tolist(), means, TOKENS)
        assert got == pytest.approx(auxiliary(given, k).item())
        even = np.full(EXPERTS, 1 / EXPERTS)
        assert call_js(MATHS, "auxiliaryLoss", load.tolist(), even, TOKENS) == pytest.approx(k)


@pytest.mark.browser
def test_the_slope_of_the_auxiliary_loss_is_that_of_autograd(call_js):
    for k in [1, 2]:
        given = logits()
        bias = torch.zeros(EXPERTS, dtype=torch.float64, requires_grad=True)
        auxiliary(given + bias, k).backward()
        probabilities, chosen = route(call_js, given, k)
        load = np.bincount(chosen, minlength=EXPERTS)
        got = call_js(MATHS, "auxiliarySlope", probabilities, load.tolist(), TOKENS, EXPERTS)
        np.testing.assert_allclose(got, bias.grad, atol=1e-12)


@pytest.mark.browser
def test_balancing_lowers_the_auxiliary_loss(open_page):
    given = logits()
    given[:, 0] += 3
    descend = """async ([url, logits, tokens, experts]) => {
      const { balancing } = await import(url);
      const after = balancing(Float64Array.from(logits), tokens, experts, 1);
      return [Array.from(after(40)), Array.from(after(0))];
    }"""
    address = f"http://studium.test/{MATHS}"
    bias, start = open_page().evaluate(descend, [address, given.flatten().tolist(), TOKENS, EXPERTS])
    assert start == [0] * EXPERTS
    assert auxiliary(given + torch.tensor(bias), 1) < 0.6 * auxiliary(given, 1)


@pytest.mark.browser
def test_the_z_loss_is_the_mean_squared_logsumexp(call_js):
    got = call_js(MATHS, "softmaxRows", logits(), TOKENS, EXPERTS)["z"]
    assert got == pytest.approx((torch.logsumexp(logits(), -1) ** 2).mean().item())


@pytest.mark.browser
def test_a_bucket_takes_first_choices_first_and_no_more_than_its_limit(call_js):
    chosen = np.array([0, 1, 1, 0, 0, 2, 1, 0])  # four tokens, two choices each
    got = call_js(MATHS, "dispatch", chosen, 4, 2, 3, 2)
    assert got["load"] == [4, 3, 1]
    assert got["kept"] == [1, 0, 1, 0, 1, 1, 1, 0]


@pytest.mark.browser
def test_variation_and_evenness(call_js):
    values = [1.0, 2, 3, 6]
    assert call_js(MATHS, "squaredVariation", values) == pytest.approx(np.var(values) / np.mean(values) ** 2)
    assert call_js(MATHS, "evenness", [5, 5, 5]) == pytest.approx(1)
    assert call_js(MATHS, "evenness", [15, 0, 0]) == pytest.approx(0)


@pytest.mark.browser
def test_noise_has_its_size_and_favour_goes_to_expert_zero(call_js):
    zero = np.zeros(200 * 4)
    options = {"experts": 4, "favour": 2, "noise": 0.5, "seed": 3}
    got = np.reshape(call_js(MATHS, "gateLogits", zero, 200, 4, options), (200, 4))
    assert got.std(0) == pytest.approx([0.5] * 4, abs=0.1)
    assert got.mean(0) == pytest.approx([2, 0, 0, 0], abs=0.15)
    few = call_js(MATHS, "gateLogits", np.arange(8.0), 2, 4, {"experts": 3})
    assert few == [0, 1, 2, 4, 5, 6]


def test_options_out_of_range_are_answered_with_the_range():
    for state, sentence in [
        ({"logits": np.zeros((3, 1))}, "logits need up to 512 tokens and 2 to 64 experts, got 3 × 1"),
        ({"experts": 9}, "experts needs to be from 2 to 8, or 0 for all, got 9"),
        ({"top_k": 9}, "top_k needs to be from 1 to 8, got 9"),
        ({"capacity": 0}, "capacity needs to be from 0.1 to 8, got 0"),
        ({"clusters": [0]}, "clusters need a number from 0 to 5 for each of 128 tokens"),
    ]:
        drawn = ExpertRouter.drawn()
        with pytest.raises(TraitError, match=sentence):
            ExpertRouter(**{"logits": drawn.logits, "clusters": drawn.clusters} | state)


def test_the_alternative_text_counts_as_the_picture_does():
    even = ExpertRouter(logits=np.tile(np.eye(4), (3, 1)), capacity=1.0)
    assert even.alt.startswith("12 tokens go to the top 1 of 4 experts; expert 0 is asked by 3 for 3 places, 0 of 12")
    full = ExpertRouter(logits=np.tile(np.eye(4), (3, 1)), capacity=1.0, favour=5)
    assert "expert 0 is asked by 12 for 3 places, 9 of 12 are dropped" in full.alt


@pytest.mark.browser
def test_the_sentence_agrees_with_python(mount):
    widget = ExpertRouter.example()
    page = mount(widget)
    said = page.locator(".st-summary").inner_text()
    dropped = int(widget.alt.split(", ")[1].split()[0])
    assert f"and {dropped} choices are dropped" in said


@pytest.mark.heavy
@pytest.mark.browser
def test_arrow_keys_go_from_expert_to_expert(mount):
    page = mount(ExpertRouter(logits=np.tile(np.eye(4), (3, 1)), capacity=1.0, favour=5))
    flows = page.get_by_role("application", name="Tokens to experts")
    flows.press("ArrowDown")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('12 tokens ask for 3 places')")
    flows.press("ArrowDown")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('3 places stay empty')")


@pytest.mark.heavy
@pytest.mark.browser
def test_with_fewer_experts_than_k_each_token_asks_all_of_them(mount):
    widget = ExpertRouter.drawn(top_k=4)
    page = mount(widget)
    page.get_by_role("slider", name="Experts E").press("Home")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('ask 2 of 2 experts')")
    widget.experts = 2
    assert widget.alt.startswith("128 tokens go to the top 2 of 2 experts")


@pytest.mark.heavy
@pytest.mark.browser
def test_logits_that_come_from_the_kernel_are_drawn_at_once(mount):
    page = mount(ExpertRouter(logits=np.tile(np.eye(4), (3, 1))))
    page.evaluate(
        """() => { const model = window.views[0].model; const { shape, dtype } = model.get("logits");
          const one = new Float32Array(48).map((_, i) => (i % 4 === 2 ? 9 : 0));
          model.set("logits", { shape, dtype, data: new DataView(one.buffer) }); }"""
    )
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('expert 2 gets 100.0 %')")
