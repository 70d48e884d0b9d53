"""Search over lessons, and the words that they define."""

from __future__ import annotations

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.desk.describing import description_of
from studium.desk.prose import Term, glossary


def terms(slug: str) -> list[Term]:
    return glossary({slug: description_of(load_catalogue(), slug)})


@pytest.fixture
def words(sample):
    """words(text) → the glossary of a lesson with this text, as {term: sentence}."""

    def read(text: str) -> dict[str, str]:
        lesson = sample.folder / "sample_topic" / "lesson.py"
        lines = "\n".join(f"# {line}" for line in text.splitlines())
        lesson.write_text(lesson.read_text().replace("# A question first.", lines))
        return {term.term: term.sentence for term in terms("sample")}

    return read


@pytest.mark.parametrize(
    ("text", "term", "sentence"),
    [
        (
            "So. The <dfn>rank</dfn> is\nthe number of directions. More.",
            "rank",
            "The rank is the number of directions.",
        ),
        ("Knobs:\n\n* the <dfn>top-k</dfn> keeps k\n  tokens;\n* another;", "top-k", "The top-k keeps k tokens."),
        ("Written <dfn>post\nnorm</dfn> after the sum:\n\n$$x$$", "post norm", "Written post norm after the sum."),
        ("**Bold.** A <dfn>pool</dfn> is the mean of a group.", "pool", "A pool is the mean of a group."),
        ("## Title\nA <dfn>gate</dfn> multiplies.\n## Next", "gate", "A gate multiplies."),
    ],
    ids=["within a paragraph", "in a bullet", "before a formula", "after a bold sentence", "below a heading"],
)
def test_a_word_has_the_sentence_of_its_paragraph_or_bullet_that_defines_it(words, text, term, sentence):
    assert words(text) == {term: sentence}


def test_what_is_only_in_bold_is_no_word_and_the_first_definition_counts(words):
    text = "It is **not** a word. A <dfn>mask</dfn> hides. A <dfn>Mask</dfn> hides again."
    assert words(text) == {"mask": "A mask hides."}


OURS = [entry.topic.slug for entry in load_catalogue().entries if entry.distribution == "studium"]


def test_each_word_of_our_lessons_is_a_sentence_of_its_own():
    for slug in OURS:
        for term in terms(slug):
            words = term.sentence.split()
            assert len(words) > 4, term
            assert words[0] not in ("It", "Its", "This", "That", "They", "These", "Such", "Here"), term
            assert "<dfn>" not in term.sentence, term
            assert term.sentence.count("**") % 2 == 0, term
