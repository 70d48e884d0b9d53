"""The model that writes tales: its files are those of the recorded run, its words exist, its adapter writes recipes."""

import re

import pytest
import torch
import torch.nn.functional as F
from studium_topics.kits import packing, tales, tales_lm, text


@pytest.fixture(scope="module")
def model():
    return tales_lm.trained()


@torch.no_grad()
def written(model, count, *, temperature, seed=0):
    vocabulary, generator = tales_lm.vocabulary(), torch.Generator().manual_seed(seed)
    ids = vocabulary.encode("\n\n")
    for _ in range(count):
        row = model(ids[None])[0, -1]
        drawn = (
            torch.multinomial((row / temperature).softmax(-1), 1, generator=generator) if temperature else row.argmax()
        )
        ids = torch.cat([ids, drawn.view(1)])
    return vocabulary.decode(ids[2:])


def words(corpus):
    return set(re.findall(r"[A-Za-z]+", corpus))


def known(text, corpora):
    found = re.findall(r"[A-Za-z]+", text)[:-1]  # the last one may be cut off
    return sum(word in corpora for word in found) / len(found)


def test_the_files_are_those_that_the_recorded_run_wrote_with_the_settings_of_the_script():
    assert tales_lm.record()["settings"] == tales_lm.settings()
    assert tales_lm.record()["sha256"] == tales_lm.sums()


def test_both_corpora_have_the_characters_of_the_model_and_recipes_no_others():
    corpora = [make(tales_lm.TEXTS, tales_lm.SEED) for make in (tales.tales, tales.recipes)]
    assert "".join(sorted(set(corpora[0]))) == tales_lm.CHARACTERS
    assert set(corpora[1]) < set(tales_lm.CHARACTERS)


def test_a_corpus_depends_on_its_seed_alone():
    assert tales.tales(20, 3) == tales.tales(20, 3) != tales.tales(20, 4)


def test_a_tale_says_who_found_what_was_lost():
    lost = re.compile(r"lost (?:his|her) \w+ (\w+)\. \w+ the \w+ found the \1 ")
    stories = [story for story in tales.tales(300).split("\n\n") if " lost h" in story]
    assert len(stories) > 50
    assert all(lost.search(story) for story in stories)


def test_the_model_writes_words_that_the_tales_have(model):
    corpus = words(tales.tales(5000, tales_lm.SEED))
    assert min(known(written(model, 200, temperature=0.8, seed=seed), corpus) for seed in range(3)) > 0.9


def test_near_temperature_zero_it_tells_the_same_tale_again(model):
    first, second, *_ = written(model, 280, temperature=0).split("\n\n")
    assert len(second) > 60
    assert first.startswith(second[:120])


def test_the_adapter_turns_tales_into_recipes(model):
    unseen = tales.recipes(60, tales_lm.SEED + 1)
    before, after = (tales_lm.loss_on(one, unseen, windows=20) for one in (model, tales_lm.adapted()))
    assert after < before / 3
    text = written(tales_lm.adapted(), 160, temperature=0.8)
    assert {"Cut", "Cook", "Serve", "Wash"} & words(text)
    assert known(text, words(tales.recipes(5000))) > 0.9


def test_without_its_share_the_adapter_changes_nothing(model):
    ids = torch.arange(40)[None]
    with torch.no_grad():
        assert torch.equal(tales_lm.adapted(0.0)(ids), model(ids))
        assert not torch.allclose(tales_lm.adapted(0.5)(ids), model(ids), atol=0.1)


def test_the_adapter_is_a_small_part_of_the_model(model):
    adapter, base = (sum(part.numel() for part in one.parameters()) for one in (tales_lm.adapter(), model))
    assert 100_000 < base < 300_000
    assert adapter < 0.15 * base


def test_training_moves_the_base_and_then_only_the_adapter():
    base = tales_lm.train_base(steps=3)
    assert not torch.equal(base.head.weight, tales_lm.untrained().head.weight)
    before = {name: part.clone() for name, part in base.state_dict().items()}
    factors = tales_lm.train_adapter(base, steps=3)
    after = {
        name.replace("linear.", ""): part
        for name, part in base.state_dict().items()
        if ".a." not in name and ".b." not in name
    }
    assert all(torch.equal(after[name], part) for name, part in before.items())
    assert all(part.abs().sum() > 0 for part in factors.parameters())


@pytest.mark.heavy
def test_the_recorded_run_can_be_repeated():
    model, again = tales_lm.trained(), tales_lm.train_base()
    unseen = tales.tales(100, tales_lm.SEED + 1)
    assert tales_lm.loss_on(again, unseen) == pytest.approx(tales_lm.loss_on(model, unseen), abs=0.03)


def test_the_characters_are_those_of_a_vocabulary():
    assert text.Vocabulary(tales_lm.CHARACTERS).decode(tales_lm.vocabulary().encode("Mia")) == "Mia"
    assert packing.layout(tales_lm.untrained())[0] == f"embedding.weight {len(tales_lm.CHARACTERS)} 96"


def test_the_scores_of_words_give_the_sums_of_the_weights_of_their_characters(monkeypatch):
    weights, attend = [], F.scaled_dot_product_attention

    def recorded(q, k, v, **options):
        weights.append(attend(q, k, torch.eye(q.shape[-2]).expand(*q.shape[:2], -1, -1), **options)[0])
        return attend(q, k, v, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", recorded)
    text = "Ada lost her key"
    tales_lm.trained()(tales_lm.vocabulary().encode("\n\n" + text)[None])
    of_characters = torch.stack(weights)[:, :, 2:, 2:]
    asking = of_characters[:, :, [3, 8, 12, 15]]  # the last character of each word, its space included
    summed = torch.stack([part.sum(-1) for part in asking.split([4, 5, 4, 3], -1)], -1)
    words, scores = tales_lm.word_scores(text)
    ahead = torch.ones(4, 4, dtype=torch.bool).triu(1)
    found = scores.masked_fill(ahead, float("-inf")).softmax(-1)
    assert words == text.split()
    torch.testing.assert_close(found, summed / summed.sum(-1, keepdim=True), rtol=1e-4, atol=1e-5)
