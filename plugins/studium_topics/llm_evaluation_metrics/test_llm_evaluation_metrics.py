"""The solutions and the reference against sacrebleu, rouge-score and scikit-learn, the experiments and the widget."""

import random

import pytest
import torch
from sklearn.calibration import calibration_curve
from traitlets import TraitError

from studium_topics.kits import training
from studium_topics.kits.tiny_lm import base_model
from studium_topics.llm_evaluation_metrics import comparison, exercises, reference, surface
from studium_topics.llm_evaluation_metrics.items import Choice, Writing, choice_items
from studium_topics.llm_evaluation_metrics.microscope import MetricMicroscope

AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("source", [AT_NIGHT, pytest.param(reference, id="reference")])
MATHS = "plugins/studium_topics/llm_evaluation_metrics/microscope_maths.js"
WORDS = ["the", "cat", "Sat", "on", "mat,", "a", "dog.", "(big)", "don't", "naïve", "x", "A", "the."]


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 14))) for _ in range(count)]


def summed(source, hypotheses, references):
    rows = [source.bleu_counts(h, refs, 4) for h, refs in zip(hypotheses, references, strict=True)]
    return [sum(column) for column in zip(*rows, strict=True)]


@BOTH
def test_corpus_bleu_is_sacrebleus_to_the_last_digit(source):
    metrics = pytest.importorskip("sacrebleu.metrics", reason="sacrebleu is the oracle")
    library = metrics.BLEU(tokenize="none", smooth_method="none")
    for seed in range(12):
        draw = random.Random(seed)
        references = [sentences(25, 10 * seed + number) for number in range(3)]
        hypotheses = [" ".join(w for w in line.split() if draw.random() < 0.9) or "x" for line in references[seed % 3]]
        theirs = library.corpus_score(hypotheses, references).score
        lists = [[line.split() for line in lines] for lines in zip(*references, strict=True)]
        counts = summed(source, [line.split() for line in hypotheses], lists)
        assert source.bleu(counts) == pytest.approx(theirs, abs=1e-10)
        assert theirs > 1


@BOTH
def test_bleu_is_zero_where_sacrebleu_finds_no_4_gram(source):
    metrics = pytest.importorskip("sacrebleu.metrics", reason="sacrebleu is the oracle")
    theirs = metrics.BLEU(tokenize="none", smooth_method="none").corpus_score(["the cat on"], [["the cat on a mat"]])
    assert (
        source.bleu(source.bleu_counts(["the", "cat", "on"], [["the", "cat", "on", "a", "mat"]], 4))
        == theirs.score
        == 0
    )


def test_chrf_is_sacrebleus_to_the_last_digit():
    metrics = pytest.importorskip("sacrebleu.metrics", reason="sacrebleu is the oracle")
    for words in [0, 2]:
        library = metrics.CHRF(word_order=words)
        for hypothesis, target in zip(sentences(150, 1), sentences(150, 2), strict=True):
            theirs = library.sentence_score(hypothesis, [target]).score
            assert 100 * surface.chrf(hypothesis, target, words) == pytest.approx(theirs, abs=1e-10)


def test_rouge_is_rouge_scores_to_the_last_digit():
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="rouge-score is the oracle")
    library = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)
    for hypothesis, target in zip(sentences(150, 3), sentences(150, 4), strict=True):
        theirs = library.score(target, hypothesis)
        assert surface.rouge_n(hypothesis, target, 1) == pytest.approx(theirs["rouge1"].fmeasure, abs=1e-12)
        assert surface.rouge_n(hypothesis, target, 2) == pytest.approx(theirs["rouge2"].fmeasure, abs=1e-12)
        assert surface.rouge_l(hypothesis, target) == pytest.approx(theirs["rougeL"].fmeasure, abs=1e-12)


def test_answers_are_compared_without_case_punctuation_and_articles():
    assert surface.exact_match("The Eiffel Tower!", "eiffel tower") == 1
    assert surface.exact_match("Eiffel", "eiffel tower") == 0
    assert surface.token_f1("the big red tower", "a red tower") == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert surface.token_f1("the", "a") == 1
    assert surface.token_f1("dog", "cat") == 0


@BOTH
def test_the_calibration_error_agrees_with_scikit_learns_bins(source):
    for bins in (5, 15):
        confidence = torch.rand(500, generator=seeded(bins), dtype=torch.float64)
        correct = torch.rand(500, generator=seeded(1), dtype=torch.float64) < confidence.sqrt()
        share, mean = calibration_curve(correct.numpy(), confidence.numpy(), n_bins=bins)
        sizes = torch.histc(confidence, bins, 0, 1)
        expected = float((torch.tensor(share) - torch.tensor(mean)).abs() @ sizes.double() / 500)
        assert float(source.expected_calibration_error(confidence, correct, bins)) == pytest.approx(expected, abs=1e-9)


@BOTH
def test_perplexity_is_the_exponential_of_torchs_cross_entropy(source):
    logits, labels = torch.randn(3, 7, 11, generator=seeded()), torch.randint(11, (3, 7), generator=seeded(1))
    labels[1, 4:] = -100
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(3, 7)
    mean = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    perplexity, _ = source.perplexity_and_bits(losses, labels != -100, ["abc"] * 3)
    assert float(perplexity) == pytest.approx(float(mean.exp()), rel=1e-5)


@BOTH
def test_likelihoods_are_those_of_the_librarys_loss(source):
    transformers = pytest.importorskip("transformers", reason="transformers is the oracle")
    config = transformers.GPT2Config(vocab_size=40, n_positions=32, n_embd=24, n_layer=2, n_head=3)
    torch.default_generator.manual_seed(0)
    library = transformers.GPT2LMHeadModel(config).eval()
    context, choices = torch.tensor([3, 14, 15, 9]), [torch.tensor([26, 5]), torch.tensor([35, 8, 9, 7, 9])]
    with torch.no_grad():
        found = source.choice_logprobs(lambda ids: library(input_ids=ids).logits, context, choices)
        for value, choice in zip(found, choices, strict=True):
            ids = torch.cat([context, choice])[None]
            labels = ids.masked_fill(torch.arange(ids.shape[1]) < len(context), -100)
            theirs = -library(input_ids=ids, labels=labels).loss * len(choice)
            assert float(value) == pytest.approx(float(theirs), abs=1e-4)


@BOTH
def test_the_bootstrap_agrees_with_scipys(source):
    stats = pytest.importorskip("scipy.stats", reason="scipy is the oracle")
    a = torch.rand(80, generator=seeded(), dtype=torch.float64)
    b = (a + 0.1 * torch.randn(80, generator=seeded(1), dtype=torch.float64)).clamp(0, 1)
    ones = torch.ones(80, dtype=torch.float64)
    tables = [torch.stack([values, ones], 1) for values in (a, b)]
    lead, low, high = source.paired_interval(*tables, lambda sums: sums[0] / sums[1], 3000, seeded(2))
    theirs = stats.bootstrap(
        ((b - a).numpy(),), lambda x, axis: x.mean(axis), method="percentile", n_resamples=3000, rng=0
    ).confidence_interval
    assert lead == pytest.approx(float((b - a).mean()))
    assert (low, high) == pytest.approx(tuple(theirs), abs=0.25 * (theirs.high - theirs.low) / 3.92)


def test_the_reference_and_the_exercises_make_the_same_report():
    model, other = base_model(30, seed=0, width=16, hidden=32), base_model(30, seed=1, width=16, hidden=32)
    stretches = list(torch.randint(30, (12, 14), generator=seeded()))
    ranking = choice_items(stretches, len, context=6, lengths=(2, 8))
    writing = [Writing(stretch[:5], stretch[5:6], 8, 3, 7 + i) for i, stretch in enumerate(stretches)]
    tasks = {"ranking": ranking, "writing": writing}
    with torch.no_grad():
        reports = [source.evaluate({"a": model, "b": other}, tasks, 50, seeded()) for source in (exercises, reference)]
    for mine, theirs in zip(*reports, strict=True):
        for key in ("task", "model"):
            assert mine[key] == theirs[key]
        assert (mine["score"], mine["lead"]) == pytest.approx((theirs["score"], theirs["lead"]), abs=1e-6)


def test_many_items_are_ranked_in_one_pass_on_the_device_that_is_asked_for():
    for device in ["cpu", "cuda"]:
        if device == "cuda" and not torch.cuda.is_available():
            pytest.skip("there is no CUDA device")
        model = base_model(30, width=16, hidden=32).to(device)
        stretches = list(torch.randint(30, (6, 14), generator=seeded()).to(device))
        items = choice_items(stretches, len, context=6, lengths=(2, 8))
        with torch.no_grad():
            together = reference.rank_items(model, items)
            for item, scores in zip(items, together, strict=True):
                assert scores.device.type == device
                torch.testing.assert_close(scores, exercises.choice_logprobs(model, item.context, item.choices))


def test_items_hold_their_own_continuation_and_others():
    stretches = list(torch.arange(200).view(10, 20))
    items = choice_items(stretches, len, context=8, lengths=(2, 12), seed=3)
    assert len({item.answer for item in items}) > 1
    for number, item in enumerate(items):
        own = [int(choice[0]) // 20 == number for choice in item.choices]
        assert own == [place == item.answer for place in range(4)]
        assert item.sizes == tuple(len(choice) for choice in item.choices)
        assert all(int(choice[0]) % 20 == 8 and 2 <= len(choice) <= 12 for choice in item.choices)


def test_a_model_that_knows_the_answer_always_writes_it():
    item = Writing(torch.tensor([1, 2]), torch.tensor([3, 4]), samples=9, k=2, seed=0)

    def model(ids):
        return torch.nn.functional.one_hot((ids + 1) % 6, 6).float() * 50

    assert item.count_correct(model) == 9
    assert item.count_correct(lambda ids: -model(ids)) == 0


def test_the_tokenisers_cut_where_they_say():
    cuts = {name: cut("Don't go, Ann.") for name, cut in surface.TOKENISERS.items()}
    assert cuts["spaces"] == ["Don't", "go,", "Ann."]
    assert cuts["punctuation apart"] == ["Don", "'", "t", "go", ",", "Ann", "."]
    assert cuts["lower case"][0] == "don"
    assert cuts["characters"][:4] == ["D", "o", "n", "'"]


def test_benchmarks_do_not_share_text_with_training():
    items = comparison.benchmark(5, 0)
    decode = comparison.tokeniser().decode
    for item in items:
        assert decode(item.context.tolist()) in comparison.prose()[1]
        assert isinstance(item, Choice)


# ------------------------------------------------------------------------------------------------------ widget


def test_the_microscope_computes_what_python_computes(call_js):
    names = {"chrf": surface.chrf, "rougeL": surface.rouge_l, "exactMatch": surface.exact_match}
    names["tokenF1"] = surface.token_f1
    for hypothesis, target in zip([*sentences(6, 5), "", "The cat."], [*sentences(6, 6), "a b", "cat"], strict=True):
        for name, metric in names.items():
            assert call_js(MATHS, name, hypothesis, target) == pytest.approx(metric(hypothesis, target), abs=1e-12)
        for n in (1, 2):
            expected = surface.rouge_n(hypothesis, target, n)
            assert call_js(MATHS, "rougeN", hypothesis, target, n) == pytest.approx(expected, abs=1e-12)
        found = call_js(MATHS, "bleu", hypothesis.split(), target.split())
        counts = exercises.bleu_counts(hypothesis.split(), [target.split()], 4)
        assert [count for pair in found["precisions"] for count in pair] == counts[2:]
        assert 100 * found["score"] == pytest.approx(exercises.bleu(counts), abs=1e-9)


def test_the_microscope_marks_repeats_as_clipped(call_js):
    marks = call_js(MATHS, "matches", ["the", "the", "the", "dog"], ["the", "cat", "the"], 1)
    assert marks == ["match", "match", "clipped", "none"]


def test_an_edit_moves_the_metrics_and_the_marks(mount):
    page = mount(MetricMicroscope(), width=900)
    page.get_by_role("textbox", name="Hypothesis").fill("The The treaty.")
    page.drawn()
    assert page.get_by_text("3 of 4 1-grams match, 1 clipped").count() >= 1
    page.get_by_role("button", name="The reference").click()
    page.drawn()
    assert page.get_by_text("BLEU 100.0, ROUGE-L 100.0, chrF 100.0").count() >= 1


def test_the_microscope_refuses_a_long_text():
    with pytest.raises(TraitError, match="at most 300 characters"):
        MetricMicroscope(hypothesis="a" * 301)
