import argparse
from pathlib import Path
from pydoc_data.topics import topics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from studium_topics.kits import text


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_prose_holds_every_topic_of_pythons_help():
    assert len(text.prose()) > 400_000
    assert all(topic in text.prose() for topic in topics.values())


def test_code_begins_with_the_source_of_argparse_and_holds_all_six_modules():
    assert text.code().startswith(Path(argparse.__file__).read_text(encoding="utf-8"))
    assert len(text.code()) > 500_000
    assert "class TarFile" in text.code()
    assert "class ZipFile" in text.code()


def test_one_vocabulary_encodes_both_corpora_without_loss():
    vocabulary = text.character_vocabulary()
    for corpus in (text.prose(), text.code()):
        ids = vocabulary.encode(corpus)
        assert int(ids.max()) < vocabulary.size < 200
        assert vocabulary.decode(ids) == corpus


def test_what_does_not_fit_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="text needs characters of the vocabulary only, got '☃'"):
        text.character_vocabulary().encode("snow ☃")
    with pytest.raises(ValueError, match="windows of 9 need at least as many ids, got 5"):
        text.windows(torch.arange(5), 1, 9, generator())
    with pytest.raises(ValueError, match="size needs to be at least 257"):
        text.byte_pair_tokenizer("abc", size=100, special_tokens=["[PAD]"])


def test_the_split_keeps_order_and_loses_nothing():
    train, validation = text.split(torch.arange(1000), 0.2)
    assert torch.equal(torch.cat([train, validation]), torch.arange(1000))
    assert len(validation) == 200


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 8), st.data())
def test_every_window_is_a_stretch_of_the_text(length, batch, data):
    total = data.draw(st.integers(length, 60))
    drawn = text.windows(torch.arange(total), batch, length, generator())
    assert drawn.shape == (batch, length)
    assert bool((drawn.diff(dim=1) == 1).all())
    assert 0 <= int(drawn.min()) <= int(drawn.max()) < total


def test_windows_reach_the_first_and_the_last_token():
    drawn = text.windows(torch.arange(6), 400, 4, generator())
    assert (int(drawn.min()), int(drawn.max())) == (0, 5)


def test_targets_are_the_tokens_that_follow_the_inputs():
    inputs, targets = text.next_token_batch(torch.arange(100), 5, 12, generator())
    assert inputs.shape == targets.shape == (5, 12)
    assert torch.equal(targets, inputs + 1)


def test_batches_repeat_with_their_generator_and_leave_the_global_one_alone():
    state, ids = torch.get_rng_state(), torch.arange(500)
    assert torch.equal(text.windows(ids, 9, 7, generator(4)), text.windows(ids, 9, 7, generator(4)))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture(scope="module")
def tokenizer():
    return text.byte_pair_tokenizer(text.prose(), special_tokens=["[PAD]", "[MASK]"])


def test_the_tokenizer_is_as_big_as_asked_packs_well_and_comes_out_the_same_again(tokenizer):
    assert tokenizer.get_vocab_size() == 1024
    assert tokenizer.token_to_id("[PAD]") == 0
    assert tokenizer.token_to_id("[MASK]") == 1
    assert len(text.prose().encode()) / len(tokenizer.encode(text.prose()).ids) > 2.5
    again = text.byte_pair_tokenizer(text.prose(), special_tokens=["[PAD]", "[MASK]"])
    assert again.to_str() == tokenizer.to_str()


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_from_the_tokenizer(tokenizer, anything):
    assert tokenizer.decode(tokenizer.encode(anything).ids) == anything
