"""The solutions and the reference against transformers and tokenizers, the experiments, and the recipe board."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from studium import Profile
from traitlets import TraitError

from studium_topics.kits import grammar, text, training
from studium_topics.roberta import exercises, figures, formats, masking, reference, setting, stories, tokens
from studium_topics.roberta.board import DOCUMENTS, SENTENCES, RecipeBoard
from studium_topics.roberta.library import roberta_model
from studium_topics.roberta.model import Roberta, Sizes

SMOKE = Profile("smoke")
SIZES = Sizes(vocabulary=23, length=9, pad=1, width=12, layers=3, heads=3, hidden=20)
MATHS = "plugins/studium_topics/roberta/board_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ids_with_padding():
    ids = torch.randint(4, 23, (4, 7), generator=seeded(3))
    ids[0, 5:], ids[2, :3] = 1, 1
    return ids


@BOTH
def test_positions_equal_those_of_transformers_with_padding_on_either_side(ours):
    modeling = pytest.importorskip("transformers.models.roberta.modeling_roberta")
    expected = modeling.RobertaEmbeddings.create_position_ids_from_input_ids(ids_with_padding(), 1)
    torch.testing.assert_close(ours.position_ids(ids_with_padding(), 1), expected)


@BOTH
def test_the_model_and_its_loss_equal_transformers(ours):
    pytest.importorskip("transformers")
    model = Roberta(SIZES, ours.position_ids, seed=2)
    for name, parameter in model.named_parameters():  # biases and norms other than 0 and 1
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 0.3, 0.4, generator=seeded(len(name)))
    model, ids = model.double(), ids_with_padding()
    real = ids != 1
    labels = ids.masked_fill((torch.rand(ids.shape, generator=seeded(5)) < 0.6) | ~real, -100)
    out = roberta_model(model).double()(ids, attention_mask=real.long(), labels=labels)
    torch.testing.assert_close(model(ids)[real], out.logits[real], rtol=1e-6, atol=1e-6)
    loss = F.cross_entropy(model(ids).transpose(1, 2), labels)
    torch.testing.assert_close(loss, out.loss, rtol=1e-6, atol=1e-6)


@BOTH
def test_masks_have_the_shares_of_the_collator_of_transformers(ours):
    transformers = pytest.importorskip("transformers")
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    library = transformers.PreTrainedTokenizerFast(
        tokenizer_object=text.byte_pair_tokenizer("a b c", 300, special),
        **dict(zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), special, strict=True)),
    )
    collator = transformers.DataCollatorForLanguageModeling(library, mlm_probability=0.15, seed=1)
    ids = torch.randint(5, len(library), (3000, 20), generator=seeded(1))
    ids[:, 0] = 0
    theirs = collator.torch_mask_tokens(ids.clone(), (ids == 0).long())
    found = ours.mask_tokens(ids, torch.arange(5), library.mask_token_id, len(library), 0.15, seeded(2))

    def shares(noisy, labels):
        chosen = labels != -100
        assert not chosen[:, 0].any()
        hidden, kept = ((noisy == value)[chosen].double().mean() for value in (library.mask_token_id, ids))
        return torch.stack([chosen.double().mean(), hidden, kept])

    torch.testing.assert_close(shares(*found), shares(*theirs), rtol=0, atol=0.02)


@BOTH
def test_byte_pairs_are_those_of_the_tokenizers_library(ours):
    found = tokens.byte_pairs(ours.bpe, profile=SMOKE)
    assert (found.same, found.lost) == (1.0, 0)
    assert found.show("naïve 🙂", ours.bpe).count("<") == 6


def test_the_reference_packs_as_the_exercise_does():
    docs = stories.documents(30, seeded(4))
    for length in (42, 17, 7):
        found, expected = (source.pack(docs, length, 1, 2, 0) for source in (reference, exercises))
        torch.testing.assert_close(found, expected)


def test_the_reference_trains_as_the_exercise_does():
    rows = reference.pack(stories.documents(6, seeded(4)), setting.LENGTH, 1, 2, 0)
    found = []
    for source in (reference, exercises):
        model = Roberta(setting.SIZES, source.position_ids, seed=1)
        data = setting.dynamic(rows, reference.mask_tokens, 0)
        losses = source.pretrain(model, data, 5, 3, 2, 1e-3, seeded(7))
        found.append((torch.tensor(losses), torch.nn.utils.parameters_to_vector(model.parameters()).detach()))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)


@BOTH
def test_static_masks_and_coverage_agree(ours):
    rows = torch.full((400, 50), 7)
    data = ours.static_masks(rows, 4, 9, setting.noise_of(reference.mask_tokens), seeded(3))
    seen = torch.stack([labels != -100 for _, labels in data]).any(0).double().mean()
    assert float(seen) == pytest.approx(ours.coverage(setting.RATE, 9, 4), abs=0.015)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_fast_path_on_a_gpu_trains_as_the_plain_one():
    rows = reference.pack(stories.documents(6, seeded(4)), setting.LENGTH, 1, 2, 0).cuda()
    found = []
    for fast in (False, True):
        model = Roberta(setting.SIZES, reference.position_ids, seed=1).cuda()
        data = setting.dynamic(rows, reference.mask_tokens, 0)
        losses = reference.pretrain(model, data, 20, 3, 2, 1e-3, seeded(7), bf16=fast, compile=fast)
        found.append(torch.tensor(losses))
    torch.testing.assert_close(*found, rtol=5e-2, atol=5e-2)


def test_a_document_has_one_number_and_two_words_of_each_kind():
    rows = stories.clauses(300, 40, seeded(1))
    for role, kinds in (("determiner", 1), ("adjective", 2), ("noun", 2), ("verb", 2)):
        words = rows[..., grammar.ROLES.index(role)]
        assert {len(set(row.tolist())) for row in words} == {kinds}
    nouns = rows[..., stories.NOUN]
    assert len(set(nouns.flatten().tolist())) == 2 * stories.KINDS
    numbers = grammar.number_of(rows[..., [0, stories.NOUN, 3]]).flatten(1)
    assert (numbers == numbers[:, :1]).all()


def test_the_floor_of_a_noun_is_its_conditional_entropy():
    for others in [0, 1, 2, 7]:
        kinds, joint = range(stories.KINDS), {}
        for first in kinds:
            for second in kinds:
                for draws in range(2 ** (others + 1) if first != second else 0):
                    seen = tuple((first, second)[draws >> i & 1] for i in range(others + 1))
                    joint[seen] = joint.get(seen, 0) + 1
        total, context = sum(joint.values()), {}
        for seen, count in joint.items():
            context[seen[1:]] = context.get(seen[1:], 0) + count
        entropy = -sum(count / total * math.log(count / context[seen[1:]]) for seen, count in joint.items())
        assert stories.noun_floor(others) == pytest.approx(entropy)


def test_negative_pairs_come_from_other_documents():
    docs = [[[100 * d + s] * 5 for s in range(4)] for d in range(1, 9)]
    rows, follows = stories.pairs(docs, True, seeded(2))
    neighbours, always = stories.pairs(docs, False, seeded(2))
    assert rows.shape == neighbours.shape == (24, 13)
    assert always.all()
    assert (neighbours[:, 7] == neighbours[:, 1] + 1).all()
    assert (rows[follows, 7] == rows[follows, 1] + 1).all()
    assert (rows[~follows, 7] // 100 != rows[~follows, 1] // 100).all()
    assert 4 < int(follows.sum()) < 20


def test_the_held_out_loss_asks_for_every_word_once():
    rows = reference.pack(stories.documents(5, seeded(6)), setting.LENGTH, 1, 2, 0)
    asked = []

    class Watched(Roberta):
        def forward(self, ids):
            asked.append((ids != rows).nonzero())
            return torch.zeros(*ids.shape, self.sizes.vocabulary)

    loss = setting.loss_on(Watched(setting.SIZES, reference.position_ids), rows)
    assert loss == pytest.approx(math.log(setting.SIZES.vocabulary))
    words = {tuple(place) for place in (~torch.isin(rows, stories.SPECIAL)).nonzero().tolist()}
    found = [tuple(place) for places in asked for place in places.tolist()]
    assert len(found) == len(set(found))
    assert set(found) == words


def test_held_out_nouns_are_where_they_are_said_to_be():
    nouns = {word for forms in grammar.NOUNS for word in forms}
    for clauses in (2, setting.FULL):
        rows, place = setting.held_out_nouns(clauses, SMOKE, 0)
        assert {grammar.WORDS[i] for i in rows[:, place].tolist()} <= nouns


def test_the_board_opens_with_measured_losses_and_takes_those_of_a_run():
    opening = figures.opening_board()
    assert opening.nouns[0] > opening.nouns[2]
    assert opening.losses[0, -1] > opening.losses[2, -1]
    assert opening.measured[-1] == opening.epochs == masking.EPOCHS
    masked = [masking.Masked(n, [3.0] * 8, [2, 4], [loss, loss - 1], 0.5) for n, loss in ((1, 4), (10, 3), (None, 2))]
    formed = [formats.Format("", 676, loss, 1.7) for loss in (2.2, 2.1, 1.8, 1.4)]
    board = figures.board_of(masking.Masking(*masked, 0.5), formats.Formats(*formed, 0.7))
    assert board.losses.tolist() == [[4, 3], [3, 2], [2, 1]]
    np.testing.assert_allclose(board.nouns, [2.2, 1.8, 1.4], rtol=1e-6)
    assert (board.epochs, board.measured) == (4, [2, 4])


@pytest.mark.browser
def test_the_board_shows_no_curves_where_there_are_none(mount):
    page = mount(RecipeBoard(nouns=[2.0, 1.8, 1.4]))
    assert (
        page.get_by_text("Masks: loss on held-out rows, measured").count() == 0
        or not page.get_by_text("Masks: loss on held-out rows, measured").is_visible()
    )
    assert page.get_by_text("Rows: loss of a hidden noun, measured").is_visible()


def test_the_boards_full_rows_are_those_of_the_exercise(call_js):
    for length in [10, 19, 26, 64]:
        ids = {"<s>": 0, "<pad>": 1, "</s>": 2}
        for sentence in SENTENCES:
            for word in sentence.split():
                ids.setdefault(word, len(ids))
        docs = [
            [[ids[w] for w in s.split()] for s, d in zip(SENTENCES, DOCUMENTS, strict=True) if d == n] for n in (0, 1)
        ]
        rows = call_js(MATHS, "rowsOf", list(SENTENCES), list(DOCUMENTS), "full", length)
        found = [[ids[token["text"]] for token in row["tokens"]] for row in rows]
        assert found == exercises.pack(docs, length, 0, 2, 1).tolist()


def test_the_boards_pairs_are_neighbours_or_said_not_to_be(call_js):
    for recipe in ("pairs", "nsp"):
        rows = call_js(MATHS, "rowsOf", list(SENTENCES), list(DOCUMENTS), recipe, 26, 1)
        assert len(rows) == 4
        for row, first in zip(rows, (0, 1, 3, 4), strict=True):
            words = " ".join(token["text"] for token in row["tokens"])
            goes_on = words == f"<s> {SENTENCES[first]} </s> {SENTENCES[first + 1]} </s>"
            assert row["note"] == ("" if recipe == "pairs" else "IsNext" if goes_on else "NotNext")
            assert goes_on or recipe == "nsp"


def test_the_boards_masks_have_bert_s_shares_and_come_back_as_the_masking_says(call_js):
    mask = np.array(call_js(MATHS, "maskOf", 3, 5, 40_000, 0.15))
    shares = [(mask == kind).mean() for kind in range(4)]
    np.testing.assert_allclose(shares, [0.85, 0.12, 0.015, 0.015], atol=0.006)
    for name, copies, expected in (("once", 1, 1), ("copies", 3, 3), ("dynamic", None, 8)):
        masks = call_js(MATHS, "masksOf", 0, name, 3, 8, 60, 0.3)
        assert len({tuple(one) for one in masks}) == expected
        share = call_js(MATHS, "coverage", name, 3, 8, 0.3)
        assert share == pytest.approx(exercises.coverage(0.3, 8, copies))
        assert call_js(MATHS, "asked", masks, 8) == pytest.approx(np.array(masks).any(0).mean())


@pytest.mark.browser
def test_the_board_is_played_by_keyboard(mount):
    page = mount(RecipeBoard.example())
    page.get_by_role("slider", name="Epoch").press("ArrowRight")
    page.get_by_label("Masks").select_option("dynamic")
    page.get_by_label("Rows").select_option("nsp")
    state = page.state()
    assert (state["epoch"], state["masking"], state["recipe"]) == (7, "dynamic", "nsp")


def test_the_board_says_what_does_not_fit():
    for name, value, message in [
        ("documents", [0, 1], "got 6 and 2"),
        ("length", 9, "holds 7 words, got 8"),
        ("epochs", 20, "rising epochs up to 20"),
        ("measured", [20, 40], r"losses need shape \(3, 2\)"),
        ("nouns", [1.0], "one loss a recipe"),
    ]:
        board = RecipeBoard.example()
        with pytest.raises(TraitError, match=message):
            setattr(board, name, value)
