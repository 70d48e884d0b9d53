"""The exercises and the reference against transformers, PyTorch and SciPy, the experiments, and the widget's maths."""

import json
import math

import pytest
import torch
from studium import Profile
from torch.utils.flop_counter import FlopCounterMode
from traitlets import TraitError

from studium_topics.kits import training
from studium_topics.swiglu import exercises, experiment, figures, reference
from studium_topics.swiglu.gate import GateLab
from studium_topics.swiglu.model import FeedForward, feed_forward_size, language_model

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/swiglu/gate_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
EXACT = {"rtol": 1e-10, "atol": 1e-10}
KINDS = ("glu", "bilinear", "reglu", "geglu", "swiglu")


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights(width=5, hidden=7, out=5):
    return drawn(hidden, width, seed=1), drawn(hidden, width, seed=2), drawn(out, hidden, seed=3)


@BOTH
def test_a_gated_layer_is_llamas_mlp_with_the_same_weights(ours):
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    for kind, name in [("swiglu", "silu"), ("geglu", "gelu"), ("reglu", "relu"), ("glu", "sigmoid")]:
        from transformers.models.llama.modeling_llama import LlamaMLP

        config = transformers.LlamaConfig(hidden_size=6, intermediate_size=7, num_attention_heads=1, hidden_act=name)
        mlp = LlamaMLP(config).double()
        x = drawn(2, 3, 6)
        found = ours.gated(x, mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight, kind)
        torch.testing.assert_close(found, mlp(x), **EXACT)


@BOTH
def test_a_bilinear_layer_is_homogeneous_of_degree_two(ours):
    x, parts = drawn(4, 5), weights()
    once, scaled = (ours.gated(c * x, *parts, "bilinear") for c in (1.0, 3.0))
    torch.testing.assert_close(scaled, 9 * once, **EXACT)


@BOTH
def test_costs_are_those_that_pytorch_counts_for_the_layer_itself(ours):
    for kind, has_gate in (("relu", False), ("swiglu", True)):
        generator = torch.Generator().manual_seed(0)
        layer = FeedForward(kind, 6, 9, 6, gated=reference.gated, generator=generator)
        with FlopCounterMode(display=False) as counter:
            layer(torch.zeros(11, 6))
        parameters = sum(parameter.numel() for parameter in layer.parameters())
        assert tuple(ours.ffn_cost(11, 6, 9, has_gate)) == (parameters, counter.get_total_flops())


@BOTH
def test_widths_are_those_of_published_models(ours):
    assert [ours.matched_width(4 * width, 256) for width in (4096, 5120, 6656, 8192)] == [11008, 13824, 17920, 22016]
    assert ours.matched_width(3072) == 2048  # Shazeer 2020, section 3.1


@BOTH
def test_the_multipliers_weights_multiply_with_every_self_gated_kind_and_not_with_glu(ours):
    for kind, exact in [("swiglu", 1), ("geglu", 1), ("reglu", 1), ("bilinear", 2), ("glu", None)]:
        parts = [weight.double() for weight in ours.multiplier(3)]
        x = 3 * drawn(50, 6)
        wanted = (x[:, :3] * x[:, 3:]).sum(1)
        found = reference.gated(x, *parts, kind)[:, 0]
        if exact is None:
            assert (found - wanted).abs().max() > 0.5
        else:
            torch.testing.assert_close(found, exact * wanted, **EXACT)


@BOTH
def test_gradients_by_hand_pass_gradcheck_against_the_layer_of_llama(ours):
    class Hand(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *parts):
            ctx.save_for_backward(*parts)
            return reference.gated(*parts, "swiglu")

        @staticmethod
        def backward(ctx, dy):
            return tuple(ours.swiglu_backward(*ctx.saved_tensors, dy))

    parts = [part.requires_grad_() for part in (drawn(4, 5), *weights(out=3))]
    assert torch.autograd.gradcheck(Hand.apply, parts)


@BOTH
def test_intervals_are_those_of_scipys_paired_t_test(ours):
    stats = pytest.importorskip("scipy.stats", reason="SciPy is the oracle")
    for count in (2, 3, 10):
        baseline = (2 + drawn(count)).tolist()
        losses = [b - 0.1 + 0.05 * float(e) for b, e in zip(baseline, drawn(count, seed=1), strict=True)]
        theirs = stats.ttest_rel(losses, baseline).confidence_interval(0.95)
        critical = stats.t.ppf(0.975, count - 1)
        assert experiment.CRITICAL[count] == pytest.approx(critical, abs=1e-3)
        _, low, high = ours.paired_interval(losses, baseline, critical)
        assert (float(low), float(high)) == pytest.approx((theirs.low, theirs.high))


@BOTH
def test_dead_units_never_move_and_others_do_under_adam(ours):
    for kind in KINDS:
        x, (w_gate, w_up, w_down) = drawn(6, 5).abs() + 0.1, weights()
        w_gate[0], w_gate[1], w_up[1], w_up[2], w_down[:, 3] = -w_gate[0].abs(), 0.0, 0.0, 0.0, 0.0
        w_up[4], w_down[:, 4] = 0.0, 0.0
        dead = torch.as_tensor(ours.dead_units(x, w_gate, w_up, w_down, kind))
        parts = [part.clone().requires_grad_() for part in (w_gate, w_up, w_down)]
        optimizer = torch.optim.Adam(parts, lr=1e-3)
        for seed in range(3):
            optimizer.zero_grad()
            (reference.gated(x, *parts, kind) * drawn(6, 5, seed=10 + seed)).sum().backward()
            optimizer.step()
        moved = (parts[0] != w_gate).any(1) | (parts[1] != w_up).any(1) | (parts[2] != w_down).any(0)
        assert torch.equal(dead, ~moved)


def test_the_fused_and_the_lean_layer_are_the_plain_one_with_its_gradients():
    dy = drawn(4, 5, seed=9)
    found = []
    for layer in (
        lambda x, g, u, d: reference.gated(x, g, u, d, "swiglu"),
        lambda x, g, u, d: reference.fused_gated(x, torch.cat([g, u]), d, "swiglu"),
        reference.lean_swiglu,
    ):
        parts = [part.requires_grad_() for part in (drawn(4, 5), *weights())]
        out = layer(*parts)
        found.append((out, *torch.autograd.grad(out, parts, dy)))
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            torch.testing.assert_close(two, one, **EXACT)


def kept(layer, *parts):
    """Return how many arrays of the hidden size autograd keeps."""
    pointers = set()

    def pack(tensor):
        if tensor.numel() == 40 * 7:
            pointers.add(tensor.data_ptr())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        alive = layer(*parts)
    assert alive.requires_grad
    return len(pointers)


def test_the_lean_layer_keeps_one_hidden_array_less_than_the_plain_one():
    parts = [part.requires_grad_() for part in (drawn(40, 5), *weights())]
    assert kept(lambda *parts: reference.gated(*parts, "swiglu"), *parts) == 4  # gate, activated, value, product
    assert kept(reference.lean_swiglu, *parts) == 3


@pytest.mark.heavy
def test_a_step_is_timed_on_the_cpu():
    cost = reference.step_cost(reference.lean_swiglu, 8, 16, 24, device="cpu", repeats=1)
    assert cost.seconds > 0
    assert cost.peak_bytes == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_the_lean_layer_needs_less_memory():
    def plain(x, w_gate, w_up, w_down):
        return reference.gated(x, w_gate, w_up, w_down, "swiglu")

    sizes = {"tokens": 4096, "width": 1024, "hidden": 2730, "repeats": 2}
    assert (
        reference.step_cost(reference.lean_swiglu, **sizes).peak_bytes < reference.step_cost(plain, **sizes).peak_bytes
    )


def test_models_of_one_seed_differ_in_their_feed_forward_layers_alone():
    before = torch.get_rng_state()
    models = [
        language_model(kind, 3, vocabulary=11, width=16, hidden=hidden, gated=reference.gated)
        for kind, hidden in (("relu", 48), ("swiglu", 32))
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert [feed_forward_size(model) for model in models] == [2 * 2 * 16 * 48] * 2
    ours, theirs = (dict(model.named_parameters()) for model in models)
    shared = [name for name in ours if ".mlp." not in name]
    assert len(shared) == 2 * 6 + 3
    assert all(torch.equal(ours[name], theirs[name]) for name in shared)


@BOTH
def test_the_exact_product_and_the_costs_hold_at_the_smallest_size(ours):
    fitted = experiment.products(ours.gated, ours.multiplier, profile=SMOKE)
    assert fitted.exact < 1e-12
    assert fitted.largest["relu"] > fitted.floor
    assert figures.diagonal(fitted).data[1].name == "SwiGLU"


@BOTH
def test_the_table_has_equal_sizes_and_an_interval_for_each_kind(ours):
    blocks = ours.gated, ours.matched_width, ours.compare, ours.paired_interval
    found = experiment.table(*blocks, profile=SMOKE)
    assert found.unequal < 0.01
    assert found.against_relu["relu"] == (0, 0, 0) == found.against_silu["silu"]
    assert all(low < mean < high for kind, (mean, low, high) in found.against_relu.items() if kind != "relu")
    json.dumps(figures.differences(found).to_plotly_json(), default=list)


def test_relu_gates_die_and_silu_gates_do_not():
    found = experiment.dead_gates(reference.gated, exercises.dead_units.solution, profile=SMOKE)
    assert found.most_dead("reglu") > 0.5 > found.most_dead("swiglu") == 0


def test_the_images_in_the_browser_are_those_of_the_layer(call_js):
    for pair in [False, True]:
        for kind in KINDS:
            angles = (20, -75)
            settings = {"kind": kind, "beta": 1, "gateAngle": angles[0], "valueAngle": angles[1], "pair": pair}
            found = call_js(MATHS, "images", settings, 5, 2)
            side = torch.linspace(-2, 2, 5, dtype=torch.float64)
            x = torch.stack([side.repeat(5), side.flip(0).repeat_interleave(5)], 1)
            w_gate, w_up = (
                torch.tensor([[math.cos(math.radians(angle)), math.sin(math.radians(angle))]], dtype=torch.float64)
                for angle in angles
            )
            units = (w_gate, w_up) if not pair else (torch.cat([w_gate, -w_gate]), torch.cat([w_up, -w_up]))
            wanted = reference.gated(x, *units, torch.ones(1, len(units[0]), dtype=torch.float64), kind)[:, 0]
            torch.testing.assert_close(torch.tensor(found["product"]).double(), wanted, rtol=1e-6, atol=1e-6)
            if pair and kind in ("swiglu", "geglu", "reglu"):
                assert found["off"] < 1e-12
            if not pair and kind == "swiglu":
                assert found["off"] > 0.3


def test_a_sharp_gate_is_a_relu_and_a_blunt_one_half_of_its_input(call_js):
    settings = {"kind": "swiglu", "gateAngle": 0, "valueAngle": 90, "pair": False}
    sharp, relu = (
        call_js(MATHS, "images", settings | change, 5, 2)["gate"]
        for change in ({"beta": 50}, {"kind": "reglu", "beta": 1})
    )
    assert sharp == pytest.approx(relu, abs=1e-6)
    blunt = call_js(MATHS, "images", settings | {"beta": 1e-4}, 5, 2)["gate"]
    assert blunt[:5] == pytest.approx([-1, -0.5, 0, 0.5, 1], abs=1e-3)


def test_the_lab_refuses_an_activation_that_no_gate_has():
    with pytest.raises(TraitError):
        GateLab(kind="relu")
    assert "20°" in GateLab.example().alt
