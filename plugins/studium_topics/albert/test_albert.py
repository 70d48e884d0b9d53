"""The solutions and the reference against the library's ALBERT, the bill in the browser, the stories and the claims."""

import pytest
import torch

from studium_topics.albert import exercises, experiment, reference, stories
from studium_topics.albert.bill import MODELS, ParameterBill
from studium_topics.albert.library import albert_model, state
from studium_topics.albert.model import Sizes, parts
from studium_topics.kits import training

SIZES = Sizes(vocabulary=23, embedding=6, width=12, hidden=20, heads=3, groups=2, length=9)
MATHS = "plugins/studium_topics/albert/bill_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
SOURCES = pytest.mark.parametrize("source", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


@pytest.fixture
def made():
    return parts(SIZES, seed=5).double()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 23, (4, 7), generator=generator)
    ids[0, 5:], ids[2, 3:] = 4, 4
    return ids, torch.randint(2, (4, 7), generator=generator)


@SOURCES
def test_albert_equals_the_librarys_model_in_states_and_pooled_vectors(made, batch, source):
    pytest.importorskip("transformers")
    ids, segments = batch
    expected = albert_model(made, 6, pad=4)(ids, attention_mask=(ids != 4).long(), token_type_ids=segments)
    found, pooled = source.albert(ids, segments, made, 6, 4)
    torch.testing.assert_close(found[ids != 4], expected.last_hidden_state[ids != 4], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(pooled, expected.pooler_output, rtol=1e-9, atol=1e-9)


@SOURCES
def test_the_embedding_equals_the_librarys(made, batch, source):
    pytest.importorskip("transformers")
    library, (ids, segments) = albert_model(made, 2, pad=4), batch
    expected = library.encoder.embedding_hidden_mapping_in(library.embeddings(ids, token_type_ids=segments))
    torch.testing.assert_close(source.albert_embed(ids, segments, made), expected, rtol=1e-9, atol=1e-9)


@SOURCES
def test_every_state_of_the_stack_equals_the_librarys(made, batch, source):
    pytest.importorskip("transformers")
    for layers in [2, 6, 10]:
        ids, segments = torch.where(batch[0] == 4, 5, batch[0]), batch[1]
        library = albert_model(made, layers, pad=4)
        expected = library(ids, token_type_ids=segments, output_hidden_states=True).hidden_states
        found = source.shared_stack(source.albert_embed(ids, segments, made), ids != 4, made["groups"], layers)
        assert len(found) == len(expected) == layers + 1
        for mine, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


@SOURCES
def test_the_bill_equals_the_librarys_count(source):
    transformers = pytest.importorskip("transformers")
    for embedding, groups in ((6, 1), (10, 3), (None, 3)):
        kind = "Bert" if embedding is None else "Albert"
        options = {"num_hidden_groups": groups, "embedding_size": embedding} if embedding else {}
        config = getattr(transformers, f"{kind}Config")(
            vocab_size=31,
            hidden_size=12,
            num_hidden_layers=3,
            num_attention_heads=3,
            intermediate_size=20,
            max_position_embeddings=17,
            **options,
        )
        with torch.device("meta"):
            model = getattr(transformers, f"{kind}Model")(config)
        expected = sum(weight.numel() for weight in model.parameters())
        assert sum(source.parameter_bill(31, embedding, 12, 20, 3, 17, groups).values()) == expected


def test_both_heads_of_the_reference_equal_the_librarys(made, batch):
    transformers = pytest.importorskip("transformers")
    ids, segments = batch
    model = reference.Albert(SIZES, 6, pad=4, seed=5).double()
    library = transformers.AlbertForPreTraining(albert_model(made, 6, pad=4).config).double().eval()
    library.albert.load_state_dict(state(model.parts))
    head = library.predictions
    for theirs, mine in ((head.dense, model.transform), (head.LayerNorm, model.transform_norm)):
        theirs.load_state_dict(mine.state_dict())
    library.sop_classifier.classifier.load_state_dict(model.parts["order"].state_dict())
    with torch.no_grad():
        model.bias.copy_(torch.linspace(-1, 1, 23))
        head.bias.copy_(model.bias)
        head.decoder.bias.copy_(model.bias)
        head.decoder.weight.copy_(model.parts["word"].weight)
        expected = library(ids, attention_mask=(ids != 4).long(), token_type_ids=segments)
        words, order = model(ids, segments)
    torch.testing.assert_close(words[ids != 4], expected.prediction_logits[ids != 4].float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(order, expected.sop_logits.float(), rtol=1e-5, atol=1e-5)


def test_a_step_has_a_cost_and_moves_every_parameter():
    model = reference.Albert(SIZES, 4, pad=4)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    ids = torch.randint(5, 23, (3, 7), generator=torch.Generator().manual_seed(0))
    cost = reference.step_cost(model, ids, torch.zeros_like(ids), torch.tensor([0, 1, 1]), steps=1)
    assert cost.parameters == sum(weight.numel() for weight in before.values())
    assert cost.seconds > 0
    assert cost.peak_bytes > 0
    still = [name for name, weight in model.named_parameters() if torch.equal(weight, before[name])]
    assert not still


def test_the_reference_trains_as_the_solution_does():
    generator = torch.Generator().manual_seed(0)
    docs = [[[5, 6, 7], [8, 9]], [[10, 11], [12, 13, 14, 15], [16]]]
    batches = [exercises.sop_pairs(docs, generator, 1, 2) for _ in range(3)]
    losses = []
    for source in (exercises, reference):
        made = parts(SIZES, seed=2)
        losses.append((source.train_order(made, 4, batches, 1e-2, 4), made["order"].weight.detach()))
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-4, atol=1e-5)


def test_the_bill_in_the_browser_is_the_exercises(call_js):
    for model in MODELS:
        width, layers = {"base": (768, 12), "large": (1024, 24), "xlarge": (2048, 24), "xxlarge": (4096, 12)}[model]
        for embedding, sets in ((128, 1), (None, 24), (64, 3)):
            expected = exercises.parameter_bill(30000, embedding, width, 4 * width, layers, 512, min(sets, layers))
            assert call_js(MATHS, "stored", model, 30000, embedding, sets) == list(expected.values())


def test_the_browser_counts_operations_as_pytorch_does(call_js):
    bert, albert = (call_js(MATHS, "computed", "base", embedding, 128) for embedding in (None, 128))
    matrices, pooler = 12 * (4 * 768 * 768 + 8 * 768 * 768), 2 * 768 * 768
    assert bert == 2 * 128 * matrices + 12 * 4 * 128 * 128 * 768 + pooler
    assert albert - bert == 2 * 128 * 128 * 768


@pytest.mark.sample(1)
@pytest.mark.parametrize("sets", [1, 2, 3, 12, 24])
def test_the_browser_uses_the_sets_as_the_stack_uses_its_groups(call_js, sets):
    called = []
    groups = [lambda x, real, number=number: called.append(number) or x for number in range(min(sets, 12))]
    exercises.shared_stack(torch.zeros(1, 1, 1), None, groups, 12)
    assert call_js(MATHS, "uses", 12, sets) == called


def test_the_bill_says_what_it_shows():
    assert "tables of width 64" in ParameterBill(embedding=64).alt
    assert "full width" in ParameterBill(factorised=False).alt


def test_neighbouring_stories_differ_in_their_topic_and_their_events_follow_each_other():
    docs = stories.stories(40, torch.Generator().manual_seed(0), sentences=3)
    topics = [
        {word for sentence in doc for word in sentence} & set(stories.encode(" ".join(stories.ANIMALS))) for doc in docs
    ]
    assert all(len(topic) == 1 for topic in topics)
    assert all(topics[number] != topics[number - 1] for number in range(1, 40))
    first = stories.encode(" ".join(stories.EVENTS))
    for doc in docs:
        hours = [first.index(next(word for word in sentence if word in first)) for sentence in doc]
        assert hours == list(range(hours[0], hours[0] + 3))
    assert stories.decode(docs[0][0]).endswith(".")
    with pytest.raises(ValueError, match="unicorn"):
        stories.encode("unicorn")


def test_a_swap_hides_from_every_rule_that_ignores_which_sentence_a_word_is_in():
    docs = stories.stories(30, torch.Generator().manual_seed(1))
    pairs = [exercises.sop_pairs(docs, torch.Generator().manual_seed(seed), 1, 2) for seed in range(8)]
    for runs in zip(*pairs, strict=True):
        assert len({tuple(sorted(ids)) for ids, _, _ in runs}) == 1
        assert {label for _, _, label in runs} == {0, 1}


def test_negatives_of_the_next_sentence_come_from_another_topic():
    docs = stories.stories(30, torch.Generator().manual_seed(2))
    animals = set(stories.encode(" ".join(stories.ANIMALS)))
    for ids, segments, label in experiment.next_pairs(docs, torch.Generator().manual_seed(3), 1, 2)[1:]:
        assert len(set(ids) & animals) == 1 + label
        assert segments == [0] * 6 + [1] * 5


def test_a_layer_that_changes_nothing_does_not_move_a_token():
    x = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    far, angles = experiment.steps_between(torch.stack([x, x, 2 * x, -x]))
    assert far[0] == 0
    assert angles == pytest.approx([0, 0, 180], abs=0.1)
