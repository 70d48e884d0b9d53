"""The exercises and the reference against transformers and complex numbers, the experiments, and the figures."""

import math

import pytest
import torch
from studium import Profile
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check

from studium_topics.kits import training
from studium_topics.rope import exercises, experiment, reference
from studium_topics.rope.exact import decay, decoding, exact
from studium_topics.rope.model import Cache, Decoder, Sizes, turning

SMOKE = Profile("smoke")
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def llama_config(rope_parameters, d=16, context=64, **more):
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    return transformers.LlamaConfig(
        vocab_size=23,
        hidden_size=3 * d,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=3,
        intermediate_size=20,
        max_position_embeddings=context,
        rope_parameters=rope_parameters,
        **more,
    )


def speeds_of(kind, d=64, context=2048, **parameters):
    """The speeds and the gain that transformers makes."""
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    given = {"rope_type": kind, "rope_theta": 10000.0, **parameters}
    config = llama_config(given, d, context)
    return ROPE_INIT_FUNCTIONS[kind](config, device="cpu")


@BOTH
def test_turned_vectors_equal_those_of_transformers_llama(ours):
    modeling = pytest.importorskip("transformers.models.llama.modeling_llama", reason="transformers is the oracle")
    for positions in [torch.arange(7) + 5, torch.tensor([[0, 1, 2, 3, 4, 5, 6], [9, 9, 3, 0, 70, 1, 2]])]:
        rotary = modeling.LlamaRotaryEmbedding(llama_config({"rope_type": "default", "rope_theta": 500.0}))
        q, k = drawn(2, 2, 3, 7, 16)
        cos, sin = rotary(q, positions.expand(2, 7))
        expected = modeling.apply_rotary_pos_emb(q, k, cos, sin)
        inv = ours.inv_freq(16, 500.0)
        for x, turned in zip((q, k), expected, strict=True):
            torch.testing.assert_close(ours.apply_rope(x, positions, inv), turned, rtol=1e-5, atol=1e-5)


def test_neighbours_turn_as_complex_numbers_do():
    x, inv, positions = drawn(2, 3, 7, 10), reference.inv_freq(10, 300.0).double(), torch.arange(7) * 3
    pairs = torch.view_as_complex(x.unflatten(-1, (5, 2)))
    turned = pairs * torch.exp(1j * positions[:, None] * inv)
    found = reference.apply_rope(x, positions, inv, "interleaved")
    torch.testing.assert_close(found, torch.view_as_real(turned).flatten(-2), rtol=1e-10, atol=1e-10)


@pytest.mark.sample(1)
@pytest.mark.parametrize("seed", [0, 1])
def test_any_pairing_of_the_coordinates_in_any_directions_earns_full_marks(seed):
    def shuffled(x, positions, inv):
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(x.shape[-1], generator=generator)
        backwards = torch.randint(2, inv.shape, generator=generator) * 2 - 1
        return reference.apply_rope(x[..., order], positions, inv * backwards)[..., order.argsort()]

    result = check("rope", exercises.apply_rope, shuffled)
    assert [test.name for test in result.tests if not test.passed] == []


def test_two_pairings_in_one_answer_do_not():
    def one_for_queries_and_one_for_keys(x, positions, inv):
        pairing = "half" if int(positions.flatten()[0]) % 2 else "interleaved"
        return reference.apply_rope(x, positions, inv, pairing)

    assert check("rope", exercises.apply_rope, one_for_queries_and_one_for_keys).outcome == "wrong"


@BOTH
def test_weights_trained_with_neighbours_give_the_same_scores_in_transformers_llama(ours):
    modeling = pytest.importorskip("transformers.models.llama.modeling_llama", reason="transformers is the oracle")
    wq, wk = drawn(2, 3 * 16, 20, seed=1)
    x, inv, positions = drawn(1, 9, 20, seed=2), reference.inv_freq(16, 500.0).double(), torch.arange(9)
    split = lambda w: (x @ w.T).unflatten(-1, (3, 16)).transpose(1, 2)  # noqa: E731
    before = [reference.apply_rope(split(w), positions, inv, "interleaved") for w in (wq, wk)]
    rotary = modeling.LlamaRotaryEmbedding(llama_config({"rope_type": "default", "rope_theta": 500.0}))
    cos, sin = rotary(x, positions[None])
    q, k = modeling.apply_rotary_pos_emb(*(split(ours.to_half(w, 3)) for w in (wq, wk)), cos, sin)
    torch.testing.assert_close(q @ k.mT, before[0] @ before[1].mT, rtol=1e-4, atol=1e-4)


def test_a_whole_random_llama_of_transformers_does_not_notice_a_shift_of_1000():
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = transformers.LlamaForCausalLM(llama_config({"rope_type": "default", "rope_theta": 10000.0})).eval()
    ids, places = torch.arange(20).view(2, 10), torch.arange(10).expand(2, 10)
    with torch.no_grad():
        here, there = (model(ids, position_ids=places + shift).logits for shift in (0, 1000))
    torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-4)
    assert not torch.equal(there, here)


@BOTH
def test_stretched_speeds_equal_those_of_transformers(ours):
    for factor in [1.0, 2.5, 8.0]:
        inv = ours.inv_freq(64)
        expected, _ = speeds_of("linear", factor=factor)
        torch.testing.assert_close(ours.stretched(inv, "linear", factor), expected)
        config = llama_config({"rope_type": "dynamic", "rope_theta": 10000.0, "factor": factor}, 64, 2048)
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        # its base grows by factor · T / context − (factor − 1): the T at which that is the factor
        length = 2048 * (2 * factor - 1) / factor
        expected, _ = ROPE_INIT_FUNCTIONS["dynamic"](config, device="cpu", seq_len=length)
        torch.testing.assert_close(ours.stretched(inv, "ntk", factor), expected, rtol=1e-4, atol=1e-9)


@BOTH
def test_stretching_by_parts_equals_llama_3_in_transformers(ours):
    ends = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 512}
    expected, _ = speeds_of("llama3", factor=8.0, **ends)
    found, _ = ours.yarn(ours.inv_freq(64), 8.0, 512, 1.0, 4.0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-9)


@BOTH
def test_the_gain_of_yarn_is_that_of_transformers_and_its_speeds_are_between_the_same_ends(ours):
    given = {"factor": 4.0, "original_max_position_embeddings": 2048}
    expected, gain = speeds_of("yarn", context=8192, **given)
    inv = ours.inv_freq(64)
    found, ours_gain = ours.yarn(inv, 4.0, 2048)
    assert ours_gain == pytest.approx(gain)
    assert torch.equal(found[:4], inv[:4])
    torch.testing.assert_close(found[-6:], expected[-6:])
    torch.testing.assert_close(reference.yarn_by_index(inv, 4.0, 2048), expected, rtol=1e-4, atol=1e-9)


def test_yarn_as_libraries_have_it_equals_transformers():
    for d, context, factor in [(64, 2048, 2.0), (128, 8192, 16.0), (16, 300, 4.0)]:
        given = {"factor": factor, "original_max_position_embeddings": context}
        expected, _ = speeds_of("yarn", d, int(context * factor), **given)
        found = reference.yarn_by_index(reference.inv_freq(d), factor, context)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-9)


def test_an_unknown_way_to_stretch_is_an_error_that_names_those_there_are():
    with pytest.raises(ValueError, match="kind needs to be linear or ntk, got 'cubic'"):
        reference.stretched(reference.inv_freq(8), "cubic", 2.0)


@BOTH
def test_positions_of_a_padded_batch_are_those_that_transformers_makes(ours):
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [1, 0, 0, 1, 1]])
    expected = (mask.long().cumsum(-1) - 1).masked_fill(mask == 0, 1)  # as in its generate()
    assert torch.equal(ours.decode_positions(mask, 5)[mask == 1], expected[mask == 1])
    assert torch.equal(ours.decode_positions(mask.bool(), 2), expected[:, -2:])


def test_half_precision_angles_are_wrong_by_everything_at_position_32767():
    errors = reference.precision(32767)
    assert errors["float32"] < 5e-3
    assert errors["bfloat16"] > 1.0


@pytest.mark.heavy
def test_a_turn_moves_at_least_some_bytes_a_second_on_the_cpu():
    assert reference.bandwidth(reference.turned, torch.randn(1, 2, 8, 16), reference.inv_freq(16), steps=2) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_one_kernel_turns_as_the_plain_code_does():
    x, inv = torch.randn(2, 4, 128, 64, device="cuda", dtype=torch.bfloat16), reference.inv_freq(64).cuda()
    cos, sin = reference.angles(torch.arange(128, device="cuda"), inv)
    torch.testing.assert_close(reference.fused()(x, cos, sin), reference.turned(x, cos, sin), rtol=2e-2, atol=2e-2)


@BOTH
def test_the_claims_that_need_no_training_hold(ours):
    topic = load_catalogue()["rope"]
    names = ("inv_freq", "apply_rope", "to_half", "decode_positions", "relative_score")
    found = exact(*(getattr(ours, name) for name in names), profile=SMOKE, seed=1)
    decayed = decay(ours.inv_freq, ours.relative_score, profile=SMOKE)
    for claim in topic.claims:
        if claim.holds_from == "smoke":
            assert claim.holds(claim.measure(found if claim.experiment is exact else decayed), SMOKE), claim.text


def test_the_experiments_run_with_the_exercises():
    found = experiment.shifted(exercises.inv_freq, exercises.apply_rope, profile=SMOKE)
    assert found.rotary_drop < 0.02
    assert len(found.losses["learned table"]) == 15
    blocks = (exercises.inv_freq, exercises.apply_rope, exercises.stretched, exercises.yarn)
    turn = found.rotary.turn
    longer = experiment.longer(*blocks, found.rotary, profile=SMOKE)
    assert found.rotary.turn is turn, "the model that was given must stay as it is"
    assert set(longer.accuracy) == set(longer.ways)
    assert all(len(row) == 3 for row in longer.accuracy.values())
    assert longer.accuracy["as trained"][0] == longer.accuracy["new base"][0]


@pytest.mark.heavy
def test_both_pairings_and_both_directions_run_the_experiment_alike():
    half = experiment.shifted(reference.inv_freq, reference.apply_rope, profile=SMOKE)
    neighbours = experiment.shifted(
        reference.inv_freq, lambda x, at, inv: reference.apply_rope(x, -at, inv, "interleaved"), profile=SMOKE
    )
    assert neighbours.rotary_drop < 0.02
    assert neighbours.losses["rotary"][-1] == pytest.approx(half.losses["rotary"][-1], abs=0.3)


def test_a_cache_in_any_number_of_calls_gives_the_logits_of_one_call():
    sizes = Sizes(32)
    model = Decoder(sizes, turn=turning(reference.apply_rope, reference.inv_freq(16)), seed=3)
    ids, places = torch.arange(20)[None], torch.arange(20)
    with torch.no_grad():
        cache, parts = Cache(sizes.layers), []
        for start, end in ((0, 7), (7, 8), (8, 20)):
            parts.append(model.logits(ids[:, start:end], places[start:end], cache))
        torch.testing.assert_close(torch.cat(parts, 1), model(ids, places), rtol=1e-4, atol=1e-4)
        assert decoding(model, ids.repeat(3, 1), reference.decode_positions) < 1e-4


def test_what_a_head_thinks_of_an_offset_is_the_mean_of_its_scores_over_all_tokens():
    model = Decoder(Sizes(32, width=24, heads=3), turn=turning(reference.apply_rope, reference.inv_freq(8)), seed=1)
    found = experiment.by_offset(model, 9, model.turn)
    z = torch.nn.functional.rms_norm(model.embedding, (24,))[:, None]  # (V, 1, D): each token as a text of its own
    q, k = ((z @ w.T).unflatten(-1, (3, -1)).transpose(1, 2) for w in model.layers[0][:2])
    for offset in (0, 1, 8):
        a, b = model.turn(q, torch.tensor([offset + 4])), model.turn(k, torch.tensor([4]))
        scores = torch.einsum("vhtd,whtd->hvw", a, b) / 8**0.5
        torch.testing.assert_close(found[:, offset], scores.mean((1, 2)), rtol=1e-4, atol=1e-4)


def test_texts_repeat_after_a_period_within_bounds():
    ids = experiment.at_distance(100, torch.Generator().manual_seed(0), 96)
    periods = [next(p for p in range(1, 96) if torch.equal(row[p:], row[:-p])) for row in ids]
    assert min(periods) >= 16
    assert max(periods) <= 48


def test_the_decay_of_the_paper_is_that_of_its_formula():
    found = decay(reference.inv_freq, reference.relative_score, profile=SMOKE)
    for offset, expected in ((0, 32.5), (1, 31.5), (10, 18.0), (50, 12.6), (100, 10.2), (500, 6.2), (1000, 4.5)):
        assert float(found.bound[offset]) == pytest.approx(expected, abs=0.06)
    cosines = [math.cos(300 * 10000 ** (-2 * i / 128)) for i in range(64)]
    assert float(found.score[300]) == pytest.approx(sum(cosines) / 64, abs=1e-4)
