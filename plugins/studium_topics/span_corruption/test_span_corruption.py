"""The solutions and the reference against transformers' T5, the counts, the experiment, the claims and the widget."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from traitlets import TraitError

from studium_topics.kits import grammar, training
from studium_topics.span_corruption import exercises, experiment, reference
from studium_topics.span_corruption.library import t5_model
from studium_topics.span_corruption.model import Sizes, TinyT5
from studium_topics.span_corruption.press import SpanPress

AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("source", [AT_NIGHT, pytest.param(reference, id="reference")])
SENTINELS = list(range(99, 79, -1))
MATHS = "plugins/studium_topics/span_corruption/press_maths.js"


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_t5(seed: int = 3) -> TinyT5:
    """Return a model in float64 whose sizes all differ."""
    sizes = Sizes(100, width=24, layers=3, heads=3, hidden=40, reach=33, pad=4)
    return TinyT5(sizes, seed=seed).double()


def batch_of(source, *, pad=4):
    texts = [torch.randint(6, 70, (length,), generator=seeded(length)) for length in (30, 17, 23)]
    return source.collate(texts, 0.3, 3, SENTINELS, 5, pad, seeded(1))


@BOTH
def test_shift_right_equals_the_librarys(source):
    pytest.importorskip("transformers", reason="transformers is the oracle")
    library = t5_model(small_t5(), 5)
    labels = torch.randint(6, 90, (3, 7), generator=seeded())
    labels[0, 4:], labels[2, 6:] = -100, -100
    assert torch.equal(source.shift_right(labels, 4, 4), library._shift_right(labels))


@BOTH
def test_a_collated_batch_has_the_loss_of_the_librarys_t5(source):
    pytest.importorskip("transformers", reason="transformers is the oracle")
    model = small_t5()
    inputs, decoder_inputs, labels = batch_of(source)
    theirs = t5_model(model, 5).double()(input_ids=inputs, attention_mask=inputs != 4, labels=labels)
    ours = model(inputs, decoder_inputs)
    torch.testing.assert_close(ours, theirs.logits, rtol=1e-5, atol=2e-6)  # T5 has its softmax in float32
    loss = F.cross_entropy(ours.flatten(0, 1), labels.flatten(), ignore_index=-100)
    torch.testing.assert_close(loss, theirs.loss, rtol=1e-6, atol=1e-6)
    unshifted = labels.masked_fill(labels == -100, 4)
    wrong = F.cross_entropy(model(inputs, unshifted).flatten(0, 1), labels.flatten(), ignore_index=-100)
    assert abs(wrong - theirs.loss) > 1e-3


def test_the_model_has_the_gradients_of_the_librarys_t5():
    pytest.importorskip("transformers", reason="transformers is the oracle")
    model = small_t5()
    inputs, decoder_inputs, labels = batch_of(reference)
    library = t5_model(model, 5).double()
    library(input_ids=inputs, attention_mask=inputs != 4, labels=labels).loss.backward()
    experiment.loss_of(model, inputs, decoder_inputs, labels).backward()
    theirs = library.decoder.block[1].layer[1].EncDecAttention.q.weight.grad
    torch.testing.assert_close(model.decoder.layers[1].cross.q.weight.grad, theirs, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(model.table.grad, library.shared.weight.grad, rtol=1e-3, atol=1e-6)


@BOTH
def test_texts_come_back_whole_from_inputs_and_targets(source):
    for seed in range(30):
        generator = seeded(seed)
        length = int(torch.randint(2, 50, (), generator=generator))
        ids = torch.randint(6, 70, (length,), generator=generator)
        mask = source.span_mask(length, 0.05 + 0.02 * seed, 1 + seed / 8, generator)
        inputs, targets = source.corrupt(ids, mask, SENTINELS, 5)
        assert torch.equal(source.restore(inputs, targets, SENTINELS, 5), ids)
        hidden, spans = reference.noise_counts(length, 0.05 + 0.02 * seed, 1 + seed / 8)
        assert (len(inputs), len(targets)) == (length - hidden + spans + 1, hidden + spans + 1)


def test_the_references_answers_equal_those_of_the_exercises():
    for seed in range(10):
        mask = exercises.span_mask(40, 0.35, 2.2, seeded(seed))
        assert torch.equal(reference.span_mask(40, 0.35, 2.2, seeded(seed)), mask)
        mask = torch.rand(40, generator=seeded(seed)) < 0.4  # spans at both ends, too
        ids = torch.randint(6, 70, (40,), generator=seeded(seed))
        for one, other in zip(*(s.corrupt(ids, mask, SENTINELS, 5) for s in (reference, exercises)), strict=True):
            assert torch.equal(one, other)
        assert all(torch.equal(*pair) for pair in zip(batch_of(reference), batch_of(exercises), strict=True))
        assert reference.expected_target(9, seed / 9) == pytest.approx(exercises.expected_target(9, seed / 9))
        assert reference.raw_length(50 + seed, 0.2, 2.5) == exercises.raw_length(50 + seed, 0.2, 2.5)


def test_a_batch_of_masks_has_exact_counts_and_every_mask_equally_often():
    masks = reference.span_masks(3000, 9, 0.44, 2, seeded())
    found, counts = masks.unique(dim=0, return_counts=True)
    assert len(found) == 3 * 4  # 4 hidden tokens in 2 pieces, 5 kept ones in 2 pieces
    assert ((counts - 250) ** 2 / 250).sum() < 50
    assert (masks.sum(1) == 4).all()
    assert not masks[:, 0].any()
    assert masks[:, -1].all()


def test_a_batch_is_corrupted_as_row_by_row():
    ids = torch.randint(6, 70, (8, 41), generator=seeded())
    masks = reference.span_masks(8, 41, 0.3, 3, seeded(1))
    inputs, targets = reference.corrupt_batch(ids, masks, torch.tensor(SENTINELS), 5)
    for row in range(8):
        one, other = exercises.corrupt(ids[row], masks[row], SENTINELS, 5)
        assert torch.equal(inputs[row], one)
        assert torch.equal(targets[row], other)


def test_masks_and_batches_are_made_on_the_device_that_is_asked_for():
    for device in ["cpu", "cuda"]:
        if device == "cuda" and not torch.cuda.is_available():
            pytest.skip("there is no CUDA device")
        generator = torch.Generator(device).manual_seed(0)
        masks = reference.span_masks(4, 60, 0.15, 3, generator)
        ids = torch.randint(6, 70, (4, 60), generator=generator, device=device)
        inputs, targets = reference.corrupt_batch(ids, masks, torch.tensor(SENTINELS, device=device), 5)
        assert inputs.device.type == targets.device.type == device
        assert (inputs.shape, targets.shape) == ((4, 55), (4, 13))


@BOTH
def test_no_longer_text_fits_and_the_lengths_of_t5_come_out(source):
    for budget, raw, targets in ((512, 568, 114), (128, 141, 29), (64, 70, 14)):
        assert source.raw_length(budget, 0.15, 3) == (raw, targets)
        hidden, spans = reference.noise_counts(raw + 1, 0.15, 3)
        assert raw + 1 - hidden + spans + 1 > budget


def test_inputs_never_get_shorter_when_the_text_gets_longer():
    for density, mean in ((0.15, 3), (0.5, 1), (0.9, 2), (0.33, 7)):
        lengths = [n - h + k + 1 for n in range(2, 400) for h, k in [reference.noise_counts(n, density, mean)]]
        assert all(short <= long for short, long in pairwise(lengths))


def test_the_whole_text_has_the_inputs_of_spans_and_other_targets():
    rows = experiment.texts(6, seeded())
    tools = reference.collate, reference.shift_right
    spans, whole = (experiment.batch_of(name, rows, *tools, seeded(1)) for name in ("spans", "whole text"))
    assert torch.equal(spans[0], whole[0])
    assert spans[0].shape == (6, 17)
    assert spans[2].shape == (6, 9)
    assert torch.equal(whole[2][:, :-1], rows)
    inputs, decoder_inputs, labels = experiment.batch_of("left to right", rows, *tools, seeded(1))
    assert torch.equal(torch.cat([inputs[:, :-1], labels[:, :-1]], 1), rows)
    assert torch.equal(decoder_inputs[:, 1:], labels[:, :-1])


def test_the_question_about_a_determiner_has_the_counts_of_training():
    rows = experiment.texts(5, seeded())
    for gaps in (((10, 11), (15, 20)), ((13, 16), (17, 20))):
        inputs = experiment.hide(rows, *gaps)
        mask = torch.zeros(20, dtype=torch.bool)
        for first, last in gaps:
            mask[first:last] = True
        assert int(mask.sum()) == 6
        assert torch.equal(inputs[0], exercises.corrupt(rows[0], mask, experiment.SENTINELS, experiment.EOS)[0])


def test_a_decoder_writes_until_the_end_and_padding_after_it():
    model = TinyT5(experiment.SIZES)
    inputs = experiment.hide(experiment.texts(20, seeded()), (10, 20))
    written = experiment.write(model, inputs, seeded(1))
    assert written.shape[1] <= 24
    assert torch.equal(written, experiment.write(model, inputs, seeded(1)))
    for row, text in zip(written.tolist(), experiment.ended(written), strict=True):
        stop = row.index(experiment.EOS) if experiment.EOS in row else len(row)
        assert text.tolist() == [*row[:stop], experiment.EOS]
        assert set(row[stop + 1 :]) <= {experiment.PAD}


def test_the_decoder_does_not_read_ahead_and_the_encoder_does_not_read_padding():
    model = small_t5()
    inputs, decoder_inputs, _ = batch_of(reference)
    before = model(inputs, decoder_inputs)
    other = decoder_inputs.clone()
    other[:, 5] = 50
    assert torch.equal(model(inputs, other)[:, :5], before[:, :5])
    longer = F.pad(inputs, (0, 3), value=4)
    torch.testing.assert_close(model(longer, decoder_inputs), before, rtol=1e-9, atol=1e-9)


def test_the_loop_of_the_reference_learns_a_simple_task():
    model = TinyT5(Sizes(12, width=16, layers=1, heads=2, hidden=32, reach=12))
    texts = torch.randint(3, 12, (60, 8, 3), generator=seeded())

    def batch(step):
        return texts[step], reference.shift_right(texts[step], 0, 0), texts[step]

    losses = reference.pretrain(model, batch, 60, 0.02)
    assert len(losses) == 60
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_steps_are_read_off_the_last_crossing():
    learner = experiment.Learner(None, "spans", [10, 20, 30, 40], [0.5, 0.95, 0.8, 1.0], [])
    assert learner.steps_to() == 40
    assert experiment.Learner(None, "spans", [10], [0.5], []).steps_to() == float("inf")


def test_words_have_the_sentinels_of_the_paper():
    ids = torch.tensor([experiment.SENTINELS[0], *grammar.encode("these dogs").tolist(), experiment.SENTINELS[1], 2])
    assert experiment.words(ids) == "<X> these dogs <Y> </s>"


# ------------------------------------------------------------------------------------------------------ widget


def test_the_press_counts_as_python_does(call_js):
    for length, density, mean in (
        (40, 0.15, 3),
        (30, 0.15, 3),
        (50, 0.25, 1),
        (9, 0.6, 1),
        (2, 0.05, 8),
        (33, 0.5, 1.5),
    ):
        assert tuple(call_js(MATHS, "counts", length, density, mean)) == reference.noise_counts(length, density, mean)


def test_the_press_corrupts_as_the_exercise_does(call_js):
    for seed in range(5):
        flags = call_js(MATHS, "mask", 40, 0.3, 2, seed, "spans")
        hidden, spans = reference.noise_counts(40, 0.3, 2)
        numbers = call_js(MATHS, "spansOf", flags)
        assert sum(flags) == hidden
        assert max(numbers) == spans - 1
        words = [f"w{i}" for i in range(40)]
        pressed = call_js(MATHS, "corrupted", words, numbers)
        names = [call_js(MATHS, "sentinel", span) for span in range(spans)]
        sides = exercises.corrupt(torch.arange(40), torch.tensor(flags), list(range(100, 100 + spans)), 200)
        for side, ids in zip(("inputs", "targets"), sides, strict=True):
            expected = ["</s>" if i == 200 else names[i - 100] if i >= 100 else words[i] for i in ids.tolist()]
            assert [part["word"] for part in pressed[side]] == expected


def test_the_press_puts_spans_back_and_says_so(mount):
    page = mount(SpanPress(), width=900)
    page.get_by_role("slider", name="Spans put back").press("ArrowRight")
    page.drawn()
    assert page.state()["back"] == 1
    assert page.get_by_text("1 of 2 spans put back").count() >= 1
    assert page.locator(".st-gone").count() == 3


def test_the_press_takes_any_text_and_refuses_a_long_one(mount):
    page = mount(SpanPress(), width=900)
    page.get_by_role("textbox", name="Your text").fill("one two three four five six seven eight")
    page.drawn()
    assert page.get_by_text("1 of 8 words hidden in 1 span").count() >= 1
    with pytest.raises(TraitError, match="at most 600 characters"):
        SpanPress(text="a " * 301)
