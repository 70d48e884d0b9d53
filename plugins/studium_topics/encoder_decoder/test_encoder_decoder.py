"""The exercises and the reference against transformers' T5, the experiments, and the widget."""

import math

import numpy as np
import pytest
import torch
from studium import Profile
from traitlets import TraitError

from studium_topics.encoder_decoder import exercises, experiment, figures, model, reference
from studium_topics.encoder_decoder.model import EOS, FIRST, PAD, T5, Blocks, Sizes, fresh_checkpoint
from studium_topics.encoder_decoder.widget import SourceReader
from studium_topics.kits import training

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/encoder_decoder/widget_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


@pytest.fixture
def t5():
    """A small random T5ForConditionalGeneration in float64, with gains that are not 1."""
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    config = transformers.T5Config(
        vocab_size=40, d_model=24, d_kv=8, d_ff=20, num_layers=2, num_decoder_layers=2, num_heads=3, eos_token_id=1,
        decoder_start_token_id=0, pad_token_id=0, relative_attention_num_buckets=32,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        built = transformers.T5ForConditionalGeneration(config).double().eval()
        for parameter in built.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return built


def blocks_of(ours):
    return Blocks(ours.remember, ours.cross_attention, ours.position_bias, ours.decoder_layer)


def texts():
    generator = torch.Generator().manual_seed(3)
    source, ids = (torch.randint(2, 40, (3, length), generator=generator) for length in (9, 7))
    source[1, 6:] = PAD
    return source, ids


@BOTH
def test_the_logits_of_a_checkpoint_equal_transformers(ours, t5):
    source, ids = texts()
    expected = t5(input_ids=source, attention_mask=(source != PAD).long(), decoder_input_ids=ids).logits
    found = T5(t5.state_dict(), 3, blocks_of(ours))(source, ids)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)  # transformers' norm works in float32


@BOTH
def test_buckets_equal_transformers(ours):
    pytest.importorskip("transformers", reason="transformers is the oracle")
    for both in [True, False]:
        from transformers.models.t5.modeling_t5 import T5Attention

        for buckets, farthest in ((32, 128), (16, 50), (8, 20)):
            distance = torch.arange(-300, 301)
            expected = T5Attention._relative_position_bucket(distance, both, buckets, farthest)
            assert torch.equal(ours.relative_bucket(distance, both, buckets, farthest), expected)


@BOTH
def test_the_loss_equals_that_of_transformers_labels(ours, t5):
    source, labels = texts()
    labels[0, 4:] = -100
    out = t5(input_ids=source, attention_mask=(source != PAD).long(), labels=labels)
    net = T5(t5.state_dict(), 3, blocks_of(ours))
    found = ours.teacher_forced_loss(lambda ids: net(source, ids), labels, 0, 0)
    torch.testing.assert_close(found, out.loss.to(found.dtype), rtol=1e-5, atol=1e-5)


@BOTH
def test_greedy_answers_equal_those_of_generate(ours, t5):
    source, _ = texts()
    options = {"num_beams": 1, "do_sample": False, "max_new_tokens": 8}
    expected = t5.generate(source, attention_mask=(source != PAD).long(), **options)[:, 1:]
    net = T5(t5.state_dict(), 3, blocks_of(ours))
    with torch.no_grad():
        found = ours.greedy(net.reader(source), torch.zeros(3, dtype=torch.long), EOS, PAD, 8)
    assert torch.equal(found, expected[:, : found.shape[1]])


@BOTH
def test_a_wide_beam_finds_the_likeliest_of_all_answers(ours):
    sizes = Sizes(4, width=8, heads=2, hidden=8)
    net = T5(fresh_checkpoint(sizes, seed=2), 2, blocks_of(ours))
    source, best = torch.tensor([[2, 3, 3, 1]]), (-math.inf, [])
    with torch.no_grad():
        for number in range(4**4):
            tokens = [number // 4**place % 4 for place in range(4)]
            end = tokens.index(EOS) + 1 if EOS in tokens else 4
            logp = net(source, torch.tensor([[PAD, *tokens[:-1]]]))[0].log_softmax(-1)
            best = max(best, (float(logp[range(end), tokens[:end]].sum()), tokens[:end]))
        tokens, total = ours.beam_search(net.reader(source), PAD, EOS, 400, 4)
    assert tokens == best[1]
    assert total == pytest.approx(best[0], abs=1e-4)


def test_a_fresh_checkpoint_has_the_names_and_the_shapes_of_transformers(t5):
    fresh = fresh_checkpoint(Sizes(40, width=24, layers=2, heads=3, hidden=20))
    published = {name: tuple(weight.shape) for name, weight in t5.state_dict().items()}
    tied = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"}
    assert {name: tuple(weight.shape) for name, weight in fresh.items()} == {
        name: shape for name, shape in published.items() if name not in tied
    }
    assert all(weight.requires_grad and weight.is_leaf for weight in fresh.values())


def test_a_head_begins_with_one_distance_in_view():
    fresh = fresh_checkpoint(Sizes(20, heads=4))
    bias = reference.position_bias(fresh[model.ENCODER_TABLE], 9, 9, False)[0, :, 4]
    assert (bias.argmax(-1) - 4).tolist() == [-1, 1, -2, 2]
    bias = reference.position_bias(fresh[model.DECODER_TABLE], 1, 9, True)[0, :, 0]
    assert (bias.argmax(-1) - 8).tolist() == [0, -1, -2, -3]


def test_pairs_are_a_task_of_letters_that_differ():
    for task in experiment.TASKS:
        source, labels = experiment.pairs(task, 50, torch.Generator().manual_seed(0))
        lengths = set()
        for row, answer in zip(source.tolist(), labels.tolist(), strict=True):
            letters = row[: row.index(EOS)]
            wanted = {"copy": letters, "reverse": letters[::-1], "sort": sorted(letters)}[task]
            assert answer == [*wanted, EOS] + [-100] * (9 - len(letters))
            assert row[len(letters) + 1 :] == [PAD] * (9 - len(letters))
            assert len(set(letters)) == len(letters)
            assert min(letters) >= FIRST
            lengths.add(len(letters))
        assert lengths == set(range(4, 10))


def test_a_garden_path_is_a_copy_in_two_of_five_cases_and_else_the_mark_and_one_letter():
    source, labels = experiment.garden_path(2000, torch.Generator().manual_seed(0))
    short = labels[:, 0] == experiment.MARK
    assert float(short.double().mean()) == pytest.approx(0.6, abs=0.04)
    assert all(int(row[1]) in text.tolist() for row, text in zip(labels[short], source[short], strict=True))
    assert (labels[short][:, 2] == EOS).all()
    assert (labels[short][:, 3:] == -100).all()
    copies = labels[~short]
    assert torch.equal(copies.clamp(min=0), source[~short])


def test_a_row_is_right_only_to_its_end():
    labels = torch.tensor([[5, 6, EOS, -100], [5, 6, 7, EOS]])
    assert experiment.right(torch.tensor([[5, 6, EOS], [5, 6, 7]]), labels) == 0.5
    assert experiment.right(torch.tensor([[5, 6, EOS, PAD], [5, 6, 7, EOS]]), labels) == 1.0


def test_the_weights_that_are_shown_are_those_that_the_decoder_uses():
    net = T5(fresh_checkpoint(Sizes(23, heads=4), seed=1), 4, reference.BLOCKS)
    source, _ = experiment.pairs("copy", 3, torch.Generator().manual_seed(1))
    ids = torch.tensor([[0, 5, 6], [0, 9, 3], [0, 4, 4]])
    weights, own, seen = net.looks(source, ids), net.layer(0), []

    def watched(x, keys, values, wq, wo, bias):
        if wq is own["cross_q"]:
            seen.append(values)
        return reference.cross_attention(x, keys, values, wq, wo, bias)

    assert weights.shape == (3, 4, 3, 10)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 4, 3))
    assert float(weights.masked_fill((source != PAD)[:, None, None], 0).max()) == 0.0
    with torch.no_grad():
        z = net.checkpoint["shared.weight"][ids]
        bias = reference.position_bias(net.checkpoint[model.DECODER_TABLE], 3, 3, True)
        memory = net.memory(source)
        stream, _ = reference.decoder_layer(z, own, None, memory[0], bias, net.closed(source))
        normed = reference.rmsnorm(z, own["self_norm"])
        pair = reference.remember(normed, own["self_k"], own["self_v"], 4)
        z = z + reference.cross_attention(normed, *pair, own["self_q"], own["self_o"], bias)
        z = z + (weights @ memory[0][1]).transpose(1, 2).flatten(2) @ own["cross_o"].T
        z = z + reference.feed_forward(reference.rmsnorm(z, own["mlp_norm"]), own["up"], own["down"])
    torch.testing.assert_close(z, stream)


def test_with_one_slot_only_the_end_of_the_source_is_open():
    net = T5(fresh_checkpoint(Sizes(23)), 4, reference.BLOCKS, "last")
    source, _ = experiment.pairs("copy", 4, torch.Generator().manual_seed(1))
    is_open = net.closed(source)[:, 0, 0] == 0
    assert torch.equal(is_open, source == EOS)


@pytest.mark.sample(1)
@BOTH
def test_the_experiments_run_with_the_exercises_and_with_the_reference(ours):
    parts = [*vars(blocks_of(ours)).values(), ours.teacher_forced_loss]
    leak = experiment.leak(*parts, ours.greedy, profile=SMOKE, seed=0)
    assert leak.leaky.losses[0] != leak.shifted.losses[0]
    assert 0 <= leak.shifted.accuracy <= 1
    searched = experiment.search(*parts, ours.beam_search, profile=SMOKE, seed=0)
    assert searched.logp[8] >= searched.logp[1] - 1e-6
    reach = experiment.reach(*parts[:-1], profile=SMOKE)
    assert reach.source > 1e-3
    assert reach.cached < 1e-4


def test_alignment_compares_six_models_that_differ_in_task_and_slots():
    parts = [*vars(reference.BLOCKS).values(), reference.teacher_forced_loss, reference.greedy]
    found = experiment.alignment(*parts, profile=SMOKE, seed=0)
    assert list(found.full) == list(found.one) == list(experiment.TASKS)
    assert {run.model.slots for run in found.full.values()} == {"all"}
    assert {run.model.slots for run in found.one.values()} == {"last"}
    assert found.gap == min(found.full[task].accuracy - found.one[task].accuracy for task in ("copy", "reverse"))


def test_the_lessons_own_loop_is_the_experiment():
    steps = experiment.steps_of(SMOKE)
    checkpoint = fresh_checkpoint(experiment.SIZES, seed=3)
    net = T5(checkpoint, experiment.SIZES.heads, reference.BLOCKS)
    optimizer = torch.optim.AdamW(checkpoint.values(), lr=experiment.RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, experiment.RATE, total_steps=steps)
    generator, losses = torch.Generator().manual_seed(3), []
    for _ in range(steps):
        source, labels = experiment.pairs("reverse", 16, generator)
        memory, closed = net.memory(source), net.closed(source)
        loss = reference.teacher_forced_loss(lambda ids: net.decode(ids, memory, closed)[0], labels, PAD, PAD)  # noqa: B023
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(checkpoint.values(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    found = experiment.fitted(
        reference.BLOCKS, reference.teacher_forced_loss, reference.greedy, "reverse", profile=SMOKE, seed=3
    )
    assert found.losses == pytest.approx(losses, rel=1e-4)


@pytest.mark.heavy
def test_decoding_is_timed_on_the_cpu_with_and_without_the_memory_kept():
    net = T5(fresh_checkpoint(Sizes(23)), 4, reference.BLOCKS)
    source, _ = experiment.pairs("copy", 2, torch.Generator().manual_seed(1))
    assert all(reference.decode_speed(net, source, 3, cached=cached) > 0 for cached in (True, False))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_the_compiled_layer_in_bfloat16_decodes():
    net = T5(fresh_checkpoint(Sizes(23), device="cuda"), 4, reference.BLOCKS)
    source, _ = experiment.pairs("copy", 4, torch.Generator().manual_seed(1), "cuda")
    assert reference.decode_speed(net, source, 5, compiled=True) > 0


def test_the_saved_models_answer_and_the_one_that_reverses_looks_at_the_last_letter_written(call_js):
    widget = figures.opening()
    assert "".join(experiment.LETTERS[number] for number in widget.source) == "planets"
    for row, task in zip(widget.weights, widget.tasks, strict=True):
        net = T5(unpacked(row, experiment.SIZES), 4, reference.BLOCKS)
        source, labels = experiment.held_out(task, 5)
        assert experiment.right(experiment.answered(net, source, reference.greedy), labels) > 0.9
        if task == "reverse":
            after, before = experiment.looking(net, task, 5)
            assert before > 0.9
            assert after < 0.2


@pytest.mark.heavy
def test_the_saved_models_can_be_trained_again():
    weights = reference.opening_weights()
    assert list(weights) == list(figures.opening().tasks)


def unpacked(row, sizes):
    """Return a checkpoint from one row of the widget's weights."""
    found, at = {}, 0
    for name, like in fresh_checkpoint(sizes).items():
        found[name] = torch.tensor(np.array(row[at : at + like.numel()])).view_as(like)
        at += like.numel()
    return found


def small(**options):
    sizes = Sizes(23, width=16, hidden=24)
    checkpoint = fresh_checkpoint(sizes, seed=4)
    return T5(checkpoint, 4, reference.BLOCKS), SourceReader.of({"copy": checkpoint}, experiment.LETTERS, 4, **options)


def test_the_model_in_the_browser_is_the_one_in_torch(call_js):
    for ids in [[0], [0, 7, 3, 12, 5]]:
        net, widget = small()
        tensors = call_js(MATHS, "tensorsOf", widget.weights[0], {"tokens": 23, "width": 16, "heads": 4, "hidden": 24})
        source = torch.tensor([[8, 2, 13, 5, 19, 1]])
        memory = call_js(MATHS, "memoryOf", tensors, source[0].tolist())
        found = call_js(MATHS, "decode", tensors, ids, memory)
        with torch.no_grad():
            expected = net(source, torch.tensor([ids]))[0, -1]
        looks = net.looks(source, torch.tensor([ids]))[0, :, -1]
        torch.testing.assert_close(torch.tensor(found["logits"]), expected, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(torch.tensor(found["looks"]), looks, rtol=1e-3, atol=1e-3)


def test_buckets_in_the_browser_are_those_of_the_exercise(call_js):
    for both in [True, False]:
        for distance in (-200, -127, -40, -9, -1, 0, 1, 6, 25, 130):
            expected = int(reference.relative_bucket(torch.tensor(distance), both))
            assert call_js(MATHS, "bucket", distance, both) == expected


@pytest.mark.browser
def test_a_source_can_be_typed_and_the_memory_closed_by_keyboard(mount):
    page = mount(small()[1])
    field = page.get_by_role("textbox")
    field.fill("dbca")
    page.get_by_role("slider", name="Letters written").press("ArrowRight")
    page.get_by_label("Put in a mistake").select_option("closed")
    state = page.state()
    assert (state["source"], state["written"], state["fault"]) == ([3, 1, 2, 0], 4, "closed")


def test_a_source_reader_says_what_does_not_fit():
    for options, message in [
        ({"task": "sort"}, "task needs to be one of copy, got sort"),
        ({"head": 4}, "head goes up to 3, got 4"),
        ({"source": [1, 2, 2, 3]}, "the letters of source need to differ"),
        ({"source": [1, 2, 30, 3]}, "source needs numbers up to 19"),
        ({"hidden": 25}, "weights are needed for a model of this size"),
    ]:
        with pytest.raises(TraitError, match=message):
            small(**options)
