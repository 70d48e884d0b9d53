"""The exercises and the reference against other implementations, the scenes, the experiment, and the lights."""

import copy
import re

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from studium import Profile
from traitlets import TraitError

from studium_topics.glip import exercises, experiment, figures, reference, scenes
from studium_topics.glip.lights import SHOWN, CaptionLights
from studium_topics.glip.model import WORDS, drawn
from studium_topics.kits import training
from studium_topics.kits.shapes import NAMES, draw, in_quadrants

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/glip/lights_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
EXACT = {"rtol": 1e-9, "atol": 1e-9}
BLOCKS = ("build_prompt", "align_logits", "token_focal", "phrase_scores", "box_iou", "nms", "average_precision")


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_boxes(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corners, sides = torch.rand(2, count, 2, generator=generator, dtype=torch.float64)
    return torch.cat([10 * corners, 10 * corners + 2 + 6 * sides], 1)


@pytest.mark.heavy
@BOTH
@pytest.mark.parametrize("module", ["grounding_dino", "mm_grounding_dino"])
def test_logits_are_those_of_both_grounding_dinos(ours, module):
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    stem = {"grounding_dino": "GroundingDino", "mm_grounding_dino": "MMGroundingDino"}[module]
    oracle = getattr(getattr(transformers.models, module), f"modeling_{module}")
    theirs = getattr(oracle, f"{stem}ContrastiveEmbedding")(getattr(transformers, f"{stem}Config")(max_text_len=7))
    regions, words = noise(2, 5, 4).float(), noise(2, 6, 4, seed=1).float()
    mask = torch.tensor([[True] * 6, [True, True, True, False, False, False]])
    scaled = module == "mm_grounding_dino"
    log_scale, bias = torch.tensor(-0.5 * np.log(4) if scaled else 0.0), torch.tensor(-1.25 if scaled else 0.0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(bias)
        out = theirs(vision_hidden_state=regions, text_hidden_state=words, text_token_mask=mask)
    torch.testing.assert_close(ours.align_logits(regions, words, log_scale.float(), bias, mask), out[..., :6])


@BOTH
def test_with_fixed_words_the_logits_are_those_of_a_linear_classifier(ours):
    regions, layer = noise(1, 7, 4), torch.nn.Linear(4, 5).double()
    mask = torch.ones(1, 5, dtype=torch.bool)
    with torch.no_grad():
        layer.bias.fill_(-0.7)
        found = ours.align_logits(regions, layer.weight[None], torch.tensor(0.0), layer.bias[0], mask)
        torch.testing.assert_close(found, layer(regions), **EXACT)


@BOTH
def test_the_focal_loss_is_that_of_transformers(ours):
    oracle = pytest.importorskip("transformers.loss.loss_for_object_detection", reason="transformers is the oracle")
    for alpha, gamma in [(0.25, 2.0), (0.6, 1.0)]:
        logits, targets = 3 * noise(3, 5, 4), (noise(3, 5, 4, seed=1) > 0.5).double()
        mask = torch.ones(3, 4, dtype=torch.bool)
        expected = oracle.sigmoid_focal_loss(logits.flatten()[:, None], targets.flatten()[:, None], 1, alpha, gamma)
        found = ours.token_focal(logits, targets, mask, alpha, gamma)
        torch.testing.assert_close(found * targets.sum(), expected, **EXACT)


@BOTH
def test_overlaps_are_those_of_transformers(ours):
    oracle = pytest.importorskip("transformers.loss.loss_for_object_detection", reason="transformers is the oracle")
    boxes, others = some_boxes(9), some_boxes(6, seed=1)
    torch.testing.assert_close(ours.box_iou(boxes, others), oracle.box_iou(boxes, others)[0], **EXACT)


@BOTH
def test_suppression_is_that_of_torchvision(ours):
    ops = pytest.importorskip("torchvision.ops", reason="torchvision is the oracle")
    for overlap in [0.1, 0.3, 0.6]:
        boxes, scores = some_boxes(40), noise(40, seed=1)
        assert ours.nms(boxes, scores, overlap).tolist() == ops.nms(boxes, scores, overlap).tolist()


@BOTH
def test_average_precision_is_that_of_scikit_learn_times_the_share_of_truths_that_are_found(ours):
    for seed in range(20):
        truths = [some_boxes(count, seed=10 * seed + count) for count in (3, 0, 2)]
        found = [
            (
                torch.cat([truth + 0.6 * noise(len(truth), 4, seed=seed), some_boxes(4, seed=seed)]),
                noise(len(truth) + 4),
            )
            for truth in truths
        ]
        found = [(boxes, scores + 0.01 * image) for image, (boxes, scores) in enumerate(found)]
        labels, ranks = [], []
        for (boxes, scores), truth in zip(found, truths, strict=True):
            free = list(range(len(truth)))
            for place in scores.argsort(descending=True).tolist():
                row = reference.box_iou(boxes[place : place + 1], truth)[0].tolist()
                best = max(free, key=row.__getitem__, default=None)
                labels.append(best is not None and row[best] >= 0.5)
                ranks.append(float(scores[place]))
                if labels[-1]:
                    free.remove(best)
        expected = average_precision_score(labels, ranks) * sum(labels) / 5 if any(labels) else 0.0
        assert ours.average_precision(found, truths) == pytest.approx(expected)


@BOTH
def test_tokens_of_a_fast_tokenizer_are_given_to_their_names(ours):
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is the oracle")
    pieces = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "string": 3, "ring": 4, "to": 5, "##as": 6, "##ter": 7, ".": 8}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(pieces))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    caption, positive = ours.build_prompt(["string", "toaster ring"], ". ", lambda text: tokenizer.encode(text).offsets)
    assert tokenizer.encode(caption).tokens == ["[CLS]", "string", ".", "to", "##as", "##ter", "ring", "[SEP]"]
    assert positive.int().tolist() == [[0, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1, 0]]


@BOTH
def test_a_detector_finds_what_it_was_trained_on(ours):
    batch = scenes.batch(3, torch.Generator().manual_seed(0))
    name = batch.names[0][int(batch.owner[0].max())]
    found, losses = ours.ground(drawn(0), [batch] * 80, 1e-2, batch.images[:1], [name])
    assert losses[-1] < losses[0] / 3
    boxes, scores = found[0][0]
    truth = batch.boxes[0][batch.owner[0] == batch.owner[0].max()][:1]
    assert len(scores) == 1
    assert float(reference.box_iou(boxes, truth)) > 0.8


def test_the_reference_trains_as_the_exercise_does():
    generator = torch.Generator().manual_seed(1)
    batches, images = [scenes.batch(4, generator) for _ in range(3)], scenes.batch(2, generator).images
    losses = [
        ours.ground(copy.deepcopy(drawn(2)), batches, 5e-3, images, ["red"])[1] for ours in (exercises, reference)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.heavy
def test_the_cost_of_training_is_measured_on_the_cpu_as_well():
    assert reference.training_cost(drawn(0), 2, steps=1).images_a_second > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_training_is_measured_in_bfloat16_and_compiled():
    for compiled in (False, True):
        cost = reference.training_cost(drawn(0).cuda(), 256, compile=compiled)
        assert cost.megabytes > 0


def test_held_out_names_are_in_no_image_and_in_no_caption_of_training():
    assert (len(scenes.SEEN), len(scenes.HELD_OUT)) == (24, 6)
    batch = scenes.batch(40, torch.Generator().manual_seed(0))
    assert not {name for row in batch.names for name in row} & set(scenes.HELD_OUT)
    assert {word for name in scenes.HELD_OUT for word in name.split()} <= {
        word for name in scenes.SEEN for word in name.split()
    }


def test_each_shape_has_a_region_and_the_region_lies_within_its_box():
    names = [list(NAMES[start : start + 4]) for start in range(0, 28, 4)]
    drawing = draw(in_quadrants(names, torch.Generator().manual_seed(0)), scenes.SIDE, torch.Generator())
    owners = scenes.owners(drawing)
    for row in range(len(names)):
        assert set(owners[row].tolist()) == {-1, 0, 1, 2, 3}
        for region in (owners[row] >= 0).nonzero()[:, 0].tolist():
            left, top, right, bottom = drawing.boxes[row, owners[row, region]] / scenes.CELL
            x, y = scenes.CENTRES[region]
            assert left < x < right
            assert top < y < bottom


def test_a_batch_names_the_owner_of_each_region_and_gives_its_box():
    batch = scenes.batch(12, torch.Generator().manual_seed(4))
    assert batch.owner.shape == (12, 36)
    for row, names in enumerate(batch.names):
        assert len(set(names)) == scenes.MOST_NAMES
        owners = set(batch.owner[row].tolist()) - {-1}
        assert len(owners) in (3, 4)
        for owner in owners:
            boxes = batch.boxes[row][batch.owner[row] == owner]
            assert torch.equal(boxes, boxes[:1].expand_as(boxes))


def test_a_question_shows_the_name_once_among_shapes_that_are_nearly_it():
    for name in ["red ring", "white disc", "purple triangle"]:
        query = scenes.query(name, 5, torch.Generator().manual_seed(0))
        assert query.images.shape == (5, 3, 24, 24)
        for truth, others in zip(query.truths, query.others, strict=True):
            assert truth.shape == (1, 4)
            assert torch.equal(others[:1], truth)
            assert float(reference.box_iou(others, others).triu(1).max()) == 0
        assert scenes.swapped([name]) == [" ".join(name.split()[::-1])]


def test_a_token_is_read_with_its_neighbours_and_an_unknown_word_is_nothing():
    model = drawn(1)
    words, mask = model.read(["red ring. blue ring", "zebra"])
    assert mask.int().tolist() == [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
    assert not torch.allclose(words[0, 1], words[0, 4])
    assert torch.equal(words[1, 0], torch.zeros(32))
    alone, _ = model.read(["red ring"])
    torch.testing.assert_close(alone[0, 0], words[0, 0])


def test_only_the_text_of_a_run_differs():
    for run in experiment.RUNS:
        batch = scenes.batch(5, torch.Generator().manual_seed(2))
        told = experiment.told(run, batch)
        assert torch.equal(told.images, batch.images)
        assert torch.equal(told.boxes, batch.boxes)
        assert torch.equal(told.owner >= 0, batch.owner >= 0)
        own = {
            name for row, names in enumerate(told.names) for name in {names[at] for at in told.owner[row] if at >= 0}
        }
        true = {
            name for row, names in enumerate(batch.names) for name in {names[at] for at in batch.owner[row] if at >= 0}
        }
        assert (own == set(experiment.RUNS[run](sorted(true)))) == (run != "shuffled captions")


def test_the_experiment_runs_with_the_exercises():
    found = experiment.grounding(*(getattr(exercises, name) for name in BLOCKS), profile=SMOKE)
    assert set(found.runs) == set(experiment.RUNS)
    assert all(set(run.precision) == set(NAMES) for run in found.runs.values())
    assert all(0 <= value <= 1 for run in found.runs.values() for value in (run.seen, run.held_out, run.boxes))
    assert 0 < found.chance < 1
    assert found.ahead_of("captions") == 0


def test_perfect_boxes_with_random_scores_find_one_shape_in_four():
    queries = [scenes.query(name, 60, torch.Generator().manual_seed(3)) for name in NAMES[:3]]
    assert experiment.chance(queries, reference.average_precision, 0) == pytest.approx(0.25, abs=0.04)


def test_a_shape_is_bright_inside_its_box_and_in_its_regions_alone():
    image = torch.ones(3, 24, 24)
    lit = figures.lit_boxes(image, [(torch.tensor([[0.0, 0.0, 3.0, 1.5]]), torch.ones(1)), (torch.zeros(0, 4), None)])
    assert lit.shape == (2, 3, 96, 96)
    assert float((lit[0] == 1).double().mean()) == pytest.approx(1 / 8)
    assert float(lit[1].max()) == pytest.approx(-0.5)
    scores = torch.zeros(1, 36)
    scores[0, 7] = 1.0
    bright = (figures.lit_regions(image, scores)[0, 0] == 1).nonzero()
    assert bright.min(0).values.tolist() == [16, 16]
    assert bright.max(0).values.tolist() == [31, 31]


def test_the_reader_in_the_browser_is_the_one_of_the_model(call_js):
    for caption in ["red ring. blue disc", "Ring RED", "a zebra. white cross.", "disc"]:
        model = drawn(2)
        words, _ = model.read([caption])
        tokens = call_js(MATHS, "tokensOf", caption)
        assert tokens == [caption[start:end].lower() for start, end in scenes.offsets(caption)]
        weights = {"embedding": model.embedding, "kernel": model.mix.weight.permute(2, 0, 1)}
        reader = {name: part.detach().flatten().tolist() for name, part in weights.items()} | {
            "vocabulary": list(WORDS)
        }
        vectors = torch.tensor(call_js(MATHS, "wordVectors", reader, tokens))
        torch.testing.assert_close(vectors.view(len(tokens), 32), words[0].detach(), rtol=1e-4, atol=1e-5)


def test_scores_in_the_browser_are_those_of_the_exercises(call_js):
    regions, words = noise(9, 4), noise(5, 4, seed=1)
    flat = call_js(MATHS, "probabilities", regions.flatten(), words.flatten(), 4, 0.3, -0.8)
    numbers = torch.tensor(0.3, dtype=torch.float64), torch.tensor(-0.8, dtype=torch.float64)
    logits = exercises.align_logits(regions[None], words[None], *numbers, torch.ones(1, 5, dtype=torch.bool))[0]
    table = torch.tensor(flat, dtype=torch.float64).view(9, 5)
    torch.testing.assert_close(table, logits.sigmoid(), **EXACT)
    phrases = call_js(MATHS, "phrasesOf", ["red", "ring", ".", "disc", "."])
    assert phrases == [{"text": "red ring", "tokens": [0, 1]}, {"text": "disc", "tokens": [3]}]
    positive = torch.tensor([[True, True, False, False, False], [False, False, False, True, False]])
    expected = exercises.phrase_scores(logits, positive)
    for phrase, scores in zip(phrases, expected, strict=True):
        assert call_js(MATHS, "scoresOf", flat, 5, phrase["tokens"]) == pytest.approx(scores.tolist())


def test_suppression_in_the_browser_is_that_of_the_exercise(call_js):
    for overlap in [0.2, 0.5]:
        boxes, scores = some_boxes(15), noise(15, seed=1).sigmoid()
        sure = (scores >= 0.4).nonzero()[:, 0]
        expected = sure[exercises.nms(boxes[sure], scores[sure], overlap)].tolist()
        assert call_js(MATHS, "remaining", boxes.flatten(), scores.tolist(), 0.4, overlap) == expected


def test_the_lights_take_a_trained_detector():
    model = drawn(1)
    lights = CaptionLights.of(model, SHOWN[:2], seed=3, caption="ring")
    images = draw(
        in_quadrants(SHOWN[:2], torch.Generator().manual_seed(3)), 24, torch.Generator().manual_seed(3)
    ).images
    assert lights.pixels.shape == (2, 24, 24, 3)
    assert lights.regions.shape == (2, 36, 32)
    assert lights.bias == pytest.approx(-3)
    assert images.shape == (2, 3, 24, 24)
    assert re.search("Image 0 of 2, .* “ring”", lights.alt)


def test_the_lights_say_what_does_not_fit():
    for options, message in [
        ({"caption": "ring " * 30}, "at most 80 characters, got 150"),
        ({"vocabulary": ["ring"]}, "one word for each row of embedding, 12, got 1"),
        ({"image": 3}, "below the number of images, 3, got 3"),
        ({"boxes": np.zeros((2, 36, 4))}, "pixels and boxes need the 3 images and 36 regions"),
        ({"threshold": 0.0}, "threshold needs to be from 0.05 to 0.95"),
    ]:
        with pytest.raises(TraitError, match=message):
            CaptionLights.drawn(**options)


@pytest.mark.browser
def test_a_caption_that_is_written_lights_its_boxes_word_by_word(mount):
    page = mount(CaptionLights.drawn(), kernel=False)
    said = page.locator(".st-summary")
    page.get_by_text("“red ring” 1 box").first.wait_for()
    page.get_by_label("Your caption").fill("ring. white cross")
    page.drawn()
    assert said.inner_text().startswith("“ring” 2 boxes, best score 0.99; “white cross” 0 boxes")
    page.get_by_role("slider", name="Word by word").press("ArrowRight")
    page.drawn()
    assert said.inner_text().startswith("Word 1 alone: “ring” 2 boxes")
    assert page.errors == []
