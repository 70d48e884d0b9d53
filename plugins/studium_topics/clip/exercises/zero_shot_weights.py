import itertools

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    importance=3,
    hints=(
        "How long is the mean of two unit vectors that do not agree?",
        "Sentences are compared by their direction, so make each a unit vector before you take the mean, and make the "
        "mean a unit vector again.",
        "The P sentences of a class are (P, d), their mean is (d,), and the C classes are the columns of (d, C).",
        "`template.format(name)` puts a name into a template; `F.normalize(x, dim=0)` normalises a single vector.",
    ),
)
def zero_shot_weights(embed, names, templates):
    """Return a classifier made of names: one unit vector for each class, averaged over prompts.

    Embed the sentences of a class, normalise each, average them, and normalise the mean again.

    * embed: a function that takes a list of n sentences and returns their features (n, d), of any length
    * names: of the C classes
    * templates: sentences with `{}` in place of the name
    * returns: (d, C), so that unit features of images (N, d) times this are N × C cosines
    """
    ### BEGIN SOLUTION
    columns = []
    for name in names:
        sentences = F.normalize(embed([template.format(name) for template in templates]))
        columns.append(F.normalize(sentences.mean(0), dim=0))
    return torch.stack(columns, 1)
    ### END SOLUTION


zero_shot_weights.equivalent(
    "columns.append(F.normalize(sentences.sum(0), dim=0))", "sum and mean have the same direction"
)


@zero_shot_weights.test("gives each class a column of length 1", points=1)
def _(zero_shot_weights):
    features = {"a cat": [3.0, 4.0], "a dog": [0.0, 2.0], "a bee": [-5.0, 0.0]}

    def embed(sentences):
        return torch.tensor([features[sentence] for sentence in sentences])

    expected = torch.tensor([[0.6, 0.0, -1.0], [0.8, 1.0, 0.0]])
    found = zero_shot_weights(embed, ["cat", "dog", "bee"], ["a {}"])
    assert_close(found, expected, rtol=1e-4, atol=1e-4)


@zero_shot_weights.hidden("averages unit vectors, and makes the mean one", points=2)
def _(zero_shot_weights, rng):
    for names, templates, size in (
        (["disc", "red ring"], ["a {}", "a photo of a {}.", "{} in the rain"], 5),
        (["one", "two", "three", "four"], ["{}", "not {}"], 4),
        (["left", "right", "up"], ["{} or so"], 2),
    ):
        said = [[template.format(name) for template in templates] for name in names]
        flat = list(itertools.chain.from_iterable(said))
        drawn = torch.randn(len(flat), size, generator=rng, dtype=torch.float64)
        drawn = drawn * (0.2 + 5 * torch.rand(len(flat), 1, generator=rng, dtype=torch.float64))
        features = dict(zip(flat, drawn, strict=True))

        def embed(sentences, features=features):
            unknown = [sentence for sentence in sentences if sentence not in features]
            assert not unknown, f"embed was asked for {unknown[:1]}, which is no name in a template"
            return torch.stack([features[sentence] for sentence in sentences])

        units = [torch.stack([features[s] / features[s].square().sum().sqrt() for s in of]) for of in said]
        means = torch.stack([unit.sum(0) for unit in units], 1)
        expected = means / means.square().sum(0).sqrt()
        what = f"for names {names} and templates {templates}"
        assert_close(zero_shot_weights(embed, names, templates), expected, rtol=1e-6, atol=1e-6, message=what)


@zero_shot_weights.hidden("lets no template weigh more because its vectors are long", points=1)
def _(zero_shot_weights, rng):
    drawn = torch.randn(2, 3, 4, generator=rng, dtype=torch.float64)  # template, class, d

    def embed(sentences, factor=1.0):
        rows = [drawn[int(sentence.startswith("the")), int(sentence[-1])] for sentence in sentences]
        lengths = [factor if sentence.startswith("the") else 1.0 for sentence in sentences]
        return torch.stack(rows) * torch.tensor(lengths, dtype=torch.float64)[:, None]

    names, templates = ["0", "1", "2"], ["a {}", "the {}"]
    plain = zero_shot_weights(embed, names, templates)
    longer = zero_shot_weights(lambda sentences: embed(sentences, 50.0), names, templates)
    assert_close(longer, plain, rtol=1e-6, atol=1e-6, message="with one template's features 50 times as long")
    assert_close(plain.square().sum(0), torch.ones(3, dtype=torch.float64), rtol=1e-6, atol=1e-6)


@zero_shot_weights.misconception(
    "You averaged the features as they are, so a sentence with a long vector outweighs the others. Normalise each "
    "first.",
    name="averaged-raw-features",
)
def _(embed, names, templates):
    means = [embed([template.format(name) for template in templates]).mean(0) for name in names]
    return F.normalize(torch.stack(means, 1), dim=0)


@zero_shot_weights.misconception(
    "You left the mean as it came out. It is shorter than 1, and the less the prompts agree, the shorter it is, so "
    "such a class gets smaller cosines than it should: normalise it again.",
    name="mean-not-normalised",
)
def _(embed, names, templates):
    means = [F.normalize(embed([template.format(name) for template in templates])).mean(0) for name in names]
    return torch.stack(means, 1)


@zero_shot_weights.misconception(
    "You did not normalise anything; cosines need unit vectors, so normalise both the sentences and their mean.",
    name="normalised-nothing",
)
def _(embed, names, templates):
    return torch.stack([embed([template.format(name) for template in templates]).mean(0) for name in names], 1)


@zero_shot_weights.misconception(
    "You put the classes in the rows; make each class a column, (d, C).", name="classes-in-rows"
)
def _(embed, names, templates):
    means = [F.normalize(embed([template.format(name) for template in templates])).mean(0) for name in names]
    return F.normalize(torch.stack(means))


@zero_shot_weights.misconception(
    "You normalised across the classes, along the rows of (d, C); normalise its columns, because each column is the "
    "vector of a class.",
    name="normalised-across-classes",
)
def _(embed, names, templates):
    means = [F.normalize(embed([template.format(name) for template in templates])).mean(0) for name in names]
    return F.normalize(torch.stack(means, 1), dim=1)


@zero_shot_weights.misconception(
    "You used only the first template; average each class over all of them.", name="first-template-alone"
)
def _(embed, names, templates):
    return F.normalize(embed([templates[0].format(name) for name in names])).mT


@zero_shot_weights.also_correct
def _(embed, names, templates):
    sentences = [template.format(name) for template in templates for name in names]
    features = F.normalize(embed(sentences), dim=-1).view(len(templates), len(names), -1)
    return F.normalize(features.sum(0), dim=-1).T


@zero_shot_weights.also_correct
def _(embed, names, templates):
    made = []
    for name in names:
        total = 0
        for template in templates:
            feature = embed([template.format(name)])[0]
            total = total + feature / feature.norm()
        made.append(total / total.norm())
    return torch.stack(made, dim=-1)
