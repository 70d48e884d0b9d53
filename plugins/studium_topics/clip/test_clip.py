"""The exercises and the reference against transformers' CLIP, the shapes, the experiment, and the board of captions."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import top_k_accuracy_score
from studium import Profile
from traitlets import TraitError

from studium_topics.clip import exercises, experiment, reference, shapes
from studium_topics.clip.board import CaptionBoard
from studium_topics.clip.model import WORDS, bag, drawn
from studium_topics.kits import training

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/clip/board_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
EXACT = {"rtol": 1e-10, "atol": 1e-10}
TRAINED = ("clip_logits", "clip_loss", "zero_shot_weights", "recall_at_k", "shift_gap")


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def theirs():
    """A tiny random CLIPModel of transformers in float64."""
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": 20, "max_position_embeddings": 6, "eos_token_id": 19, "bos_token_id": 18}
    config = transformers.CLIPConfig(
        text_config=text, vision_config={**sizes, "image_size": 8, "patch_size": 4}, projection_dim=5
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return transformers.CLIPModel(config).double().eval()


@BOTH
def test_logits_and_loss_are_those_of_transformers(ours, theirs):
    pixels = noise(4, 3, 8, 8)
    ids = torch.randint(18, (4, 6), generator=torch.Generator().manual_seed(1))
    ids[:, -1] = 19
    with torch.no_grad():
        out = theirs(pixel_values=pixels, input_ids=ids, return_loss=True)
        images = theirs.visual_projection(theirs.vision_model(pixel_values=pixels).pooler_output)
        texts = theirs.text_projection(theirs.text_model(input_ids=ids).pooler_output)
        logits = ours.clip_logits(images, texts, theirs.logit_scale)
    torch.testing.assert_close(logits, out.logits_per_image, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.clip_loss(logits), out.loss, rtol=1e-6, atol=1e-6)


@BOTH
def test_shared_targets_lie_the_entropy_of_the_targets_above_the_mean_kl_divergence(ours):
    logits, ids = 2 * noise(6, 6), torch.tensor([3, 1, 3, 3, 2, 1])
    same = (ids[:, None] == ids).double()
    targets = torch.distributions.Categorical(probs=same)
    divergences = [
        torch.distributions.kl_divergence(targets, torch.distributions.Categorical(logits=table)).mean()
        for table in (logits, logits.mT)
    ]
    expected = targets.entropy().mean() + sum(divergences) / 2
    torch.testing.assert_close(ours.multi_positive_loss(logits, ids), expected, rtol=1e-6, atol=1e-6)


@BOTH
def test_copies_of_one_caption_make_plain_and_shared_targets_the_same_with_their_gradients(ours):
    ids = torch.tensor([0, 1, 2, 0, 1, 0])
    losses = (ours.clip_loss, lambda logits: ours.multi_positive_loss(logits, ids))
    found = []
    for loss in losses:
        pictures, texts = noise(6, 4).requires_grad_(), noise(3, 4, seed=1).requires_grad_()
        value = loss(ours.clip_logits(pictures, texts[ids], torch.tensor(1.5, dtype=torch.float64)))
        found.append((value, *torch.autograd.grad(value, (pictures, texts))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@BOTH
def test_recall_is_the_top_k_accuracy_of_scikit_learn_in_both_directions(ours):
    for k in [1, 2, 5]:
        similarity = noise(9, 9) + torch.eye(9, dtype=torch.float64)
        tables = similarity.numpy(), similarity.mT.numpy()
        expected = [top_k_accuracy_score(np.arange(9), table, k=k) for table in tables]
        assert ours.recall_at_k(similarity, k) == pytest.approx(expected)


@BOTH
def test_a_classifier_of_prompts_names_what_its_prompts_say(ours):
    table = {f"{start} {name}": noise(6, seed=place) for place, name in enumerate("xyz") for start in ("a", "the")}
    weights = ours.zero_shot_weights(
        lambda said: torch.stack([table[s] for s in said]), list("xyz"), ["a {}", "the {}"]
    )
    torch.testing.assert_close(weights.norm(dim=0), torch.ones(3, dtype=torch.float64), **EXACT)
    features = F.normalize(torch.stack([table[f"the {name}"] for name in "xyz"]), dim=-1)
    assert (features @ weights).argmax(1).tolist() == [0, 1, 2]


@BOTH
def test_the_means_meet_before_the_vectors_are_made_unit_ones_again(ours):
    images, texts = 1 + noise(5, 4), noise(7, 4, seed=1)
    moved = ours.shift_gap(images, texts, 1.0)
    units = F.normalize(images, dim=-1), F.normalize(texts, dim=-1)
    middle = (units[0].mean(0) + units[1].mean(0)) / 2
    for unit, other in zip(units, moved, strict=True):
        torch.testing.assert_close(other, F.normalize(unit - unit.mean(0) + middle, dim=-1), **EXACT)


def test_the_loss_in_blocks_is_the_loss_with_all_its_gradients():
    for rows in [1, 3, 8, 100]:

        def inputs():
            return *(noise(8, 5, seed=seed).requires_grad_() for seed in (0, 1)), torch.tensor(2.0, requires_grad=True)

        whole, parts = inputs(), inputs()
        one = reference.clip_loss(reference.clip_logits(*whole))
        other = reference.chunked_clip_loss(*parts, rows)
        torch.testing.assert_close(other.double(), one, rtol=1e-5, atol=1e-5)
        for found, expected in zip(torch.autograd.grad(other, parts), torch.autograd.grad(one, whole), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.heavy
def test_the_cost_of_the_loss_is_measured_on_the_cpu_as_well():
    for rows in (None, 4):
        assert reference.loss_cost(16, rows, width=8, device="cpu", steps=1).pairs_a_second > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_blocks_take_less_memory_than_the_whole_matrix():
    whole, blocks = reference.loss_cost(8192), reference.loss_cost(8192, 512)
    assert blocks.megabytes < whole.megabytes / 4


def test_held_out_pairs_leave_every_colour_and_every_form_in_training():
    assert (len(shapes.SEEN), len(shapes.HELD_OUT), len(shapes.HELD_OUT_PAIRS)) == (48, 12, 6)
    pairs = shapes.pair_of(shapes.SEEN).unique()
    assert not set(pairs.tolist()) & set(shapes.HELD_OUT_PAIRS)
    assert torch.bincount(pairs // 5).tolist() == [4] * 6
    assert min(torch.bincount(pairs % 5).tolist()) == 4


def test_captions_name_size_colour_and_form_in_words_that_the_tower_knows():
    said = shapes.captions(shapes.KINDS)
    assert (said[0], said[13], len(set(said))) == ("a small red disc", "a large green ring", 60)
    assert {word for sentence in said for word in sentence.split()} == set(WORDS)
    assert torch.equal(bag(said).sum(1), torch.ones(60))


def test_a_picture_is_of_its_seed_and_shows_its_colour_where_the_shape_is():
    kinds = torch.tensor([1, 31, 45])  # large discs in red, yellow (pair 15) and white or so
    first, again = (shapes.render(kinds, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (3, 3, 16, 16)
    assert (first.min(), first.max()) >= (0, 0)
    bright = first.amax(1) > 0.55
    assert bool((bright.float().mean((1, 2)) > 0.15).all())
    red = first[0][:, bright[0]].mean(1)
    assert red[0] > red[1] + 0.4


def test_each_form_covers_another_part_of_its_box():
    for form in range(5):
        kinds = torch.full((64,), 2 * form + 1)
        pictures = shapes.render(kinds, torch.Generator().manual_seed(0))
        cover = (pictures.amax(1) > 0.6).float().mean()
        area = (math.pi, math.pi * (1 - 0.52**2), 1.7**2, 0.8 * 1.6 * 3**-0.5 * 1.6, 4 * 0.64 - 0.64**2)[form]
        assert float(cover) == pytest.approx(area * 5.6**2 / 256, rel=0.2)


def test_the_text_tower_is_a_bag_of_words_that_skips_what_it_does_not_know():
    tower = drawn(0).text
    one, other = tower(["a small red ring", "ring Red, small a photo!"])
    torch.testing.assert_close(one, other)
    assert not torch.equal(one, tower(["a small red disc"])[0])


@BOTH
def test_floors_are_those_of_the_formula_and_of_ln_m(ours):
    found = experiment.floors(ours.clip_logits, ours.clip_loss, ours.multi_positive_loss, profile=SMOKE)
    assert found.inexact < 1e-9 > found.noise
    assert found.copied[4] == pytest.approx(math.log(4))
    assert found.lowest[1.0, 48] == pytest.approx(2.886, abs=1e-3)


@BOTH
def test_no_features_are_better_than_the_simplex(ours):
    features = torch.nn.Parameter(noise(5, 4))
    log_scale = torch.tensor(math.log(3.0), dtype=torch.float64)

    def loss(_):
        return ours.clip_loss(ours.clip_logits(features, features, log_scale))

    lowest = training.train([features], loss, 300, 0.05)[-1]
    assert lowest == pytest.approx(experiment.simplex_floor(3.0, 5), rel=1e-3)


@pytest.mark.sample(1)
@BOTH
def test_naming_runs_with_the_exercises_and_with_the_reference(ours):
    found = experiment.naming(*(getattr(ours, name) for name in TRAINED), profile=SMOKE)
    assert set(found.runs) == set(experiment.RUNS)
    assert found.runs["scale fixed at 1"].scale == pytest.approx(1)
    assert all(0 <= share <= 1 for run in found.runs.values() for share in run.held_out.values())
    assert found.shifted[0.0][1] == found.retrieval[0]
    assert set(found.shifted) == set(experiment.AMOUNTS)


def towers_of(model):
    tower = {"embedding": model.text.embedding, "up": model.text.up.weight, "bias": model.text.up.bias}
    flat = {name: part.detach().flatten().tolist() for name, part in (tower | {"down": model.text.down.weight}).items()}
    return flat | {"vocabulary": list(WORDS)}


def test_the_text_tower_in_the_browser_is_the_one_of_the_model(call_js):
    model = drawn(2)
    said = ["a small red ring", "Large PURPLE cross, ring", "nothing that it knows", ""]
    found = torch.tensor(call_js(MATHS, "textFeatures", towers_of(model), said))
    torch.testing.assert_close(found.view(4, 64), model.text(said).detach(), rtol=1e-4, atol=1e-5)
    assert call_js(MATHS, "unknownWords", ["a photo of a ring", "photo"], list(WORDS)) == ["photo", "of"]


def test_the_gap_in_the_browser_closes_as_in_the_exercise(call_js):
    for amount in [0.0, 0.4, 1.0]:
        images, texts = 1 + noise(4, 6), noise(4, 6, seed=1)
        moved = exercises.shift_gap.solution(images, texts, amount)
        found = call_js(MATHS, "closer", images.flatten(), texts.flatten(), 4, amount)
        for one, other in zip(found["features"], moved, strict=True):
            torch.testing.assert_close(torch.tensor(one, dtype=torch.float64).view(4, 6), other, **EXACT)
        assert found["gap"] == pytest.approx(float((moved[0].mean(0) - moved[1].mean(0)).norm()))


def test_loss_softmax_and_retrieval_in_the_browser_are_those_of_the_exercises(call_js):
    table, temperature = 0.4 * noise(5, 5), 0.2
    flat = table.flatten()
    logits = table / temperature
    assert call_js(MATHS, "loss", flat, 5, temperature) == pytest.approx(float(exercises.clip_loss.solution(logits)))
    for name, axis in (("softmaxRows", 1), ("softmaxColumns", 0)):
        found = torch.tensor(call_js(MATHS, name, flat, 5, temperature), dtype=torch.float64)
        torch.testing.assert_close(found.view(5, 5), logits.softmax(axis), **EXACT)
    found = [sum(call_js(MATHS, "finds", flat, 5, columns)) / 5 for columns in (False, True)]
    assert found == pytest.approx(exercises.recall_at_k.solution(table, 1))
    assert call_js(MATHS, "nearestPicture", flat, 5) == table.argmax(0).tolist()
    assert call_js(MATHS, "finds", [1, 1, 0, 1], 2) == [False, True]


def test_the_board_takes_the_towers_of_a_trained_model():
    model = drawn(1)
    board = CaptionBoard.of(model, shapes.HELD_OUT[:4], seed=3, closed=0.5)
    pictures = shapes.render(shapes.HELD_OUT[:4], torch.Generator().manual_seed(3))
    torch.testing.assert_close(torch.tensor(board.features), model.image(pictures).detach())
    assert board.captions == board.truth == shapes.captions(shapes.HELD_OUT[:4])
    assert board.temperature == pytest.approx(0.07)
    assert board.pictures.shape == (4, 16, 16, 3)


def test_the_board_says_what_does_not_fit():
    for options, message in [
        ({"captions": ["a ring"]}, "one sentence for each of 8 images, got 1"),
        ({"captions": ["ring " * 30] * 8}, "at most 80 characters, got 150"),
        ({"vocabulary": ["ring"]}, "one word for each row of embedding, 14, got 1"),
        ({"up": [[0.0]]}, "up needs shape"),
        ({"temperature": 0.0}, "temperature needs to be from 0.01 to 1"),
    ]:
        with pytest.raises(TraitError, match=message):
            CaptionBoard.drawn(**options)


@pytest.mark.browser
def test_a_caption_that_is_written_finds_another_picture_and_comes_back(mount):
    page = mount(CaptionBoard.drawn(), kernel=False)
    field = page.get_by_label("Caption 1, of image A")
    page.get_by_text("finds A").wait_for()
    field.fill("a large white photo of a disc")
    page.get_by_text("→ H").wait_for()
    page.get_by_text("Skipped, for it never learned them: photo, of").wait_for()
    page.get_by_role("button", name="As they were").click()
    page.get_by_text("finds A").wait_for()
    assert field.input_value() == "a small red ring"


@pytest.mark.browser
def test_pictures_that_say_nothing_of_the_form_are_taken_for_each_other(mount):
    page = mount(CaptionBoard.drawn(blind="form"))
    page.get_by_role("slider", name="Temperature τ").press("Home")
    page.drawn()
    said = page.locator(".st-summary").inner_text()
    assert said.startswith("Loss 1.090; 6 of 8 images find their caption, 6 of 8 captions their image")
    assert page.state()["temperature"] == 0.01
    assert page.errors == []
