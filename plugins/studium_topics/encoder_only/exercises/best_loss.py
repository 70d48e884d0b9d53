import math
from collections import Counter

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "Group the sentences that look the same at the places the model can read. What is the best prediction for one "
        "such group?",
        "No prediction has a lower mean loss than the frequencies themselves (Gibbs' inequality). Large groups count "
        "more than small ones.",
        "A dict can map each tuple of words that the model can read to the list of words at `place`.",
        "`Counter(words).items()` gives each word with its count; add up `-count * math.log(count / len(words))`, "
        "then divide by the number of sentences.",
    ),
)
def best_loss(sentences, place, seen):
    """Return the lowest mean loss, in nats, that any model can reach for the word at one place.

    - sentences: lists of strings, all of the same length. All entries are equally likely; a sentence may occur more
      than once.
    - place: the place of the hidden word, counted from 0.
    - seen: the places that the model can read; never contains `place`, and may be empty.
    - Returns one float.

    The model may know `sentences` by heart. Its loss is −log of the probability that it gives to the hidden word.
    """
    ### BEGIN SOLUTION
    groups = {}
    for sentence in sentences:
        groups.setdefault(tuple(sentence[i] for i in seen), []).append(sentence[place])
    total = 0.0
    for words in groups.values():
        for count in Counter(words).values():
            total -= count * math.log(count / len(words))
    return total / len(sentences)
    ### END SOLUTION


@best_loss.test("knows a coin, and what decides it", points=1)
def _(best_loss):
    sentences = [
        ["this", "dog", "sleeps"],
        ["these", "dogs", "sleep"],
        ["this", "cat", "sleeps"],
        ["these", "cats", "sleep"],
    ]
    assert_close(best_loss(sentences, 0, []), math.log(2), rtol=1e-6, message="the first word, with nothing seen")
    assert_close(best_loss(sentences, 0, [2]), 0.0, atol=1e-9, message="the first word, with the verb seen")
    assert_close(best_loss(sentences, 1, [0]), math.log(2), rtol=1e-6, message="the noun, with the first word seen")


@best_loss.hidden("obeys the chain rule: what is known together is known one after the other", points=2)
def _(best_loss, rng):
    for count, length, place, seen in ((60, 4, 2, [0]), (150, 5, 0, [3, 1]), (90, 4, 1, [0, 2, 3]), (40, 3, 2, [])):
        drawn = torch.randint(4, (count, length), generator=rng).square() // 2  # 0, 0, 2, 4: words differ in frequency
        sentences = [["abcde"[i] * (t + 1) for t, i in enumerate(row)] for row in drawn.tolist()]
        sentences += sentences[: count // 3]

        def entropy(places, sentences=sentences):
            counts = torch.tensor([*Counter(tuple(s[i] for i in places) for s in sentences).values()]).double()
            share = counts / counts.sum()
            return -float((share * share.log()).sum())

        expected = entropy([*seen, place]) - entropy(seen)
        what = f"{len(sentences)} sentences of {length} words, place {place}, seen {seen}"
        assert_close(float(best_loss(sentences, place, seen)), expected, rtol=1e-6, atol=1e-9, message=what)


@best_loss.hidden("is below the loss of every other prediction", points=1)
def _(best_loss, rng):
    table = torch.tensor([[7.0, 2.0, 1.0], [1.0, 1.0, 4.0]])  # how often each word follows "p" and "q"
    sentences = [[w, v] for w, row in zip("pq", table.tolist(), strict=True) for v, n in zip("xyz", row, strict=True)
                 for _ in range(int(n))]  # fmt: skip
    lowest = float(best_loss(sentences, 1, [0]))
    share = table / table.sum(1, keepdim=True)
    right = -float((table * share.log()).sum() / table.sum())
    for _ in range(20):
        other = (share.log() + 0.3 * torch.randn(2, 3, generator=rng)).softmax(1)
        loss = -float((table * other.log()).sum() / table.sum())
        assert lowest <= loss + 1e-6, f"some prediction has a loss of {loss:.4f}, so {lowest:.4f} is not the lowest"
    assert_close(lowest, right, rtol=1e-5, message="predicting the frequencies reaches this loss")


@best_loss.misconception(
    "You gave every group of sentences that look alike the same weight; weight each group by its size, because a "
    "large group comes up more often.",
    name="groups-alike",
)
def _(sentences, place, seen):
    groups = {}
    for sentence in sentences:
        groups.setdefault(tuple(sentence[i] for i in seen), []).append(sentence[place])
    losses = [
        -sum(n / len(words) * math.log(n / len(words)) for n in Counter(words).values()) for words in groups.values()
    ]
    return sum(losses) / len(losses)


@best_loss.misconception(
    "You counted repeated sentences only once; count every entry, because a sentence that occurs more often is more "
    "likely.",
    name="repeats-dropped",
)
def _(sentences, place, seen):
    return best_loss([list(one) for one in dict.fromkeys(map(tuple, sentences))], place, seen)


@best_loss.misconception(
    "You ignored the words that the model can read; they lower its loss, so group the sentences by them.",
    name="nothing-seen",
)
def _(sentences, place, seen):
    return best_loss(sentences, place, [])


@best_loss.misconception("You computed the loss in bits; for nats use the natural logarithm, `math.log`.", name="bits")
def _(sentences, place, seen):
    return best_loss(sentences, place, seen) / math.log(2)


@best_loss.misconception(
    "You treated all words that can occur there as equally likely; the best model predicts how often each one occurs.",
    name="words-alike",
)
def _(sentences, place, seen):
    groups = {}
    for sentence in sentences:
        groups.setdefault(tuple(sentence[i] for i in seen), []).append(sentence[place])
    return sum(len(words) * math.log(len(set(words))) for words in groups.values()) / len(sentences)


@best_loss.misconception(
    "You used only the probability of the most frequent word; use the probability of the word that actually occurs, "
    "even when the model's best guess is another one.",
    name="best-guess-alone",
)
def _(sentences, place, seen):
    groups = {}
    for sentence in sentences:
        groups.setdefault(tuple(sentence[i] for i in seen), []).append(sentence[place])
    total = 0.0
    for words in groups.values():
        total -= len(words) * math.log(max(Counter(words).values()) / len(words))
    return total / len(sentences)


@best_loss.also_correct
def _(sentences, place, seen):
    def entropy(places):
        counts = Counter(tuple(sentence[i] for i in places) for sentence in sentences)
        return -sum(n / len(sentences) * math.log(n / len(sentences)) for n in counts.values())

    return entropy([*seen, place]) - entropy(seen)


best_loss.equivalent(
    "return -sum(n / len(sentences) * math.log(n * len(sentences)) for n in counts.values())",
    "both entropies are larger by the same number, which their difference does not contain",
)


@best_loss.also_correct
def _(sentences, place, seen):
    losses = []
    for sentence in sentences:
        alike = [other[place] for other in sentences if all(other[i] == sentence[i] for i in seen)]
        losses.append(-math.log(alike.count(sentence[place]) / len(alike)))
    return torch.tensor(losses, dtype=torch.float64).mean()
