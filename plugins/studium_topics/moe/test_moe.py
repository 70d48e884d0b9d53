"""The solutions and the reference against transformers, the claims, and what the widget is given."""

from functools import partial

import pytest
import torch
from studium import Profile
from studium_widgets import ExpertRouter
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.kits.training import one_thread
from studium_topics.moe import exercises, experiment, figures, reference
from studium_topics.moe.experiment import Task, claims, collapse, evenness, language_models, three_layers
from studium_topics.moe.model import Gated, Mixture

SMOKE = Profile("smoke")
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
MODULES = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def single_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with one_thread():
        yield


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def block():
    """A small random MixtralSparseMoeBlock in float64."""
    mixtral = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    config = mixtral.MixtralConfig(hidden_size=12, intermediate_size=20, num_local_experts=5, num_experts_per_tok=3)
    made, generator = mixtral.MixtralSparseMoeBlock(config).double().eval(), seeded(1)
    with torch.no_grad():
        for parameter in made.parameters():  # the library leaves them empty
            parameter.normal_(std=0.5, generator=generator)
    return made.requires_grad_(False)


def tokens(*shape):
    return torch.randn(*shape, generator=seeded(2), dtype=torch.float64)


@MODULES
def test_route_agrees_with_mixtrals_router(ours, block):
    x = tokens(9, 12)
    logits, weights, chosen = block.gate(x)
    found = ours.route(logits, 3)
    torch.testing.assert_close(found[0].float(), weights)  # the library's softmax is in float32
    assert torch.equal(found[1], chosen)


@MODULES
def test_mixture_agrees_with_mixtrals_block(ours, block):
    x = tokens(3, 7, 12)
    weights, chosen = ours.route(x.flatten(0, 1) @ block.gate.weight.T, 3)
    out = ours.mixture(x.flatten(0, 1), chosen, weights, block.experts.gate_up_proj, block.experts.down_proj)
    torch.testing.assert_close(out.view_as(x), block(x), rtol=1e-5, atol=1e-5)


@MODULES
def test_a_layer_with_room_for_all_agrees_with_mixtrals_block_and_one_without_does_not(ours, block):
    x = tokens(3, 7, 12)
    weights = block.gate.weight, block.experts.gate_up_proj, block.experts.down_proj
    out, _, _, dropped = ours.moe_layer(x, *weights, 3, 5 / 3)
    torch.testing.assert_close(out, block(x), rtol=1e-5, atol=1e-5)
    assert dropped == 0
    out, _, _, dropped = ours.moe_layer(x, *weights, 3, 0.5)
    assert dropped >= 0.5
    assert (out - block(x)).abs().max() > 0.1


@MODULES
def test_the_losses_agree_with_mixtrals_and_switchs(ours):
    mixtral = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    switch = pytest.importorskip("transformers.models.switch_transformers.modeling_switch_transformers")
    logits = 2 * tokens(11, 6)
    balance, z = ours.router_losses(logits, logits.topk(2).indices)
    theirs = mixtral.load_balancing_loss_func((logits,), 6, 2)
    assert float(balance) == pytest.approx(float(theirs), rel=1e-5)
    assert float(z) == pytest.approx(float(switch.router_z_loss_func(logits[None])), rel=1e-6)


@MODULES
def test_the_balance_loss_of_a_switch_layer_agrees_with_the_librarys(ours):
    switch = pytest.importorskip("transformers.models.switch_transformers.modeling_switch_transformers")
    x, router = tokens(13, 4), tokens(5, 4).flip(0)
    _, balance = ours.switch_layer(x, router, tokens(5, 6, 4), tokens(5, 4, 6))
    probabilities = (x @ router.T).softmax(-1)
    theirs = switch.load_balancing_loss_func(probabilities[None], probabilities.argmax(-1)[None])
    assert float(balance) == pytest.approx(float(theirs), rel=1e-6)


@MODULES
def test_renumbered_experts_compute_the_same(ours):
    x, router, gate_up, down = tokens(2, 6, 4), tokens(5, 4), tokens(5, 6, 4), tokens(5, 4, 3)
    order = torch.tensor([3, 0, 4, 1, 2])
    first = ours.moe_layer(x, router, gate_up, down, 2, 1.0)
    again = ours.moe_layer(x, router[order], gate_up[order], down[order], 2, 1.0)
    for one, other in zip(first, again, strict=True):
        torch.testing.assert_close(torch.as_tensor(one), torch.as_tensor(other))


@MODULES
def test_the_dense_layers_cost_and_hold_as_much_as_the_mixture(ours):
    cost, size = ours.dense_twins(9, 6, 2)
    x, generator = torch.randn(40, 8, generator=seeded()), seeded(1)
    router = torch.randn(6, 8, generator=generator)
    counts = []
    with FlopCounterMode(display=False) as counter:
        weights, chosen = ours.route(x @ router.T, 2)
        ours.mixture(x, chosen, weights, torch.randn(6, 18, 8), torch.randn(6, 8, 9))
    counts.append(counter.get_total_flops())
    for width in (cost, cost + 1):
        with FlopCounterMode(display=False) as counter:
            Gated(8, width, generator)(x)
        counts.append(counter.get_total_flops())
    assert counts[1] <= counts[0] < counts[2]
    held = sum(p.numel() for p in Mixture(None, 8, 9, 6, generator).parameters())
    assert sum(p.numel() for p in Gated(8, size, generator).parameters()) <= held
    assert sum(p.numel() for p in Gated(8, size + 1, generator).parameters()) > held


def test_mixtral_has_the_published_number_of_parameters_and_of_active_ones():
    attention = 2 * 4096 * 4096 + 2 * 4096 * 1024
    rest = 32 * (attention + 2 * 4096) + 4096 + 2 * 32000 * 4096
    assert reference.parameters(32, 4096, 14336, 8, 2, rest) == (46_702_792_704, 12_879_925_248)


def test_grouped_products_in_bfloat16_agree_with_those_expert_by_expert():
    x, gate_up, down = (
        torch.randn(*s, generator=seeded(i)) for i, s in enumerate(((30, 16), (4, 48, 16), (4, 16, 24)))
    )
    weights, chosen = reference.route(torch.randn(30, 4, generator=seeded(5)) + torch.tensor([3.0, 0, 0, -50]), 2)
    exact = reference.mixture(x, chosen, weights, gate_up, down)
    half = reference.mixture(x.bfloat16(), chosen, weights.bfloat16(), gate_up.bfloat16(), down.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.05, atol=0.05 * float(exact.abs().max()))


def test_the_router_stays_in_float32_under_autocast():
    x, router = torch.randn(64, 16, generator=seeded()), torch.randn(5, 16, generator=seeded(1))
    expected = x.double() @ router.double().T
    with torch.autocast("cpu", torch.bfloat16):
        rough, precise = x @ router.T, reference.router_logits(x, router)
    assert (rough.double() - expected).abs().max() > 1e-3
    torch.testing.assert_close(precise, expected.float())


def test_the_layer_trains_with_bf16_and_compile_asked_for():
    module = reference.layer(16, 24, 4, 2, 1.25)
    before = module.router.detach().clone()
    measured = reference.speed(module, torch.randn(2, 8, 16, generator=seeded()), steps=2, compile=True)
    assert measured.tokens_per_second > 0
    assert not torch.equal(module.router, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_the_layer_agrees_with_the_cpu_and_trains_in_bf16():
    module, x = reference.layer(64, 128, 8, 2, 1.25), torch.randn(2, 32, 64, generator=seeded())
    expected = module(x)
    module.cuda()
    torch.testing.assert_close(module(x.cuda()).cpu(), expected, rtol=1e-4, atol=1e-4)
    assert reference.speed(module, x.cuda(), steps=2).peak_bytes > 0


def test_evenness_is_1_for_an_even_load_and_that_of_two_for_two_experts():
    assert evenness(torch.eye(4).repeat(3, 1), 1) == (pytest.approx(1), 0.25)
    two = torch.tensor([9.0, 8, 0, 0, 0, 0, 0, 0]).expand(5, 8)
    assert evenness(two, 2) == (pytest.approx(1 / 3), 0.5)


def test_a_task_has_one_linear_map_for_each_cluster():
    task = Task.drawn(3)
    x, answers, cluster = task.batch(64, seeded())
    assert x.shape == (4, 16, 17)
    assert bool((x[..., -1] == 1).all())
    for n in (0, 7, 15):
        torch.testing.assert_close(answers[2, n], task.maps[cluster[2, n]] @ x[2, n, :16])


def test_the_three_layers_cost_and_hold_what_they_should_with_either_set_of_functions():
    state = torch.get_rng_state()
    compared, again = (
        three_layers(ours.route, ours.mixture, ours.router_losses, ours.dense_twins, profile=SMOKE, seed=2)
        for ours in (reference, exercises)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert [run.flops for run in compared.runs] == [run.flops for run in again.runs]
    assert [run.error for run in compared.runs] == pytest.approx([run.error for run in again.runs], rel=1e-3)
    judged = [claim for claim in claims if claim.experiment is three_layers and claim.holds_from == "smoke"]
    assert [claim.holds(claim.measure(compared), SMOKE) for claim in judged] == [True]
    assert compared.mixture.flops == 2 * 17 * (8 + 2 * 3 * 16)
    assert 0.98 < compared.equal_size.parameters / compared.mixture.parameters <= 1
    assert compared.frozen.error > compared.equal_size.error
    assert figures.costs(compared).data[1].x[0] == compared.equal_cost.flops


def test_a_router_with_a_head_start_drops_what_the_capacity_says():
    fallen = collapse(exercises.moe_layer, profile=SMOKE, seed=1)
    assert fallen.collapsed.busiest == pytest.approx(0.5, abs=0.01)
    assert fallen.collapsed.dropped == pytest.approx(0.6875, abs=0.01)
    assert fallen.roomy.dropped == 0
    lead = [float(run.logits[:, :2].mean() - run.logits[:, 2:].mean()) for run in (fallen.balanced, fallen.collapsed)]
    assert lead[0] < lead[1]
    assert len(figures.evenness(fallen).data) == 4


def test_a_language_model_with_mixtures_lists_frequent_characters_for_its_experts():
    models = language_models(reference.moe_layer, reference.dense_twins, profile=SMOKE, seed=0)
    assert models.mixture.parameters == pytest.approx(models.equal_size.parameters, rel=0.01)
    assert models.equal_cost.parameters < models.mixture.parameters / 1.5
    lists = experiment.favourites(models.mixture.model, SMOKE)
    assert len(lists) == 8
    assert any(lists)


@pytest.mark.heavy
@pytest.mark.parametrize("measured", [three_layers, collapse])
def test_every_claim_holds_at_laptop_size(measured):
    laptop, names = Profile("laptop"), ("route", "mixture", "router_losses", "dense_twins")
    blocks = [getattr(reference, name) for name in names] if measured is three_layers else [reference.moe_layer]
    result = measured(*blocks, profile=laptop, seed=0)
    judged = [claim for claim in claims if claim.experiment is measured]
    assert [claim.holds(claim.measure(result), laptop) for claim in judged] == [True] * len(judged)


def test_the_widget_shows_the_drops_of_the_learners_layer():
    x, generator = torch.randn(1, 60, 5, generator=seeded()), seeded(1)
    layer = Mixture(partial(exercises.moe_layer, k=2, factor=1.0), 5, 4, 6, generator)
    layer(x)
    widget = ExpertRouter(logits=layer.logits, top_k=2, capacity=1.0)
    assert f"{round(layer.dropped * 120)} of 120 are dropped" in widget.alt
