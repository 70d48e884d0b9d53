import torch
from studium import exercise


@exercise(
    points=3,
    report=1,
    minutes=12,
    kind="open",
    importance=2,
    hints=(
        "What do the scores tell you about the items that people have not graded?",
        "If the graded items happen to have high scores, then their mean grade is not typical of all items. You can "
        "see by how much their scores are off, or choose the items so that this never happens.",
        "One way is to fit a line to the graded items and to use it for all items. Another is to sort the items by "
        "score, cut them into strata of equal size, and have as many items graded in each stratum.",
    ),
)
def few_grades(scores, grade, budget, generator):
    """Return an estimate of the mean grade of all N items, when people can grade only a few of them.

    * scores (N,): an automatic score of each item, on any scale. Its correlation with the grades is above 0.9, or below
      -0.9 if low scores are good.
    * grade(item): what a person gives to this item, a number from 0 to 1; item is from 0 to N - 1
    * budget: how many times you may call `grade`, at least 20
    * generator: draws all random numbers
    * returns: a number

    The goal: an error of at most 60 % of σ/√budget, which is the error we expect from the mean grade of random items; σ
    is the standard deviation of all N grades. We take the root of the mean square of both over 200 sets of items.
    """
    ### BEGIN SOLUTION
    chosen = torch.randperm(len(scores), generator=generator)[:budget]
    grades = torch.tensor([float(grade(item)) for item in chosen.tolist()], dtype=torch.float64)
    known = scores[chosen].double()
    off = known - known.mean()
    slope = (off * (grades - grades.mean())).sum() / off.square().sum()
    return float(grades.mean() + slope * (scores.double().mean() - known.mean()))
    ### END SOLUTION


@few_grades.test("has 60 % of the error of a random sample with 40 of 400 items", points=1)
def _(few_grades, rng):
    errors, usual = 0.0, 0.0
    for _ in range(200):
        quality = torch.rand(400, generator=rng, dtype=torch.float64).square()
        grades = (quality + 0.07 * torch.randn(400, generator=rng, dtype=torch.float64)).clamp(0, 1)
        scores, asked = 20 + 40 * quality.sqrt(), []

        def grade(item, grades=grades, asked=asked):
            asked.append(int(item))
            return float(grades[int(item)])

        generator = torch.Generator().manual_seed(int(torch.randint(10**6, (1,), generator=rng)))
        found = float(few_grades(scores, grade, 40, generator))
        assert len(asked) <= 40, f"people graded {len(asked)} items, and the budget is 40"
        errors += (found - float(grades.mean())) ** 2
        usual += float(grades.var(correction=0)) / 40
    share = (errors / usual) ** 0.5
    assert share <= 0.6, f"the error is {share:.0%} of the error of a random sample; the goal is 60 %"


@few_grades.hidden("has 60 % of the error with other scores, budgets and numbers of items", points=2)
def _(few_grades, rng):
    for number, (items, budget) in enumerate(((600, 30), (300, 50), (250, 20))):
        errors, usual = 0.0, 0.0
        for _ in range(200):
            uniform = torch.rand(items, generator=rng, dtype=torch.float64)
            quality = (uniform**3, 1 - uniform.square(), uniform.square())[number]
            grades = (quality + 0.07 * torch.randn(items, generator=rng, dtype=torch.float64)).clamp(0, 1)
            scores = (8 - 5 * (quality + 0.3).log(), 3 * (0.8 * quality).exp(), -100 * quality.float())[number]
            asked = []

            def grade(item, grades=grades, asked=asked):
                asked.append(int(item))
                return float(grades[int(item)])

            generator = torch.Generator().manual_seed(int(torch.randint(10**6, (1,), generator=rng)))
            found = float(few_grades(scores, grade, budget, generator))
            what = f"with {budget} of {items} items"
            assert len(asked) <= budget, f"{what}, people graded {len(asked)} items"
            errors += (found - float(grades.mean())) ** 2
            usual += float(grades.var(correction=0)) / budget
        share = (errors / usual) ** 0.5
        assert share <= 0.6, f"{what}, the error is {share:.0%} of the error of a random sample; the goal is 60 %"


few_grades.mistake(
    "wrong-way",
    "You moved the mean grade in the wrong direction. If your sample has better scores than all items together, then "
    "its grades are too good as well.",
    replace="scores.double().mean() - known.mean()",
    by="known.mean() - scores.double().mean()",
)

few_grades.mistake(
    "slope-of-one",
    "You added the difference of the scores to the grades as it is. The two have different scales, so first find out "
    "how much a grade changes with a score.",
    replace="grades.mean() + slope *",
    by="grades.mean() +",
)


@few_grades.misconception(
    "You returned the mean grade of a random sample and did not use the scores of the other items.", name="sample-mean"
)
def _(scores, grade, budget, generator):
    chosen = torch.randperm(len(scores), generator=generator)[:budget].tolist()
    return sum(float(grade(item)) for item in chosen) / budget


@few_grades.misconception(
    "You had the items with the highest scores graded. Their mean grade is not typical of all items, and more grades "
    "of this kind would not help.",
    name="highest-scores",
)
def _(scores, grade, budget, generator):
    chosen = scores.argsort(descending=True)[:budget].tolist()
    return sum(float(grade(item)) for item in chosen) / budget


@few_grades.misconception(
    "You had each item graded; this gives the exact mean, but the budget is much smaller.", name="every-item"
)
def _(scores, grade, budget, generator):
    return sum(float(grade(item)) for item in range(len(scores))) / len(scores)


@few_grades.misconception(
    "You rescaled the scores to the range from 0 to 1 and took their mean; only people's grades can tell how scores "
    "and grades belong together.",
    name="rescaled-scores",
)
def _(scores, grade, budget, generator):
    return float(((scores - scores.min()) / (scores.max() - scores.min())).mean())


@few_grades.also_correct
def _(scores, grade, budget, generator):
    total = 0.0
    for stratum in scores.argsort().tensor_split(budget):
        item = stratum[torch.randint(len(stratum), (1,), generator=generator)]
        total += len(stratum) * grade(int(item))
    return total / len(scores)


@few_grades.also_correct
def _(scores, grade, budget, generator):
    import numpy as np

    order = scores.double().numpy().argsort()
    places = ((np.arange(budget) + 0.5) * len(scores) / budget).astype(int)
    return np.mean([grade(item) for item in order[places]])


@few_grades.also_correct
def _(scores, grade, budget, generator):
    import numpy as np

    order = scores.argsort().tolist()
    places = torch.randperm(len(scores), generator=generator)[:budget].sort().values.tolist()
    grades = [grade(order[place]) for place in places]
    return np.interp(np.arange(len(scores)), places, grades).mean()
