"""The exercises and the reference against transformers' assisted generation and its sampling, and the experiments."""

import math

import pytest
import torch
from studium import Profile
from traitlets import TraitError

from studium_topics.kits import training
from studium_topics.kits.tiny_lm import base_model
from studium_topics.speculative_decoding import exercises, experiment, figures, models, reference, writing
from studium_topics.speculative_decoding.chance import Dice, distance, law, outcomes
from studium_topics.speculative_decoding.library import LibraryReader, tiny_llamas
from studium_topics.speculative_decoding.readers import CachedLM, PairTable, TableReader, random_rows
from studium_topics.speculative_decoding.speculation import SpeculativeLanes

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/speculative_decoding/speculation_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
SIZES = {"width": 24, "layers": 2, "heads": 3, "hidden": 40}


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def rows(size, count=7, seed=0):
    return random_rows(count, size, torch.Generator().manual_seed(seed))


def random_pair(seed=0, **sizes):
    """A target and a draft whose text depends on all earlier tokens, in double precision."""
    pair = [base_model(11, seed + i, **(SIZES | sizes)).double().requires_grad_(False) for i in range(2)]
    for model in pair:
        for layer in model.layers:
            for linear in layer.attention.children():
                linear.weight.mul_(4)
    return models.Pair(*pair)


def test_all_outcomes_of_a_program_are_listed_once_with_their_probabilities():
    def program(chance):
        first = chance.pick([1, 0, 3])
        return (first, chance.happens(0.25)) if first else (first, None)

    assert dict(outcomes(program)) == pytest.approx({(0, None): 0.25, (2, True): 0.1875, (2, False): 0.5625})
    assert list(outcomes(lambda chance: chance.happens(1.0))) == [(True, 1.0)]
    with pytest.raises(ValueError, match="pick needs weights from 0 on"):
        Dice(0).pick([0.0, 0.0])


def test_dice_have_the_frequencies_that_were_asked_for():
    dice = Dice(3)
    kept = sum(dice.happens(0.3) for _ in range(4000)) / 4000
    drawn = [dice.pick(torch.tensor([0.2, 0.0, 0.8])) for _ in range(4000)]
    assert kept == pytest.approx(0.3, abs=0.03)
    assert drawn.count(2) / 4000 == pytest.approx(0.8, abs=0.03)
    assert drawn.count(1) == 0
    assert dice.used == 8000


def test_a_reader_returns_in_any_chunks_what_the_model_returns_for_the_whole_text():
    for chunks in [(9,), (4, 1, 4), (1,) * 9]:
        model = random_pair().target
        ids = torch.randint(11, (9,), generator=torch.Generator().manual_seed(1))
        reader = CachedLM(model, temperature=0.7)
        found = torch.cat([reader.read(part.tolist()) for part in ids.split(chunks)])
        torch.testing.assert_close(found, (model(ids[None])[0] / 0.7).softmax(-1), rtol=1e-6, atol=1e-7)
        assert (reader.length, reader.passes) == (9, len(chunks))


def test_a_cropped_reader_continues_as_if_the_rest_had_never_been_read():
    model = random_pair().target
    reader, plain = CachedLM(model), CachedLM(model)
    reader.read([1, 2, 3, 4, 5, 6])
    reader.crop(9)
    assert reader.length == 6
    reader.crop(2)
    torch.testing.assert_close(reader.read([7, 8]), plain.read([1, 2, 7, 8])[2:])
    with pytest.raises(ValueError, match="at least one token"):
        reader.read([])


def test_a_table_of_pairs_holds_the_frequencies_of_the_text():
    table = PairTable(torch.tensor([0, 1, 0, 1, 0, 2]), 3)
    torch.testing.assert_close(table.read([0])[0], torch.tensor([0.01, 2.01, 1.01], dtype=torch.float64) / 3.03)
    table.crop(0)
    assert table.length == 0


@BOTH
def test_a_pass_leaves_the_target_distribution_exactly_as_it_is(ours):
    for size, gamma in [(3, 2), (2, 3), (4, 1)]:
        off = experiment.pass_distance(ours.verify, rows(size), rows(size, seed=1), gamma=gamma)
        assert off < 1e-12


@pytest.mark.heavy
@BOTH
def test_listing_all_outcomes_finds_a_wrong_check(ours):
    for wrong in [experiment.from_target, experiment.all_kept]:
        assert experiment.pass_distance(wrong(ours.verify), rows(3), rows(3, seed=1)) > 0.01


@BOTH
def test_the_whole_loop_writes_the_targets_distribution_exactly(ours):
    target, draft = rows(2), rows(2, seed=1)

    def write(chance):
        return ours.speculate(TableReader(target), TableReader(draft), [0, 1], 4, 2, 1, chance)[0]

    assert distance(law(write), TableReader(target).continuations([0, 1], 4, stop=1)) < 1e-12


@pytest.mark.heavy
def test_the_rule_gives_the_frequencies_of_transformers_own_sampling():
    utils = pytest.importorskip("transformers.generation.utils", reason="transformers is the oracle")
    p, q, drafted = rows(4, 3, seed=5), rows(4, 2, seed=6), [3, 1]
    exact, counts, draws = law(lambda chance: reference.verify(p, q, drafted, chance)), {}, 1500
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(draws):
            ids = torch.tensor([drafted])
            tokens, _ = utils._speculative_sampling(ids, q.log()[None], 2, p.log()[None])
            key = tuple(tokens[0].tolist())
            counts[key] = counts.get(key, 0) + 1
    assert counts.keys() <= exact.keys()
    for tokens, probability in exact.items():
        error = math.sqrt(probability * (1 - probability) / draws)
        assert counts.get(tokens, 0) / draws == pytest.approx(probability, abs=4 * error), tokens


@pytest.mark.sample(1)
@BOTH
@pytest.mark.parametrize("seed", [0, 2])
def test_greedy_text_is_that_of_transformers_with_an_assistant_in_as_many_passes(ours, seed):
    pytest.importorskip("transformers", reason="transformers is the oracle")
    large, small = tiny_llamas(seed)
    prompt, calls = torch.arange(1, 7)[None], []
    hook = large.register_forward_hook(lambda *_: calls.append(1))
    options = {"max_new_tokens": 30, "do_sample": False}
    expected = large.generate(prompt, assistant_model=small, **options)[0, 6:].tolist()
    hook.remove()
    assert large.generate(prompt, **options)[0, 6:].tolist() == expected
    target, draft = LibraryReader(large, temperature=0), LibraryReader(small, temperature=0)
    found, kept = ours.speculate(target, draft, prompt[0].tolist(), 30, 4, -1, Dice(0))
    assert found == expected
    assert target.passes == len(kept) == len(calls) < 30
    assert target.length == 6 + 30 - 1


@BOTH
def test_greedy_text_of_random_models_is_the_targets_own(ours):
    for gamma in [1, 3, 5]:
        pair = random_pair()
        own = writing.greedy(CachedLM(pair.target, temperature=0), [1, 2, 3], 20)
        large, small = pair.readers(models.TRANSFORMER, 0)
        found, kept = ours.speculate(large, small, [1, 2, 3], 20, gamma, -1, Dice(0))
        assert found == own
        assert large.passes == len(kept)


@BOTH
def test_the_formula_counts_what_the_outcomes_count(ours):
    for alpha, gamma in ((0.0, 3), (0.4, 2), (1.0, 5)):
        expected = sum(alpha**k for k in range(gamma + 1))
        assert ours.expected_tokens(alpha, gamma) == pytest.approx(expected)
    assert ours.best_gamma(0.8, 0.05, 20) == pytest.approx((8, 3.0922), abs=1e-3)
    assert ours.best_gamma(0.3, 0.5, 20) == (0, 1.0)
    assert ours.best_gamma(0.75, 0.02, 7)[1] == pytest.approx(3.157, abs=1e-3)  # the paper's table 4 says 3.2


@pytest.mark.sample(1)
@BOTH
def test_the_experiments_run_with_the_exercises_and_with_the_reference(ours):
    assert experiment.exactness(ours.verify, profile=SMOKE)["nothing"] < 1e-12
    assert experiment.whole_text(ours.speculate, profile=SMOKE) < 1e-12
    assert experiment.mean_length(ours.verify, ours.acceptance, ours.expected_tokens, profile=SMOKE) < 1e-12
    several = experiment.among(ours.verify_among, profile=SMOKE)
    assert several.distance < 1e-12
    assert several.kept == sorted(several.kept)


def test_all_that_is_measured_with_trained_models_fits_together():
    found = experiment.written(
        reference.speculate, reference.acceptance, reference.expected_tokens, profile=SMOKE, seed=1
    )
    assert len(found.runs) == len(models.DRAFTS) * len(writing.TEMPERATURES) * len(writing.GAMMAS)
    run = found.run(models.PAIRS, 1.0, 2)
    assert run.per_pass == run.speedup  # a table costs nothing
    assert found.faults["nothing"].differing == 0
    assert set(found.overlap) == set(models.DRAFTS)
    assert all(0 < share < 1 for share in found.overlap.values())


def test_a_target_that_never_forgets_writes_another_text_and_such_a_draft_the_same():
    pair, prompt = random_pair(), [1, 2, 3]
    own = writing.greedy(CachedLM(pair.target, temperature=0), prompt, 30)

    def text(wrong):
        return reference.speculate(*wrong(*pair.readers(models.TRANSFORMER, 0)), prompt, 30, 3, -1, Dice(0))[0]

    differ = {name: writing.differing(text(wrong), own) for name, wrong in writing.WRONG.items()}
    assert differ.pop("the target forgets nothing") > 0
    assert set(differ.values()) == {0}


def test_a_draft_with_holes_misses_exactly_the_tokens_that_it_does_not_read():
    model = random_pair().target
    reader, plain = writing.LeavesHoles(CachedLM(model)), CachedLM(model)
    reader.read([1, 2, 3])
    torch.testing.assert_close(reader.read([4, 5]), plain.read([1, 2, 3, 5])[-1:])
    assert reader.length == 5
    reader.crop(4)
    assert reader.length == 4


def test_the_loop_on_the_device_writes_the_targets_greedy_text():
    pair = random_pair()
    own = writing.greedy(CachedLM(pair.target, temperature=0), [1, 2, 3], 25)
    target, draft = (reference.StaticLM(model, 40) for model in (pair.target, pair.draft))
    for _ in range(2):  # the second text begins with full caches
        found, passes = reference.decode(target, draft, torch.tensor([1, 2, 3]), 25, 3, temperature=0)
        assert found == own
        assert passes < 25
    with pytest.raises(ValueError, match="at least two tokens, got 1"):
        reference.decode(target, draft, torch.tensor([1]), 5, 3)
    target.crop(0)
    with pytest.raises(ValueError, match="room for 41 tokens, got 40"):
        target.read(torch.zeros(41, dtype=torch.long))


def test_the_judge_on_the_device_has_the_exact_distribution_of_the_rule():
    p, q, drafted, draws = rows(3, 3, seed=5), rows(3, 2, seed=6), torch.tensor([2, 0]), 3000
    exact, counts = law(lambda chance: reference.verify(p, q, drafted.tolist(), chance)), {}
    generator = torch.Generator().manual_seed(0)
    for _ in range(draws):
        kept, *tokens = reference.judge(p, q, drafted, generator).tolist()
        key = (*tokens[:kept], tokens[-1])
        counts[key] = counts.get(key, 0) + 1
    assert counts.keys() <= exact.keys()
    for tokens, probability in exact.items():
        error = math.sqrt(probability * (1 - probability) / draws)
        assert counts.get(tokens, 0) / draws == pytest.approx(probability, abs=4 * error), tokens


@pytest.mark.heavy
def test_the_time_of_a_pass_is_measured_on_the_cpu():
    model = reference.StaticLM(random_pair().target, 20)
    assert 0 < reference.pass_seconds(model, 10, 5, repeats=3) < math.inf


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_the_compiled_loop_in_bfloat16_gives_the_logits_of_the_plain_one():
    model = random_pair().target.cuda().bfloat16()
    plain, fused = reference.StaticLM(model, 16), reference.StaticLM(model, 16, compile=True)
    ids = torch.arange(10, device="cuda")
    for part in ids.split((4, 1, 5)):
        torch.testing.assert_close(fused.read(part), plain.read(part), rtol=5e-2, atol=5e-2)


def lanes(**options):
    return SpeculativeLanes.of_sentences("a b a c b b c a", "a", **({"gamma": 3} | options))


def in_the_browser(widget):
    target, draft = (getattr(widget, name).ravel().tolist() for name in ("target", "draft"))
    return {"size": len(widget.words), "target": target, "draft": draft}


def test_the_widget_counts_pairs_for_the_target_and_words_for_the_draft():
    widget = lanes()
    assert widget.words == ["a", "b", "c"]
    torch.testing.assert_close(torch.tensor(widget.target[0]), torch.tensor([1.02, 1.02, 1.02]) / 3.06)
    torch.testing.assert_close(torch.tensor(widget.draft[2]), torch.tensor([3.02, 3.02, 2.02]) / 8.06)


def test_the_distance_in_the_browser_is_that_of_the_rule_and_of_its_mistakes(call_js):
    models_there = in_the_browser(lanes())
    p, q = (torch.tensor(models_there[name], dtype=torch.float64).view(3, 3) for name in ("target", "draft"))
    found = {name: call_js(MATHS, "distance", models_there, name) for name in ("none", "replaced-from-target")}
    assert found["none"] < 1e-7
    kept = torch.minimum(p, q)
    out = kept + (1 - kept.sum(-1, keepdim=True)) * p
    expected = float((out - p).abs().sum(-1).mean()) / 2
    assert found["replaced-from-target"] == pytest.approx(expected, abs=1e-6) != pytest.approx(0, abs=1e-3)
    always = float((q - p).abs().sum(-1).mean()) / 2
    assert call_js(MATHS, "distance", models_there, "kept-always") == pytest.approx(always, abs=1e-6)


def test_passes_in_the_browser_keep_up_to_the_first_rejection_and_add_one_word(call_js):
    settings = {"gamma": 4, "turns": 40, "seed": 2, "mistake": "none"}
    length = 1
    ends = set()
    for one in call_js(MATHS, "passes", in_the_browser(lanes()), [0], settings):
        fates = [word["fate"] for word in one["drafted"]]
        kept = fates.index("rejected") if "rejected" in fates else 4
        assert fates == (["kept"] * kept + ["rejected"] + ["unseen"] * 3)[:4]
        assert all((word["needle"] <= word["bar"]) == (word["fate"] == "kept") for word in one["drafted"][: kept + 1])
        assert one["last"]["kind"] == ("bonus" if kept == 4 else "replacement")
        assert one["before"] == length
        length += kept + 1
        ends.add(one["last"]["kind"])
    assert ends == {"bonus", "replacement"}


def test_words_of_a_pass_in_the_browser_follow_the_formula(call_js):
    settings = {"gamma": 3, "turns": 4000, "seed": 1, "mistake": "none"}
    same_rows = {"size": 2, "target": [0.7, 0.3, 0.7, 0.3], "draft": [0.4, 0.6, 0.4, 0.6]}
    found = call_js(MATHS, "measured", same_rows, [0], settings)
    assert found["share"] == pytest.approx(0.7, abs=0.02)
    assert found["perPass"] == pytest.approx(reference.expected_tokens(0.7, 3), abs=0.05)
    assert call_js(MATHS, "expected", 0.7, 3) == pytest.approx(reference.expected_tokens(0.7, 3))


def test_a_greedy_table_has_all_its_weight_on_the_likeliest_word_and_full_agreement_is_the_target(call_js):
    assert list(call_js(MATHS, "certain", [0.2, 0.8, 0.6, 0.4], 2)) == [0, 1, 1, 0]
    tables = {"target": [0.2, 0.8], "draft": [0.6, 0.4]}
    assert call_js(MATHS, "mixed", tables, 1) == pytest.approx([0.2, 0.8])
    assert call_js(MATHS, "mixed", tables, 0) == pytest.approx([0.6, 0.4])


@pytest.mark.browser
def test_the_lanes_can_be_broken_and_stepped_through_by_keyboard(mount):
    page = mount(figures.opening())
    page.get_by_role("slider", name="Passes of the target").press("ArrowRight")
    page.get_by_role("slider", name="Agreement of the draft").press("ArrowLeft")
    page.get_by_label("Put in a mistake").select_option("replaced-from-target")
    state = page.state()
    assert (state["turns"], round(state["agreement"], 2), state["mistake"]) == (3, 0.45, "replaced-from-target")


def test_the_lanes_say_what_does_not_fit():
    for name, value, message in [
        ("prompt", [7], "got 7 in prompt"),
        ("draft", [[1.0, 0.0], [0.0, 1.0]], "draft needs shape"),
        ("target", [[0.5, 0.1, 0.1]] * 3, "rows of target need to sum to 1"),
        ("target", [[2.0, -1.0, 0.0]] * 3, "target needs probabilities from 0 on"),
    ]:
        with pytest.raises(TraitError, match=message):
            setattr(lanes(), name, value)
    with pytest.raises(TraitError, match=r"got \['z'\]"):
        SpeculativeLanes.of_sentences("a b a", "z")
