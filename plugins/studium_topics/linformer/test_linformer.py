"""The exercises and the reference against PyTorch's own attention, the tasks, the meters and the experiments."""

import math
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from studium import Profile
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from torch import nn

from studium_topics.kits import training
from studium_topics.kits.peak import PeakTensor
from studium_topics.linformer import exact, exercises, experiment, figures, model, reference, tasks
from studium_topics.linformer.probe import measured

SMOKE = Profile("smoke")
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
EXACT = {"rtol": 0, "atol": 1e-12}


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def failures(name, answer):
    result = check("linformer", load_catalogue()["linformer"].exercise(name), answer)
    return {test.name: test.message for test in result.tests if not test.passed}


@BOTH
def test_projected_attention_is_two_linear_layers_and_sdpa_in_float64(ours):
    q, k, v = (drawn(2, 3, 11, 5, seed=seed) for seed in range(3))
    to_keys, to_values = (nn.Linear(11, 4, bias=False, dtype=torch.float64) for _ in range(2))
    expected = F.scaled_dot_product_attention(q, to_keys(k.mT).mT, to_values(v.mT).mT)
    found = ours.linformer_attention(q, k, v, to_keys.weight, to_values.weight, None)
    torch.testing.assert_close(found, expected, **EXACT)


@BOTH
def test_with_as_many_slots_as_tokens_and_identities_it_is_full_attention(ours):
    q, k, v = (drawn(2, 3, 7, 5, seed=seed) for seed in range(3))
    one = torch.eye(7, dtype=torch.float64)
    expected = F.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(ours.linformer_attention(q, k, v, one, one, None), expected, **EXACT)


@BOTH
def test_what_a_text_is_padded_with_has_no_influence(ours):
    q, k, v = (drawn(2, 3, 7, 5, seed=seed) for seed in range(3))
    e, f = drawn(2, 4, 7, seed=3)
    pad = torch.arange(7) >= torch.tensor([[4], [6]])
    before = ours.linformer_attention(q, k, v, e, f, pad)
    k, v = (x + 100 * pad[:, None, :, None] for x in (k, v))
    torch.testing.assert_close(ours.linformer_attention(q, k, v, e, f, pad), before, **EXACT)


@BOTH
def test_kept_energy_is_that_of_numpys_decomposition_and_rises_to_one(ours):
    for norm in ["random", "attention"]:
        p = drawn(3, 9, 9) if norm == "random" else drawn(3, 9, 9).softmax(-1)
        squares = np.linalg.svd(p.numpy(), compute_uv=False) ** 2
        expected = squares.cumsum(-1) / squares.sum(-1, keepdims=True)
        found = torch.stack([ours.kept_energy(p, rank) for rank in range(1, 10)], -1)
        torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-9, atol=1e-12)
        assert bool((found.diff() >= 0).all())


@BOTH
def test_the_encoder_is_pytorchs_with_full_attention_and_with_identities_as_projections(ours):
    theirs = nn.TransformerEncoderLayer(12, 3, 20, 0.0, "gelu", batch_first=True, norm_first=True, dtype=torch.float64)
    theirs = nn.TransformerEncoder(theirs, 2, enable_nested_tensor=False)
    for seed, parameter in enumerate(theirs.parameters()):
        parameter.data = drawn(*parameter.shape, seed=seed) / 3
    x, pad = drawn(2, 7, 12), torch.arange(7) >= torch.tensor([[5], [7]])
    expected = theirs(x).detach()
    layers = [_layer(each.state_dict()) for each in theirs.layers]
    torch.testing.assert_close(ours.encode(x, None, layers, 3, model.full_attention), expected, **EXACT)
    one = torch.eye(7, dtype=torch.float64)
    same = [layer | {"e": one, "f": one} for layer in layers]
    torch.testing.assert_close(ours.encode(x, None, same, 3, None), expected, **EXACT)
    masked = theirs(x, src_key_padding_mask=pad).detach()
    found = ours.encode(x, pad, layers, 3, model.full_attention)
    torch.testing.assert_close(found[~pad], masked[~pad], **EXACT)


def _layer(state):
    names = {"o": "self_attn.out_proj", "up": "linear1", "down": "linear2", "norm1": "norm1", "norm2": "norm2"}
    layer = {f"{own}.{kind}": state[f"{path}.{kind}"] for own, path in names.items() for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        layer |= {f"{name}.{kind}": part for name, part in zip("qkv", state[f"self_attn.in_proj_{kind}"].chunk(3))}  # noqa: B905
    return layer


def test_the_solutions_and_the_reference_agree_where_there_is_no_library_to_ask():
    q, k, v = (drawn(2, 3, 12, 5, seed=seed) for seed in range(3))
    e, f = drawn(2, 4, seed=4)
    found, expected = (ours.causal_summaries(q, k, v, e, f) for ours in (exercises, reference))
    torch.testing.assert_close(found, expected, **EXACT)
    x, noise = drawn(6, 5), drawn(6, 5, seed=1)
    tables = [ours.influence(lambda x: torch.tanh(x.cumsum(0)), x, noise) for ours in (exercises, reference)]
    torch.testing.assert_close(*tables, **EXACT)
    assert exercises.multiplications(3, 7, 5, 2) == reference.multiplications(3, 7, 5, 2) == (1470, 840)
    first, second = (ours.random_projection(4, 9, torch.Generator().manual_seed(3)) for ours in (exercises, reference))
    torch.testing.assert_close(first, second)


@pytest.mark.heavy
def test_attention_that_projects_the_square_fails_and_hears_why():
    def late(q, k, v, e, f, pad):
        return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v

    message = failures("linformer_attention", late)["makes no square of the text, and lets gradients reach everything"]
    assert "no array of n · n numbers may exist" in message


def test_a_gradient_is_no_measure_of_influence_where_a_function_jumps():
    def by_gradient(f, x, noise):
        slopes = torch.autograd.functional.jacobian(f, x)  # (n, D', n, D)
        return torch.einsum("iajb,jb->iaj", slopes, noise).abs().amax(1)

    name = "measures the largest change of each row, also where f is not linear or jumps"
    assert "for f(x) = " in failures("influence", by_gradient)[name]


def test_the_module_has_the_projections_of_its_kind_of_sharing():
    for sharing in ["headwise", "kv"]:
        layer = reference.LinformerAttention(12, 3, 10, 4, sharing=sharing)
        assert len(layer.projections) == {"headwise": 2, "kv": 1}[sharing]
        assert layer(drawn(2, 10, 12, dtype=torch.float32)).shape == (2, 10, 12)


def test_layers_can_share_one_projection_that_gets_the_gradients_of_all():
    first = reference.LinformerAttention(12, 3, 10, 4, sharing="layerwise")
    second = reference.LinformerAttention(12, 3, 10, 4, sharing="layerwise", projections=first.projections)
    x = drawn(2, 10, 12, dtype=torch.float32)
    second(first(x)).sum().backward()
    assert second.projections[0] is first.projections[0]
    assert first.projections[0].grad is not None


def test_the_module_says_what_does_not_fit():
    for options, message in [
        ({"width": 10}, "width needs to be a multiple of the 3 heads, got 10"),
        ({"projections": nn.ParameterList()}, 'projections are for sharing="layerwise"'),
    ]:
        with pytest.raises(ValueError, match=message):
            reference.LinformerAttention(**{"width": 12, "heads": 3, "length": 10, "slots": 4} | options)


@pytest.mark.heavy
def test_attention_is_timed_on_the_cpu():
    assert reference.seconds(32, 4, heads=2, width=8, device="cpu", steps=2) > 0
    assert reference.seconds(32, 0, heads=2, width=8, device="cpu", steps=2) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_bfloat16_agrees_with_float64():
    q, k, v = (drawn(2, 4, 256, 64, seed=seed) for seed in range(3))
    e, f = drawn(2, 32, 256, seed=3) / 32**0.5
    expected = reference.linformer_attention(q, k, v, e, f, None)
    parts = [part.to("cuda", torch.bfloat16) for part in (q, k, v, e, f)]
    found = torch.compile(reference.linformer_attention)(*parts, None)
    torch.testing.assert_close(found.cpu().double(), expected, rtol=5e-2, atol=5e-2)
    assert reference.seconds(1024, 64) > 0


def test_half_of_a_text_is_gaps_and_each_gap_has_an_answer():
    for task in tasks.TASKS:
        texts = tasks.draw(task, 5, 32, torch.Generator().manual_seed(0))
        assert texts.words.shape == texts.names.shape == texts.answers.shape == (5, 32)
        gap = texts.words == tasks.WORDS
        assert gap.sum(1).tolist() == [16] * 5
        assert torch.equal(gap, texts.answers >= 0)


def test_every_question_is_answered_by_a_token_with_its_name():
    for task in ["fixed places", "any order"]:
        texts = tasks.draw(task, 4, 32, torch.Generator().manual_seed(1))
        for names, words, answers in zip(texts.names, texts.words, texts.answers, strict=True):
            told = {int(name): int(word) for name, word in zip(names, words, strict=True) if word < tasks.WORDS}
            assert len(told) == 8
            assert all(told[int(name)] == answer for name, answer in zip(names, answers, strict=True) if answer >= 0)


def test_only_the_order_differs_between_the_look_up_tasks():
    fixed = [tasks.draw("fixed places", 3, 32, torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    assert torch.equal(fixed[0].names[:, ::2], fixed[1].names[:, ::2])
    moving = tasks.draw("any order", 3, 32, torch.Generator().manual_seed(0))
    assert not torch.equal(moving.names[0], moving.names[1])
    assert torch.equal(moving.names.sort(1).values, fixed[0].names.sort(1).values)


def test_the_topic_is_worth_its_share_and_no_more():
    texts = tasks.draw("topic", 200, 64, torch.Generator().manual_seed(0))
    shown = F.one_hot(texts.words, tasks.WORDS + 1)[..., : tasks.WORDS].sum(1)
    best = shown.argmax(-1, keepdim=True)
    right = (texts.answers == best)[texts.answers >= 0].double().mean()
    assert float(right) == pytest.approx(tasks.CEILING["topic"], abs=0.02)


def test_attention_cut_to_full_rank_is_full_attention_and_to_rank_one_has_rank_one():
    q, k, v = (drawn(2, 3, 9, 5, seed=seed) for seed in range(3))
    torch.testing.assert_close(model.truncated(9)(q, k, v, None), model.full_attention(q, k, v, None), **EXACT)
    assert torch.linalg.matrix_rank(model.truncated(1)(q, k, v, None)).unique().tolist() == [1]


def test_the_meters_count_products_and_memory_and_not_views():
    x = torch.zeros(10, 6)
    assert measured(lambda: x @ x.mT) == (600, 100)
    with PeakTensor() as peak:
        x.mT[2:].expand(3, 4, 10)
    assert peak.largest == 0


def test_the_error_of_random_projections_is_the_formulas_and_far_from_the_best():
    result = exact.errors(reference.random_projection, profile=SMOKE)
    assert max(abs(ratio - 1) for ratio in result.ratio) < 0.15
    assert result.advantage > 2
    assert result.slope == pytest.approx(-0.5, abs=0.07)


def test_counts_grow_as_the_length_with_slots_and_as_its_square_without():
    result = exact.scaling(exercises.linformer_attention, exercises.multiplications, profile=SMOKE)
    assert result.multiplications == result.predicted
    assert result.growth(result.multiplications) == result.growth(result.largest) == (2.0, 1.0)


def test_costs_run_with_the_exercises_and_tell_the_tasks_apart():
    blocks = exercises.encode, exercises.random_projection, exercises.kept_energy
    result = experiment.costs(*blocks, profile=SMOKE)
    assert list(result.tasks) == list(tasks.TASKS)
    assert result.tasks["any order"].frozen is None
    for cost in result.tasks.values():
        assert cost.kept == tuple(sorted(cost.kept))
        assert cost.kept[-1] <= 1 + 1e-6
    assert result.most == 8
    assert result.names == 8


def _blocks(**wrong):
    names = ("encode", "random_projection", "kept_energy", "linformer_attention", "multiplications", "influence")
    return types.SimpleNamespace(**{name: getattr(reference, name) for name in names} | wrong)


def test_a_mask_over_slots_leaks_and_blocks_that_have_ended_do_not():
    ours = _blocks()
    leaking = experiment.leaks(ours.encode, ours.random_projection, ours.influence, profile=SMOKE)
    assert leaking.above("full, masked") == 0 < 0.1 < leaking.above(experiment.LEAKY)
    blocks = ours.encode, ours.random_projection, ours.influence
    sound = experiment.blocks(*blocks, reference.causal_summaries, profile=SMOKE)
    assert sound.above(experiment.BLOCKS) == 0
    wrong = next(m for m in exercises.causal_summaries.misconceptions if m.name == "reads-its-own-block").function
    assert experiment.blocks(*blocks, wrong, profile=SMOKE).above(experiment.BLOCKS) > 0.01


def _without_generator(block):
    if block is torch.randn:
        return lambda slots, length, generator: torch.randn(slots, length, generator=generator)
    return block


def test_the_opening_shows_two_matrices_of_one_spectrum_and_one_of_rank_one():
    widget = figures.opening()
    assert widget.names == list(tasks.TASKS)
    kept = [reference.kept_energy(torch.tensor(matrix), 32).item() for matrix in widget.matrix]
    assert kept[1:] == pytest.approx([0.95, 0.95], abs=0.02)
    assert reference.kept_energy(torch.tensor(widget.matrix[0]), 1).item() > 0.98
    for matrix in widget.matrix:
        np.testing.assert_allclose(matrix.sum(-1), 1, rtol=1e-5)


def test_the_opening_is_made_by_training():
    saved = reference.opening_matrices(SMOKE)
    assert all(f'"{task}"' in saved for task in tasks.TASKS)
