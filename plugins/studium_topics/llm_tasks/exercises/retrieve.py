import math
from collections import Counter

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=18,
    importance=2,
    hints=(
        "Which words of a question tell the documents apart, and which appear in all of them?",
        "Make a dict from words to numbers for the question and for each document, and compare them by their angle.",
        "A dict has one entry for each distinct word: how often it occurs, times ln(N / n).",
        "`Counter(words)` counts, `math.sqrt(sum(x * x for x in weights.values()))` is a length, and "
        "`sorted(range(n), key=...)` keeps the order of equal ones.",
    ),
    mutates_args=(),
)
def retrieve(query, documents, k):
    """Return which k documents are nearest to a question.

    A text becomes a vector with one entry for each distinct word: the number of times it
    occurs, times ln(N / n), where n of the N documents contain that word. Nearness is the
    cosine of two vectors, and 0 where one of them is zero. Ignore words that are in no document.

    * query: a list of words
    * documents: a list of lists of words, none of them empty
    * k: from 1 to N
    * returns: a list of k indices, the nearest first; where two are equally near, the smaller
      index first
    """
    ### BEGIN SOLUTION
    found_in = Counter(word for document in documents for word in set(document))

    def vector(words):
        counts = Counter(word for word in words if word in found_in)
        return {word: count * math.log(len(documents) / found_in[word]) for word, count in counts.items()}

    def cosine(u, v):
        lengths = math.hypot(*u.values()) * math.hypot(*v.values())
        return sum(u[word] * v.get(word, 0.0) for word in u) / lengths if lengths else 0.0

    asked = vector(query)
    nearness = [cosine(asked, vector(document)) for document in documents]
    return sorted(range(len(documents)), key=lambda index: -nearness[index])[:k]
    ### END SOLUTION


retrieve.equivalent(
    "return {word: count * math.log2(len(documents) / found_in[word]) for word, count in counts.items()}",
    "a cosine is the same for logarithms of any base",
)

retrieve.equivalent("lengths = math.hypot(*v.values())", "the length of the question orders no documents")


retrieve.equivalent(
    "nearness = [cosine(vector(document), asked) for document in documents]", "a cosine is the same both ways"
)

retrieve.equivalent("words = ({word for document in documents for word in document})", "any order of words will do")


@retrieve.test("finds the document with the rare word, not the one with the common words", points=1)
def _(retrieve):
    documents = [
        ["the", "the", "dogs", "sleep", "the"],
        ["the", "old", "bears", "wait"],
        ["the", "dogs", "wait", "and", "the", "dogs", "sleep"],
        ["the", "young", "foxes", "hide"],
    ]
    found = [int(index) for index in retrieve(["what", "do", "the", "old", "dogs", "do"], documents, 2)]
    assert_close(found, [1, 0], message="the two documents nearest to “what do the old dogs do”")


@retrieve.hidden("orders documents by their cosine", points=3)
def _(retrieve, rng):
    long = ["the", "the", "bear", "owl", "the", "owl", "owl", "fox", "fox", "elk"]
    for asked, documents, expected in (
        (["the", "the", "bear"], [["the", "the", "elk"], ["the", "bear"], ["the", "owl"]], [1, 0, 2]),
        (["bear", "bear"], [["bear", "elk", "the"], long, ["the", "fox"], ["owl"]], [0, 1, 2, 3]),
        (["owl"], [["elk"], ["owl", "owl", "owl"], ["fox"]], [1, 0, 2]),
        (["the", "bear"], [["the", "the"], ["bear", "elk"], *(["the", one] for one in "abc")], [1, 0, 2, 3, 4]),
        (["owl"], [["fox", "the"], ["elk", "owl"], ["the", "elk"], ["elk", "owl"]], [1, 3, 0, 2]),
    ):
        given = list(asked)
        found = [int(index) for index in retrieve(given, [list(one) for one in documents], len(documents))]
        assert given == asked, f"the query must stay as it is, and {asked} became {given}"
        assert_close(found, expected, message=f"the order of {documents} for {asked}")
    for count, size, most in ((6, 9, 5), (11, 7, 8), (4, 20, 6), (9, 5, 3)):
        vocabulary = [f"w{number}" for number in range(size)]
        chances = torch.arange(1.0, size + 1).pow(-1)

        def text(words, vocabulary=vocabulary, chances=chances):
            return [vocabulary[int(i)] for i in torch.multinomial(chances, words, replacement=True, generator=rng)]

        documents = [text(1 + (3 * at + most) % most) for at in range(count)]
        documents[-1] = [vocabulary[-1], "the"]
        documents[0] = []
        documents = [[*document, "the"] for document in documents]
        for asked in (text(4), [*text(2), "new", "the"], ["new"], [*documents[1], "the", "the"], [vocabulary[-1]]):
            present = sorted({word for document in documents for word in document})
            rows = torch.tensor([[float(document.count(word)) for word in present] for document in documents])
            rows, query = rows.double(), torch.tensor([float(asked.count(word)) for word in present]).double()
            weight = (len(documents) / (rows > 0).sum(0).double()).log()
            lengths = (rows * weight).norm(dim=1) * (query * weight).norm()
            near = torch.where(lengths > 0, (rows * weight) @ (query * weight) / lengths.clamp(min=1e-30), 0.0)
            before = [list(document) for document in documents]
            for k in (count // 2, 1, count):
                found = [int(index) for index in retrieve(list(asked), documents, k)]
                assert documents == before, "the documents must stay as they are"
                what = f"for {asked} in {documents} with k = {k}"
                fits = len(set(found)) == len(found) == k and set(found) <= set(range(count))
                assert fits, f"{k} different indices from 0 to {count - 1} are needed, got {found} {what}"
                nearest = near.sort(descending=True).values[:k]
                told = f"the cosines of the documents {found}, nearest first, {what}"
                assert_close(near[found], nearest, rtol=0, atol=1e-6, message=told)
                zero = [at for at in range(count) if near[at] == 0]
                last = [at for at in found if near[at] == 0]
                assert_close(last, zero[: len(last)], message=f"the order of documents whose cosine is 0 {what}")


@retrieve.misconception(
    "You counted shared words, so words that are in every document decide, and long documents win; weigh the words by "
    "ln(N / n) and take the cosine.",
    name="counted-shared-words",
)
def _(query, documents, k):
    shared = [sum((Counter(query) & Counter(document)).values()) for document in documents]
    return sorted(range(len(documents)), key=lambda index: -shared[index])[:k]


@retrieve.misconception(
    "You left out ln(N / n), so “the” counts as much as the one word that tells the documents apart; multiply each "
    "count by it.",
    name="without-the-rarity",
)
def _(query, documents, k):
    known = {word for document in documents for word in document}

    def cosine(words):
        u, v = Counter(word for word in query if word in known), Counter(words)
        lengths = math.hypot(*u.values()) * math.hypot(*v.values())
        return sum(u[word] * v[word] for word in u) / lengths if lengths else 0.0

    return sorted(range(len(documents)), key=lambda index: -cosine(documents[index]))[:k]


@retrieve.misconception(
    "You took the dot product without dividing by the lengths, so a document can win just by being long; take the "
    "cosine.",
    name="dot-product",
)
def _(query, documents, k):
    found_in = Counter(word for document in documents for word in set(document))

    def weight(word):
        return math.log(len(documents) / found_in[word]) if word in found_in else 0.0

    def product(document):
        return sum(query.count(word) * document.count(word) * weight(word) ** 2 for word in sorted(set(query)))

    near = [product(document) for document in documents]
    return sorted(range(len(documents)), key=lambda index: -near[index])[:k]


@retrieve.misconception(
    "You returned the farthest documents. `sorted` puts the smallest value first, so sort by minus the nearness.",
    name="farthest-first",
)
def _(query, documents, k):
    order = retrieve(query, documents, len(documents))
    return order[::-1][:k]


@retrieve.misconception(
    "You counted occurrences for n; a document that contains a word three times is still one document.",
    name="occurrences-for-documents",
)
def _(query, documents, k):
    found_in = Counter(word for document in documents for word in document)

    def vector(words):
        counts = Counter(word for word in words if word in found_in)
        return {word: count * math.log(len(documents) / found_in[word]) for word, count in counts.items()}

    def cosine(u, v):
        lengths = math.hypot(*u.values()) * math.hypot(*v.values())
        return sum(u[word] * v.get(word, 0.0) for word in u) / lengths if lengths else 0.0

    near = [cosine(vector(query), vector(document)) for document in documents]
    return sorted(range(len(documents)), key=lambda index: -near[index])[:k]


@retrieve.misconception(
    "You checked only whether a word occurs; a word that occurs twice in a document counts twice.",
    name="presence-not-counts",
)
def _(query, documents, k):
    return retrieve(sorted(set(query)), [sorted(set(document)) for document in documents], k)


@retrieve.also_correct
def _(query, documents, k):
    words = sorted({word for document in documents for word in document})
    counts = torch.tensor([[document.count(word) for word in words] for document in documents], dtype=torch.float64)
    weights = torch.log(len(documents) / (counts > 0).sum(0))
    asked = torch.tensor([query.count(word) for word in words], dtype=torch.float64) * weights
    near = F.cosine_similarity(counts * weights, asked[None], eps=1e-12).nan_to_num()
    return torch.sort(near.mul(1e9).round(), descending=True, stable=True).indices[:k].tolist()


@retrieve.also_correct
def _(query, documents, k):
    def idf(word):
        return math.log(len(documents) / sum(word in document for document in documents))

    def scaled(words):
        weights = {word: words.count(word) * idf(word) for word in words if any(word in one for one in documents)}
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        return {word: weight / length for word, weight in weights.items()} if length > 0 else {}

    asked, scores = scaled(query), []
    for index, document in enumerate(documents):
        weights = scaled(document)
        scores.append((-round(sum(asked[word] * weights.get(word, 0.0) for word in asked), 9), index))
    return [index for _, index in sorted(scores)[:k]]
