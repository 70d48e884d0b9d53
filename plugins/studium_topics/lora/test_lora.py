"""The exercises and the reference against peft, the experiments at the smallest profile, and the lesson's widget."""

import copy

import pytest
import torch
from studium import Profile
from studium_widgets import RankExplorer
from torch import nn

from studium_topics.kits.tiny_lm import base_model
from studium_topics.lora import exercises, reference
from studium_topics.lora.adapter import Adapter
from studium_topics.lora.experiment import (
    ALL,
    QV,
    adaptation,
    claims,
    code_batches,
    layer_updates,
    loss_on,
    planted_update,
    pretrained,
    write_line,
)

SMOKE = Profile("smoke")


@pytest.fixture(scope="module")
def adapted():
    """Return one adaptation of the reference, for all tests that look at one."""
    return adaptation(reference.inject, profile=SMOKE, seed=0)


AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
MODULES = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def toy() -> nn.Sequential:
    """Return Linears of several shapes, one without a bias, and a name that ends like a target."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(1)
        model = nn.Sequential()
        model.add_module("q", nn.Linear(24, 40))
        model.add_module("act", nn.Tanh())
        model.add_module("seq", nn.Linear(40, 16, bias=False))
        model.add_module("v", nn.Linear(16, 12))
    return model.double()


def peft_model(model: nn.Module, **options: object):
    peft = pytest.importorskip("peft", reason="peft is the oracle")
    config = peft.LoraConfig(r=3, lora_alpha=8, target_modules=["q", "v"], lora_dropout=0.0, **options)
    return peft.get_peft_model(model, config)


def randomised(model: nn.Module) -> nn.Module:
    """Fill each B of a peft model with random numbers, so that there is an update."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=seeded(2), dtype=parameter.dtype))
    return model


def lora_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, layer) for name, layer in model.named_modules() if hasattr(layer, "get_delta_weight")]


@MODULES
def test_the_forward_pass_equals_peft_with_bias_and_alpha_other_than_r(ours):
    for name, layer in lora_layers(randomised(peft_model(toy()))):
        x = torch.randn(2, 5, layer.in_features, generator=seeded(3), dtype=torch.float64)
        base, a, b = layer.base_layer, layer.lora_A["default"].weight, layer.lora_B["default"].weight
        out = ours.lora_linear(x, base.weight, base.bias, a, b, 8)
        torch.testing.assert_close(out, layer(x), rtol=1e-10, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}")


@MODULES
def test_a_merged_weight_equals_pefts(ours):
    model = randomised(peft_model(toy()))
    layers = [(layer, copy.deepcopy(layer.base_layer.weight)) for _, layer in lora_layers(model)]
    factors = [(layer.lora_A["default"].weight, layer.lora_B["default"].weight) for layer, _ in layers]
    deltas = [layer.get_delta_weight("default") for layer, _ in layers]
    plain = model.merge_and_unload()
    for (a, b), (_, frozen), delta, theirs in zip(factors, layers, deltas, (plain.q, plain.v), strict=True):
        merged = ours.merge(frozen, a, b, 8)
        torch.testing.assert_close(merged, theirs.weight, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(merged - frozen, delta, rtol=1e-10, atol=1e-10)


@MODULES
def test_inject_trains_as_many_numbers_as_peft_and_changes_no_output(ours):
    theirs, _ = peft_model(toy()).get_nb_trainable_parameters()
    model = toy().float()
    x = torch.randn(4, 24, generator=seeded())
    before = model(x)
    assert ours.inject(model, {"q", "v"}, 3, 8, seeded()) == theirs == 3 * (24 + 40) + 3 * (16 + 12)
    torch.testing.assert_close(model(x), before)
    assert [name for name, module in model.named_modules() if isinstance(module, Adapter)] == ["q", "v"]


def test_inject_counts_what_peft_counts_in_the_tiny_language_model():
    peft = pytest.importorskip("peft", reason="peft is the oracle")
    for targets, rank in ((QV, 4), (ALL, 1), (ALL, 16)):
        config = peft.LoraConfig(r=rank, lora_alpha=5, target_modules=sorted(targets))
        theirs = peft.get_peft_model(base_model(50), config).get_nb_trainable_parameters()
        model = base_model(50)
        count = reference.inject(model, targets, rank, 5, seeded())
        assert (count, sum(p.numel() for p in model.parameters())) == theirs


def test_an_injected_model_learns_step_by_step_as_pefts_does():
    theirs, ours = peft_model(toy()), toy()
    reference.inject(ours, {"q", "v"}, 3, 8, seeded())
    adapters = [module for module in ours.modules() if isinstance(module, Adapter)]
    with torch.no_grad():
        for adapter, (_, layer) in zip(adapters, lora_layers(theirs), strict=True):
            adapter.a.copy_(layer.lora_A["default"].weight)
    x, y = (torch.randn(8, size, generator=seeded(4), dtype=torch.float64) for size in (24, 12))
    losses = []
    for model in (theirs, ours):
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        for _ in range(10):
            loss = (model(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)


def test_factors_follow_the_dtype_of_the_model():
    model = toy().to(torch.bfloat16)
    reference.inject(model, {"q"}, 2, 4.0, seeded())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model(torch.zeros(1, 24, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_the_reference_draws_the_factors_of_the_exercise():
    for mine, course in zip(
        reference.init_lora(9, 4, 2, seeded()), exercises.init_lora(9, 4, 2, seeded()), strict=True
    ):
        torch.testing.assert_close(mine, course)


@MODULES
def test_no_factors_of_that_rank_are_nearer_than_the_svds(ours):
    delta = torch.randn(9, 6, generator=seeded(), dtype=torch.float64)
    a, b = ours.svd_lora(delta, 2, 5.0)
    best = (delta - 2.5 * b @ a).square().sum()
    assert best == pytest.approx(float(torch.linalg.svdvals(delta)[2:].square().sum()))
    for seed in range(20):
        noise_a, noise_b = (torch.randn(f.shape, generator=seeded(seed), dtype=f.dtype) / 50 for f in (a, b))
        assert (delta - 2.5 * (b + noise_b) @ (a + noise_a)).square().sum() > best


@MODULES
def test_training_b_alone_ends_on_its_floor(ours):
    delta, a = (torch.randn(size, 7, generator=seeded(size), dtype=torch.float64) for size in (5, 3))
    b = torch.zeros(5, 3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([b], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-14)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = (delta - b @ a).square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    assert float(loss().detach()) == pytest.approx(float(ours.b_only_floor(delta, a)), rel=1e-8)


@MODULES
def test_a_served_adapter_of_peft_gives_the_outputs_of_its_model(ours):
    theirs = randomised(peft_model(toy()))
    adapter = {}
    for name, layer in lora_layers(theirs):
        path = name.rpartition(".")[2]
        adapter |= {f"{path}.a": layer.lora_A["default"].weight, f"{path}.b": layer.lora_B["default"].weight}
    x = torch.randn(4, 24, generator=seeded(3), dtype=torch.float64)
    torch.testing.assert_close(ours.serve(toy(), adapter, 8)(x), theirs(x), rtol=1e-10, atol=1e-10)


@MODULES
def test_a_fine_tuned_language_model_is_its_base_with_the_adapter_merged(ours):
    base = base_model(30)
    ids = torch.randint(30, (3, 12), generator=seeded())
    pairs = [(ids[:, :-1], ids[:, 1:])] * 4
    old = (ids[:, 1:], ids[:, :-1])
    adapter, served, forgotten = ours.finetune(base, QV, 2, 5.0, pairs, old, 2e-2, seeded())
    assert sum(tensor.numel() for tensor in adapter.values()) == 4 * 2 * (64 + 64)
    assert [name for name, _ in served.named_modules()] == [name for name, _ in base.named_modules()]
    assert loss_on(served, pairs[0]) < loss_on(base, pairs[0])
    assert forgotten == pytest.approx(loss_on(served, old) - loss_on(base, old), abs=1e-5)
    torch.testing.assert_close(ours.serve(base, adapter, 5.0)(ids), served(ids), rtol=1e-4, atol=1e-4)


@MODULES
def test_combined_adapters_add_up_as_concatenated_ones_of_peft_do(ours):
    model = randomised(peft_model(toy()))
    layer = lora_layers(model)[0][1]
    factors = [(torch.randn(3, 24, generator=seeded(i)), torch.randn(40, 3, generator=seeded(9 + i))) for i in (1, 2)]
    for name, (a, b) in zip(("default", "other"), factors, strict=True):
        if name == "other":
            model.add_adapter(name, model.peft_config["default"])
        layer.lora_A[name].weight.data, layer.lora_B[name].weight.data = a.double(), b.double()
    model.add_weighted_adapter(["default", "other"], [0.5, 2.0], "both", combination_type="cat")
    a, b = ours.combine([(a.double(), b.double(), 8) for a, b in factors], [0.5, 2.0])
    torch.testing.assert_close(b @ a, layer.get_delta_weight("both"), rtol=1e-8, atol=1e-8)


@MODULES
def test_adapters_save_the_gradients_and_moments_of_the_frozen_parameters(ours):
    counts = []
    for targets in (None, QV):
        model = base_model(30)
        if targets:
            ours.inject(model, targets, 4, 8.0, seeded())
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        weights, gradients, state = ours.train_memory(model, torch.randint(30, (2, 5), generator=seeded()))
        assert weights == 4 * sum(parameter.numel() for parameter in model.parameters())
        assert gradients == 4 * trained
        assert 8 * trained <= state <= 8 * trained + 1000
        counts.append(state)
    assert counts[1] < counts[0] / 10


def test_a_merged_model_has_the_modules_of_its_base_and_the_outputs_of_the_adapted_one():
    base = base_model(30)
    model = copy.deepcopy(base)
    reference.inject(model, ALL, 3, 7.0, seeded())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".b"):
                parameter.normal_(generator=seeded(5)).mul_(0.1)
    ids = torch.randint(30, (2, 11), generator=seeded())
    adapted = model(ids)
    assert (adapted - base(ids)).abs().max() > 0.01
    assert reference.merge_model(model) == 12
    assert [name for name, _ in model.named_modules()] == [name for name, _ in base.named_modules()]
    torch.testing.assert_close(model(ids), adapted, rtol=1e-4, atol=1e-5)


def test_alpha_is_saved_with_the_factors():
    saved, loaded = toy(), toy()
    reference.inject(saved, {"q"}, 2, 5.0, seeded())
    reference.inject(loaded, {"q"}, 2, 1.0, seeded(1))
    loaded.load_state_dict(saved.state_dict())
    assert loaded.q.alpha == 5.0


@pytest.mark.heavy
def test_the_cost_of_training_and_the_latency_are_measured_on_the_cpu():
    model = base_model(30)
    trained = reference.inject(model, QV, 2, 4.0, seeded())
    ids = torch.randint(30, (2, 9), generator=seeded())
    cost = reference.training_cost(model, lambda _: model(ids).square().mean(), 2, 1e-3, compile=True)
    assert cost.trainable == trained
    assert cost.seconds_per_step > 0
    assert cost.peak_bytes > 2**20
    assert reference.latency(model, ids, repeats=3) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_lora_trains_in_less_memory_than_full_fine_tuning():
    costs = []
    for adapt in (False, True):
        model = base_model(100, width=512, layers=4, heads=8, hidden=2048)
        if adapt:
            reference.inject(model, QV, 4, 8.0, seeded())
        model.cuda()
        ids = torch.randint(100, (4, 64), generator=seeded()).cuda()
        costs.append(reference.training_cost(model, lambda _, m=model, i=ids: m(i).square().mean(), 5, 1e-4).peak_bytes)
        del model
    assert costs[1] < costs[0]


@MODULES
def test_each_claim_on_the_planted_update_holds_at_the_smallest_profile(ours):
    result = planted_update(ours.init_lora, ours.lora_linear, profile=SMOKE, seed=3)
    judged = [claim for claim in claims if claim.experiment is planted_update]
    assert [claim.holds(claim.measure(result), SMOKE) for claim in judged] == [True] * len(judged)
    floors = [float(ours.b_only_floor(result.delta, a)) for a in result.drawn]
    assert result.loss_b_only == pytest.approx(floors, rel=1e-3)
    assert result.loss_both_zero == pytest.approx(float(result.delta.square().sum()), rel=1e-4)


def test_adapting_leaves_the_global_random_state_and_gains_more_with_a_higher_rank(adapted):
    state = torch.get_rng_state()
    assert adaptation(exercises.inject, profile=SMOKE, seed=0).before == adapted.before
    assert torch.equal(torch.get_rng_state(), state)
    assert adapted.full.loss < adapted.before
    assert adapted.largest > adapted.run("all", 1).recovered
    judged = [claim for claim in claims if claim.experiment is adaptation]
    assert {claim.holds(claim.measure(adapted), SMOKE) for claim in judged} == {None}


def test_updates_read_off_a_model_have_the_rank_of_its_adapters(adapted):
    update = layer_updates(adapted.base, adapted.run("all", 4).model)["layers.0.mlp.up"]
    assert update.shape == (256, 64)
    sigma = torch.linalg.svdvals(update)
    assert sigma[3] > 1e-5
    assert sigma[4] < 1e-5


def test_a_line_that_the_model_writes_ends_at_its_end_or_at_the_limit_and_repeats_with_its_seed():
    model = pretrained(SMOKE)
    lines = [write_line(model, "    if ", seed=seed, most=25) for seed in (0, 0, 1, 2, 3)]
    assert lines[0] == lines[1]
    assert len(set(lines)) > 2
    assert all(line.startswith("    if") and len(line) <= 25 and "\n" not in line for line in lines)


def test_the_pretrained_model_is_a_copy_and_batches_repeat_with_their_seed():
    nn.init.zeros_(pretrained(SMOKE).head.weight)
    assert pretrained(SMOKE).head.weight.any()
    first, again, other = (code_batches(SMOKE, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(first[0][:, 1:], first[1][:, :-1])


@pytest.mark.heavy
@pytest.mark.parametrize("experiment", [planted_update, adaptation])
def test_every_claim_holds_at_laptop_size(experiment):
    laptop = Profile("laptop")
    blocks = (reference.init_lora, reference.lora_linear) if experiment is planted_update else (reference.inject,)
    result = experiment(*blocks, profile=laptop, seed=0)
    judged = [claim for claim in claims if claim.experiment is experiment]
    assert [claim.holds(claim.measure(result), laptop) for claim in judged] == [True] * len(judged)


def test_the_widget_shows_the_planted_update_with_its_tail_energy():
    planted = planted_update(reference.init_lora, reference.lora_linear, profile=SMOKE, seed=0)
    widget = RankExplorer(delta=planted.delta, factors="learned", rank=4, alpha=4.0, steps=100)
    assert widget.delta.shape == (24, 24)
    tail = (widget.singular_values()[4:] ** 2).sum()
    assert tail == pytest.approx(planted.tail[planted.ranks.index(4)], rel=1e-4)
