"""The exercises and the reference against transformers' Llama and SDPA, the experiments, and the wiring."""

import copy

import pytest
import torch
import torch.nn.functional as F
from studium import Profile
from studium.exercises.checking import check
from traitlets import TraitError

from studium_topics.kits import training
from studium_topics.mqa_gqa import exercises, experiment, reference
from studium_topics.mqa_gqa.model import Sizes, cache_of, grouped_lm
from studium_topics.mqa_gqa.probe import largest_made
from studium_topics.mqa_gqa.wiring import HeadWiring

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/mqa_gqa/wiring_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
EXACT = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def llama(groups, bias=False):
    """A random LlamaForCausalLM in float64 with six query heads."""
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    config = transformers.LlamaConfig(
        vocab_size=23, hidden_size=30, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=groups,
        head_dim=4, intermediate_size=20, attention_bias=bias, attn_implementation="sdpa",
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = transformers.LlamaForCausalLM(config).double().eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return model


@BOTH
def test_repeated_heads_are_those_of_transformers(ours):
    pytest.importorskip("transformers", reason="transformers is the oracle")
    from transformers.models.llama import modeling_llama

    x = drawn(2, 3, 4, 5)
    assert torch.equal(ours.repeat_kv(x, 4), modeling_llama.repeat_kv(x, 4))


@BOTH
def test_grouped_attention_is_that_of_pytorch_with_a_mask_at_the_lower_right(ours):
    from torch.nn.attention.bias import causal_lower_right  # a compiler comes with it, which no other process needs

    for queries, keys in [(7, 7), (3, 7), (1, 7)]:
        for groups in [1, 2, 3, 6]:
            q, k, v = drawn(2, 6, queries, 4), drawn(2, groups, keys, 4, seed=1), drawn(2, groups, keys, 4, seed=2)
            own = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
            torch.testing.assert_close(ours.gqa(q, k, v, False), own, **EXACT)
            mask = causal_lower_right(queries, keys)._materialize(q.device)
            causal = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
            torch.testing.assert_close(ours.gqa(q, k, v, True), causal, **EXACT)


@BOTH
def test_a_converted_llama_loads_and_equals_one_whose_heads_are_repeated_means(ours):
    for bias in [False, True]:
        whole, ids = llama(6, bias), torch.arange(14).view(2, 7)
        converted = ours.convert_checkpoint(whole.state_dict(), 6, 2)
        small = llama(2, bias)
        small.load_state_dict(converted)
        assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in whole.parameters())
        same = copy.deepcopy(whole)
        for name, parameter in same.named_parameters():
            if name.split(".")[-2] in ("k_proj", "v_proj"):
                members = parameter.data.unflatten(0, (2, 3, 4))
                parameter.data = members.mean(1, keepdim=True).expand_as(members).flatten(0, 2)
        torch.testing.assert_close(small(ids).logits, same(ids).logits, rtol=1e-5, atol=1e-5)  # float32 angles
        kept = llama(6, bias)
        kept.load_state_dict(ours.convert_checkpoint(whole.state_dict(), 6, 6))
        assert torch.equal(kept(ids).logits, whole(ids).logits)


@pytest.mark.sample(1)
@BOTH
@pytest.mark.parametrize(("heads", "groups"), [(6, 2), (6, 3), (8, 4), (5, 1)])
def test_moved_query_heads_do_in_the_usual_order_what_they_did_tiled(ours, heads, groups):
    wq, wo, x = drawn(heads * 3, 7), drawn(7, heads * 3, seed=1), drawn(2, 4, 7, seed=2)
    k, v = drawn(2, groups, 4, 3, seed=3), drawn(2, groups, 4, 3, seed=4)

    def attended(wq, wo, shared):
        q = F.linear(x, wq).unflatten(-1, (heads, 3)).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(q, shared(k), shared(v))
        return F.linear(mixed.transpose(1, 2).flatten(2), wo)

    tiled = attended(wq, wo, lambda part: part.repeat(1, heads // groups, 1, 1))
    moved = ours.to_grouped_order(wq, wo, heads, groups)
    usual = attended(*moved, lambda part: part.repeat_interleave(heads // groups, 1))
    torch.testing.assert_close(usual, tiled, **EXACT)


@BOTH
def test_the_room_for_heads_is_that_of_a_cache_which_is_there(ours):
    cache = [torch.empty(2, 3, 4, 7, 5, dtype=torch.float16) for _ in range(2)]  # layers, B, G, T, d
    size = sum(part.nbytes for part in cache)
    assert ours.groups_that_fit(12, size, 2, 5, 7, 3, 2) == 4
    assert ours.groups_that_fit(12, size - 1, 2, 5, 7, 3, 2) == 3


@BOTH
def test_intensity_is_near_the_number_of_query_heads_that_share_in_two_bytes(ours):
    for groups in (64, 8, 2):
        assert ours.decode_intensity(4, 10**7, 64, groups, 128, 2) == pytest.approx(64 / groups, rel=1e-4)


def copying_by_broadcast(q, k, v, causal):
    weights = (q.unflatten(1, (k.shape[1], -1)) @ k[:, :, None].mT / q.shape[-1] ** 0.5).softmax(-1)
    return (weights @ v[:, :, None]).flatten(1, 2)


def test_a_matrix_product_that_broadcasts_is_caught_as_the_copy_that_it_is():
    q, k, v = drawn(2, 16, 1, 8), drawn(2, 2, 40, 8, seed=1), drawn(2, 2, 40, 8, seed=2)
    torch.testing.assert_close(copying_by_broadcast(q, k, v, True), reference.gqa(q, k, v, True), **EXACT)
    assert largest_made(copying_by_broadcast, q, k, v, True) == 8 * k.nbytes
    assert largest_made(exercises.gqa.solution, q, k, v, True) == k.nbytes
    failed = [run.name for run in check("mqa-gqa", exercises.gqa, copying_by_broadcast).tests if not run.passed]
    assert "makes no copy of the keys for each query head" in failed


def test_the_probe_sees_the_largest_tensor_and_counts_a_view_as_what_it_looks_at():
    x = torch.zeros(100)
    assert largest_made(lambda x: x[:2] + 1, x) == 400
    assert largest_made(lambda x: x.repeat(3).sum(), x) == 1200


def test_a_grouped_model_has_the_weights_of_its_seed_and_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    first, again = (grouped_lm(31, Sizes(groups=2), reference.gqa, seed=4) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    assert first.layers[1].attention.k_proj.weight.shape == (16, 64)
    k, v = cache_of(first, torch.zeros(3, 5, dtype=torch.long))[1]
    assert k.shape == v.shape == (3, 2, 5, 8)


@BOTH
def test_what_is_saved_is_exact_with_the_exercises_and_with_the_reference(ours):
    blocks = [ours.repeat_kv, ours.gqa, ours.convert_checkpoint, ours.to_grouped_order]
    exact = experiment.savings(*blocks, profile=SMOKE)
    assert [row.share for row in exact.rows] == [1 / 8, 1 / 4, 1 / 2, 1]
    assert exact.exposed > 0.1 > 1e-10 > exact.worst("reordered")


def test_what_it_costs_is_measured_with_the_exercises():
    measured = experiment.cost(exercises.gqa, exercises.convert_checkpoint, profile=SMOKE)
    assert set(measured.converted) == {"mean", "first", "random"}
    assert all(1.5 < loss < 4 for loss in (*measured.scratch.values(), measured.lonely))


def copying_at_every_step(q, k, v, causal):
    k, v = (reference.repeat_kv(x, q.shape[1] // x.shape[1]) for x in (k, v))
    return reference.gqa(q, k, v, causal)


def test_merging_by_the_first_head_keeps_it_and_noise_keeps_nothing():
    state = grouped_lm(31, Sizes(), reference.gqa).state_dict()
    name = "layers.0.attention.k_proj.weight"
    first, noise = (experiment.merged(state, way, reference.convert_checkpoint, 0) for way in ("first", "random"))
    assert torch.equal(first[name][8:], state[name][32:40])
    assert torch.equal(first["layers.0.attention.q_proj.weight"], state["layers.0.attention.q_proj.weight"])
    assert noise[name].shape == (16, 64)
    assert float(noise[name].std() / state[name].std()) == pytest.approx(1, abs=0.1)


@pytest.mark.heavy
def test_a_decoding_step_is_timed_on_the_cpu():
    assert reference.decode_seconds(2, heads=4, head_dim=8, tokens=32, batch=1, device="cpu", steps=2) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_flash_attention_shares_heads_and_agrees_with_copies():
    q, k, v = (torch.randn(2, heads, 64, 64, dtype=torch.bfloat16, device="cuda") for heads in (8, 2, 2))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        found = reference.gqa(q, k, v, True)
    expected = F.scaled_dot_product_attention(q, reference.repeat_kv(k, 4), reference.repeat_kv(v, 4), is_causal=True)
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)
    assert reference.decode_seconds(2, heads=8, tokens=1024, batch=2) > 0


def test_the_results_in_the_browser_are_those_of_the_exercise(call_js):
    for order in ["grouped", "tiled"]:
        for groups in [1, 2, 4, 8]:
            q, k, v = drawn(8, 3), drawn(8, 5, 3, seed=1), drawn(8, 5, 3, seed=2)
            shared = [exercises.pool_heads.solution(part.flatten(0, 1), None, 8, groups)[0] for part in (k, v)]
            merged = [
                torch.tensor(call_js(MATHS, "merged", part.flatten(), 8, groups, "mean"), dtype=torch.float64)
                for part in (k, v)
            ]
            for found, expected in zip(merged, shared, strict=True):
                torch.testing.assert_close(found, expected.flatten(), **EXACT)
            repeats = 8 // groups
            heads = [part.view(groups, 5, 3) for part in shared]
            wired = [h.repeat(repeats, 1, 1) if order == "tiled" else h.repeat_interleave(repeats, 0) for h in heads]
            expected = F.scaled_dot_product_attention(q[:, None], *wired)[:, 0]
            model = {"query": q.flatten().tolist(), "heads": 8, "size": 3, "tokens": 5}
            found = torch.tensor(call_js(MATHS, "results", model, *merged, groups, order), dtype=torch.float64)
            torch.testing.assert_close(found.view(8, 3), expected, **EXACT)


def test_the_errors_in_the_browser_are_relative_to_the_multi_head_result(call_js):
    found, expected = drawn(4, 3), drawn(4, 3, seed=1)
    wanted = (found - expected).norm(dim=1) / expected.norm(dim=1)
    assert call_js(MATHS, "errors", found.flatten(), expected.flatten(), 4) == pytest.approx(wanted.tolist())
    assert call_js(MATHS, "divisors", 12) == [1, 2, 3, 4, 6, 12]


def test_a_wiring_takes_what_the_last_token_asks_and_sees():
    model = grouped_lm(31, Sizes(), reference.gqa, seed=1)
    ids = torch.arange(9)
    widget = HeadWiring.of(model, ids, layer=1, groups=2)
    assert widget.query.shape == (8, 8)
    assert widget.key.shape == widget.value.shape == (8, 9, 8)
    k, _ = cache_of(model, ids[None])[1]
    torch.testing.assert_close(torch.tensor(widget.key), k[0])


def test_a_wiring_says_what_does_not_fit():
    for options, message in [
        ({"groups": 3}, "groups need to divide the 8 heads, got 3"),
        ({"value": [[[0.0]]]}, "value needs the shape of key"),
        ({"query": [[0.0] * 8] * 4}, "one head for each query head"),
    ]:
        with pytest.raises(TraitError, match=message):
            HeadWiring.drawn(8, 5, 8, **options)
    with pytest.raises(TraitError, match="needs a multi-head model, got 2 shared heads"):
        HeadWiring.of(grouped_lm(31, Sizes(groups=2), reference.gqa), torch.arange(3))


@pytest.mark.browser
def test_the_mistake_shows_between_the_ends_and_not_at_them(mount):
    page = mount(HeadWiring.drawn(8, 12, 4, groups=8))
    page.get_by_label("Put in a mistake").select_option("tiled")
    page.get_by_text("both orders are the same here").wait_for()
    page.get_by_label("Heads of keys and values, G").press("ArrowLeft")
    page.get_by_text("6 wires go astray").wait_for()
    assert (page.state()["groups"], page.state()["order"]) == (4, "tiled")
