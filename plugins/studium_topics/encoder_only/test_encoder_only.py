"""The solutions and the reference against other people's BERT, the claims, and what the widgets are given."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook

from studium_topics.encoder_only import exercises, experiment, reference
from studium_topics.encoder_only.library import LAYER, bert_model
from studium_topics.encoder_only.model import Encoder, Sizes
from studium_topics.kits import grammar, training

SIZES = Sizes(vocabulary=23, width=12, layers=3, heads=3, hidden=20, length=9, pad=4)


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


@pytest.fixture
def bert():
    """A small random BertForPreTraining in float64."""
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=23,
        hidden_size=12,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=9,
        pad_token_id=4,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = transformers.BertForPreTraining(config).double().eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.4)
    return model


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 23, (4, 7), generator=generator)
    ids[0, 5:], ids[2, 3:] = 4, 4
    return ids, torch.randint(2, (4, 7), generator=generator)


def tables_of(bert):
    embeddings = bert.bert.embeddings
    names = {"word": "word", "position": "position", "segment": "token_type"}
    return {ours: getattr(embeddings, f"{its}_embeddings").weight.detach() for ours, its in names.items()}


def weights_of(layer):
    state = layer.state_dict()
    return {f"{ours}.{kind}": state[f"{its}.{kind}"] for ours, its in LAYER.items() for kind in ("weight", "bias")}


def test_bert_embed_equals_transformers(bert, batch):
    for source in [exercises, reference]:
        ids, segments = batch
        embeddings = bert.bert.embeddings
        norm = embeddings.LayerNorm
        found = source.bert_embed(ids, segments, tables_of(bert), norm.weight, norm.bias)
        torch.testing.assert_close(found, embeddings(ids, token_type_ids=segments), rtol=1e-10, atol=1e-10)


def test_the_layers_and_the_padding_mask_equal_transformers(bert, batch):
    for source in [exercises, reference]:
        ids, segments = batch
        expected = bert.bert(ids, attention_mask=(ids != 4).long(), token_type_ids=segments, output_hidden_states=True)
        x = expected.hidden_states[0]
        for layer, after in zip(bert.bert.encoder.layer, expected.hidden_states[1:], strict=True):
            x = source.bert_layer(x, source.pad_mask(ids, 4), weights_of(layer), 3)
            torch.testing.assert_close(x, after, rtol=1e-10, atol=1e-10)


def test_mlm_loss_equals_transformers(bert, batch):
    for source in [exercises, reference]:
        ids, _ = batch
        transformers = pytest.importorskip("transformers")
        model = transformers.BertForMaskedLM(bert.config).double().eval()
        labels = ids.masked_fill(torch.rand(ids.shape, generator=torch.Generator().manual_seed(1)) < 0.7, -100)
        out = model(ids, attention_mask=(ids != 4).long(), labels=labels)
        torch.testing.assert_close(source.mlm_loss(out.logits, labels), out.loss, rtol=1e-10, atol=1e-10)


def test_the_reference_equals_bert_with_both_heads(bert, batch):
    ids, segments = batch
    model = reference.Bert(SIZES).double()
    state = {f"tables.{name}": table for name, table in tables_of(bert).items()}
    state |= {f"blocks.{n}.{key}": w for n, x in enumerate(bert.bert.encoder.layer) for key, w in weights_of(x).items()}
    heads = {
        "norm": bert.bert.embeddings.LayerNorm,
        "transform": bert.cls.predictions.transform.dense,
        "transform_norm": bert.cls.predictions.transform.LayerNorm,
        "pooler": bert.bert.pooler.dense,
        "is_next": bert.cls.seq_relationship,
    }
    state |= {f"{name}.{key}": value for name, part in heads.items() for key, value in part.state_dict().items()}
    table = bert.get_input_embeddings().weight
    bert.get_output_embeddings().weight = table  # the fixture has drawn them anew
    model.load_state_dict(state | {"bias": bert.cls.predictions.bias})
    expected = bert(ids, attention_mask=(ids != 4).long(), token_type_ids=segments)
    torch.testing.assert_close(model(ids, segments), expected.prediction_logits, rtol=1e-9, atol=1e-9)
    found = model.next_sentence(ids, segments)
    torch.testing.assert_close(found, expected.seq_relationship_logits, rtol=1e-9, atol=1e-9)


def test_the_reference_attention_equals_the_exercise_and_survives_a_row_without_keys():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 4, generator=generator, dtype=torch.float64) for n in (5, 6, 6))
    mask = torch.rand(2, 1, 5, 6, generator=generator) < 0.5
    mask[0, 0, 1] = False
    found, expected = (source.attention(q, k, v, mask) for source in (reference, exercises))
    assert found.isfinite().all()
    seen = mask.any(-1).expand(2, 3, 5)
    torch.testing.assert_close(found[seen], expected[seen])


def test_pseudo_ll_in_one_batch_equals_one_word_at_a_time():
    model = Encoder(
        SIZES, bert_embed=reference.bert_embed, bert_layer=reference.bert_layer, pad_mask=reference.pad_mask
    ).double()
    ids = torch.tensor([1, 7, 9, 7, 12, 2])
    found, expected = (source.pseudo_ll(model, ids, 3, {1, 2}) for source in (reference, exercises))
    torch.testing.assert_close(found, expected.detach())


def test_a_causal_model_cannot_see_the_future():
    blocks = {name: getattr(reference, name) for name in ("bert_embed", "bert_layer", "pad_mask")}
    ids = experiment.text(3, torch.Generator().manual_seed(0))
    other = ids.clone()
    other[:, 4] = 9
    for causal in (True, False):
        model = Encoder(experiment.SIZES, **blocks, causal=causal)
        same = torch.equal(model(ids)[:, :4], model(other)[:, :4])
        assert same is causal


def test_the_task_from_the_left_asks_for_the_next_word_and_never_for_padding():
    ids = grammar.encode("[CLS] these dogs . [PAD] [PAD]")[None]
    inputs, labels = experiment.next_words(ids)
    assert torch.equal(inputs, ids)
    assert labels.tolist() == [[*grammar.encode("these dogs .").tolist(), -100, -100, -100]]


def test_the_floors_of_the_grammar_are_known_in_closed_form():
    clauses = experiment.every_clause()
    assert len(clauses) == 2 * 11 * 9 * 9
    left = [reference.best_loss(clauses, place, list(range(place))) for place in range(5)]
    assert left == pytest.approx([math.log(n) for n in (2, 11, 9, 9, 1)], abs=1e-9)
    assert sum(left) == pytest.approx(math.log(len(clauses)))
    assert reference.best_loss(clauses, 0, [1, 2, 3, 4]) == pytest.approx(0, abs=1e-9)


@pytest.mark.sample(1)
@pytest.mark.parametrize("source", [exercises, reference])
def test_pretrain_follows_the_schedule_of_transformers_but_for_its_shift_by_one_step(source):
    transformers = pytest.importorskip("transformers")
    rates = []

    def look(optimizer, args, kwargs):
        rates.append(optimizer.param_groups[0]["lr"])

    handle = register_optimizer_step_pre_hook(look)
    try:
        one_hot = torch.nn.functional.one_hot
        batches = [torch.randint(5, (2, 3), generator=torch.Generator().manual_seed(n)) for n in range(30)]
        source.pretrain(torch.nn.Linear(5, 5), batches, lambda ids: (one_hot(ids, 5).float(), ids), 0.1)
    finally:
        handle.remove()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 3, 31)  # which has the rate 0 at its step 0
    expected = []
    for _ in range(30):
        optimizer.step()
        schedule.step()
        expected.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx(expected)


def test_measuring_after_each_step_ends_with_its_block():
    parameter = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    parameter.sum().backward()
    steps = []
    with experiment.after_each_step(steps.append):
        optimizer.step()
        optimizer.step()
    optimizer.step()
    assert steps == [1, 2]


def test_the_encoder_equals_the_library_model_that_has_its_weights():
    pytest.importorskip("transformers")
    blocks = {name: getattr(reference, name) for name in ("bert_embed", "bert_layer", "pad_mask")}
    encoder = Encoder(experiment.SIZES, **blocks, seed=3).double()
    ids = experiment.text(5, torch.Generator().manual_seed(0))
    real = ids != grammar.PAD
    theirs = bert_model(encoder).double()(ids, attention_mask=real).last_hidden_state
    torch.testing.assert_close(encoder.states(ids)[-1][real], theirs[real], rtol=1e-6, atol=1e-6)


def test_the_price_is_read_off_the_last_crossing():
    reader = experiment.Reader(None, [10, 20, 30, 40], [], [0.5, 0.99, 0.9, 1.0], 0, 0, {})
    assert reader.steps_to_verb() == 40
    assert math.isinf(experiment.Reader(None, [10], [], [0.5], 0, 0, {}).steps_to_verb())


def test_the_scores_for_the_widget_are_those_that_the_layer_uses():
    seen = []

    def spying_layer(x, mask, weights, heads):
        q, k = (F.linear(x, weights[f"{n}.weight"], weights[f"{n}.bias"]) for n in ("query", "key"))
        q, k = (z.unflatten(-1, (heads, -1)).transpose(1, 2) for z in (q, k))
        seen.append((q @ k.mT / q.shape[-1] ** 0.5)[0].detach())
        return reference.bert_layer(x, mask, weights, heads)

    model = Encoder(
        experiment.SIZES, bert_embed=reference.bert_embed, bert_layer=spying_layer, pad_mask=reference.pad_mask
    )
    found = model.scores(grammar.encode("[CLS] these small dogs sleep ."))
    torch.testing.assert_close(found, torch.stack(seen))
