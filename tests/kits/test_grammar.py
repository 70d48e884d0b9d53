from collections import Counter, defaultdict

import pytest
import torch
from studium_topics.kits import grammar


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def ids():
    return grammar.sentences(4000, 3, generator())


def columns(ids, role):
    return ids[:, grammar.positions(role, ids.shape[1] // grammar.CLAUSE)]


def best_guess(contexts, numbers):
    """The accuracy of the best reader of these contexts, fitted on one half and measured on the other."""
    half, seen = len(numbers) // 2, defaultdict(Counter)
    for context, number in zip(contexts[:half], numbers[:half], strict=True):
        seen[context][number] += 1
    guesses = [seen[c].most_common(1)[0][0] if c in seen else 0 for c in contexts[half:]]
    return sum(g == n for g, n in zip(guesses, numbers[half:], strict=True)) / half


def test_there_are_54_words_and_special_tokens_are_where_their_constants_say():
    assert grammar.VOCABULARY == len(set(grammar.WORDS)) == 54
    named = {"[PAD]": grammar.PAD, "[CLS]": grammar.CLS, "[SEP]": grammar.SEP, "[MASK]": grammar.MASK}
    assert {grammar.WORDS[number]: number for number in range(4)} == named
    sentence = "these brave teachers laugh . this big bear reads ."
    assert grammar.decode(grammar.encode(sentence)) == sentence


def test_every_clause_has_its_five_roles_in_order(ids):
    words = {
        "determiner": {w for forms in grammar.DETERMINERS for w in forms},
        "adjective": set(grammar.ADJECTIVES),
        "noun": {w for forms in grammar.NOUNS for w in forms},
        "verb": {w for forms in grammar.VERBS for w in forms},
        "stop": {"."},
    }
    for role, expected in words.items():
        assert {grammar.WORDS[i] for i in columns(ids, role).unique().tolist()} == expected


def test_determiner_and_verb_agree_with_the_noun_in_every_clause(ids):
    number = grammar.number_of(columns(ids, "noun"))
    assert torch.equal(grammar.number_of(columns(ids, "determiner")), number)
    assert torch.equal(grammar.number_of(columns(ids, "verb")), number)


def test_adjectives_stops_and_special_tokens_have_no_number():
    assert grammar.number_of(torch.tensor([grammar.MASK, grammar.CLS])).tolist() == [-1, -1]
    assert grammar.number_of(grammar.encode("gentle .")).tolist() == [-1, -1]


def test_numbers_are_fair_coins_drawn_for_each_clause(ids):
    number = grammar.number_of(columns(ids, "noun")).double()
    assert number.mean().item() == pytest.approx(0.5, abs=0.02)
    assert torch.corrcoef(number.T).triu(1).abs().max().item() < 0.06


def test_words_of_a_role_come_equally_often(ids):
    for role, count in (("adjective", 11), ("noun", 18), ("verb", 18)):
        share = columns(ids, role).flatten().bincount() / columns(ids, role).numel()
        assert share[share > 0].min().item() == pytest.approx(1 / count, rel=0.15)
        assert share.max().item() == pytest.approx(1 / count, rel=0.15)


def test_neither_the_left_context_nor_the_adjective_tells_a_determiner(ids):
    number = grammar.number_of(columns(ids, "determiner"))[:, 1].tolist()
    for view in (columns(ids, "noun")[:, 0], columns(ids, "verb")[:, 0], columns(ids, "determiner")[:, 0]):
        assert best_guess(view.tolist(), number) == pytest.approx(grammar.ceiling("determiner", False), abs=0.04)
    number = grammar.number_of(columns(ids, "determiner"))[:, 1].tolist()
    assert best_guess(columns(ids, "adjective")[:, 1].tolist(), number) == pytest.approx(0.5, abs=0.04)


def test_the_word_after_next_tells_a_determiner_and_the_word_before_a_verb(ids):
    number = grammar.number_of(columns(ids, "determiner"))[:, 1].tolist()
    assert best_guess(columns(ids, "noun")[:, 1].tolist(), number) == grammar.ceiling("determiner", True) == 1.0
    number = grammar.number_of(columns(ids, "verb"))[:, 1].tolist()
    assert best_guess(columns(ids, "noun")[:, 1].tolist(), number) == grammar.ceiling("verb", False) == 1.0


def test_number_accuracy_accepts_any_word_of_the_right_number():
    truth = grammar.encode("this small dog runs . these old cats sing .")
    other = grammar.encode("this small fox waits . this old cats sings .")
    assert grammar.number_accuracy(other, truth) == pytest.approx(0.8)


def test_positions_find_their_role_after_a_first_token():
    ids = torch.nn.functional.pad(grammar.sentences(2, 4, generator()), (1, 0), value=grammar.CLS)
    found = ids[:, grammar.positions("stop", 4, start=1)]
    assert bool((found == grammar.WORDS.index(".")).all())


def test_sentences_repeat_with_their_generator_and_leave_the_global_one_alone():
    state = torch.get_rng_state()
    assert torch.equal(grammar.sentences(3, 2, generator(7)), grammar.sentences(3, 2, generator(7)))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_wrong_argument_is_answered_by_one_sentence():
    for make, message in [
        (lambda: grammar.encode("this dog barks ."), "sentence needs words of the grammar only, got barks"),
        (lambda: grammar.positions("adverb", 2), "role needs to be one of determiner, .*, got 'adverb'"),
        (lambda: grammar.ceiling("noun", True), "role needs to be determiner or verb, got 'noun'"),
        (lambda: grammar.number_accuracy(torch.zeros(2).long(), torch.zeros(3).long()), "need one shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
