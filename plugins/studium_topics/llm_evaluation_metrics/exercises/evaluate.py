import math

import torch
from studium import assert_close, exercise

from studium_topics.llm_evaluation_metrics.exercises.choice_logprobs import choice_logprobs
from studium_topics.llm_evaluation_metrics.exercises.paired_interval import paired_interval
from studium_topics.llm_evaluation_metrics.exercises.pass_at_k import pass_at_k
from studium_topics.llm_evaluation_metrics.items import Choice, Writing


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    hints=(
        "Each item gives each model one number from 0 to 1. What is a model's score, and what does your interval need?",
        "First compute the numbers of one model on one task. Keep those of the first model, and compare every later "
        "model with them.",
        "For your interval, make the numbers a column and put a column of ones next to it: (N, 2). The score is then "
        "the first sum divided by the second.",
        "`isinstance(item, Writing)` tells the two kinds of item apart; `item.count_correct(model)` is c.",
    ),
)
def evaluate(models, tasks, draws, generator):
    """Return a report on several models: one row for each task and model, in the given order.

    * models: a dict, name to model; the first is the baseline
    * tasks: a dict, name to a list of items, perhaps of both kinds

    The value of an item for a model: for a `Choice`, 1 if the right choice has the highest
    log-probability *per token*, else 0; for a `Writing`, its pass@k.

    * returns: a list of dicts with `task`, `model`, `score` (the mean value), `lead`, `low`
      and `high` (your interval over the baseline), and `verdict`

    | verdict | when |
    |---|---|
    | `"baseline"` | the first model; lead, low and high are 0 |
    | `"better"` | low > 0 |
    | `"worse"` | high < 0 |
    | `"undecided"` | otherwise |
    """
    ### BEGIN SOLUTION
    rows = []
    for task, items in tasks.items():
        baseline = None
        for name, model in models.items():
            values = []
            for item in items:
                if isinstance(item, Writing):
                    values.append(pass_at_k(item.samples, item.count_correct(model), item.k))
                else:
                    logprobs = choice_logprobs(model, item.context, item.choices)
                    lengths = torch.tensor([len(choice) for choice in item.choices])
                    values.append(float((logprobs / lengths).argmax() == item.answer))
            counts = torch.tensor([[value, 1.0] for value in values], dtype=torch.float64)
            lead, low, high, verdict = 0.0, 0.0, 0.0, "baseline"
            if baseline is None:
                baseline = counts
            else:
                lead, low, high = paired_interval(baseline, counts, lambda sums: sums[0] / sums[1], draws, generator)
                verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
            score = sum(values) / len(values)
            row = {"task": task, "model": name, "score": score, "lead": lead, "low": low, "high": high}
            rows.append(row | {"verdict": verdict})
    return rows
    ### END SOLUTION


@evaluate.test("reports two models on ranking: scores, lead and verdict", points=2)
def _(evaluate, rng):
    vocabulary = 8
    table = 3 * torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64)
    good, bad = (lambda ids: table[ids]), (lambda ids: -table[ids])
    items = []
    for number in range(21):
        context = torch.randint(vocabulary, (3,), generator=rng)
        likely = table[context[-1]].topk(3).indices
        choices = (likely[:1], torch.stack([likely[1], table[likely[1]].argmin()]), table[context[-1]].argmin()[None])
        items.append(Choice(context, choices[number % 3 :] + choices[: number % 3], (1, 2, 1), -number % 3))
    report = evaluate({"bad": bad, "good": good, "again": bad}, {"next": items}, 50, rng)
    names = [(row["task"], row["model"], row["verdict"]) for row in report]
    assert names == [("next", "bad", "baseline"), ("next", "good", "better"), ("next", "again", "undecided")], (
        f"the rows must be bad (baseline), good (better), again (undecided), got {names}"
    )
    assert_close(float(report[1]["score"]), 1.0, atol=1e-6, message="the score of the good model")
    first = [float(report[0][key]) for key in ("lead", "low", "high")]
    assert_close(first, [0.0, 0.0, 0.0], atol=1e-6, message="lead, low and high of the baseline")
    lead, score = float(report[1]["lead"]), float(report[1]["score"]) - float(report[0]["score"])
    assert_close(lead, score, atol=1e-6, message="the lead of the good model")


@evaluate.hidden("values ranking by log-probability per token and writing by pass@k, task by task", points=2)
def _(evaluate, rng):
    vocabulary = 6
    tables = {name: torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64) for name in "pqr"}
    models = {name: (lambda ids, table=table: table[ids]) for name, table in tables.items()}

    def choices(number, longest):
        items = []
        for _ in range(number):
            lengths = torch.randint(1, longest + 1, (4,), generator=rng).tolist()
            parts = tuple(torch.randint(vocabulary, (length,), generator=rng) for length in lengths)
            answer = int(torch.randint(4, (), generator=rng))
            sizes = tuple(torch.randint(1, 20, (4,), generator=rng).tolist())
            items.append(Choice(torch.randint(vocabulary, (2,), generator=rng), parts, sizes, answer))
        return items

    def writings(number):
        start = torch.randint(vocabulary, (number, 3), generator=rng)
        after = torch.randint(vocabulary, (number, 1), generator=rng)
        return [Writing(start[i], after[i], 9 + i % 3, 2 + i % 4, 100 + i) for i in range(number)]

    tasks = {"long": choices(20, 6), "write": writings(10), "mixed": [*choices(5, 3), *writings(4), *choices(3, 2)]}
    report = evaluate(models, tasks, 20, rng)
    assert len(report) == 9, f"three tasks and three models make 9 rows, got {len(report)}"
    where = iter(report)
    for task, items in tasks.items():
        base = None
        for name, table in tables.items():
            row, logs, total = next(where), table.log_softmax(-1), 0.0
            assert (row["task"], row["model"]) == (task, name), f"task by task, each with the models in order: {row}"
            for item in items:
                if isinstance(item, Choice):
                    means = []
                    for part in item.choices:
                        path = [int(item.context[-1]), *part.tolist()]
                        means.append(float(logs[path[:-1], path[1:]].mean()))
                    total += means.index(max(means)) == item.answer
                else:
                    wrong = item.samples - item.count_correct(models[name])
                    total += 1 - math.comb(wrong, item.k) / math.comb(item.samples, item.k)
            score = total / len(items)
            base = score if base is None else base
            assert_close(float(row["score"]), score, atol=1e-6, message=f"the score of {name} at {task}")
            assert_close(float(row["lead"]), score - base, atol=1e-6, message=f"the lead of {name} at {task}")


@evaluate.hidden("judges each model against the first, by a paired interval", points=2)
def _(evaluate, rng):
    table = torch.randn(12, 12, generator=rng, dtype=torch.float64)
    other = table.clone()
    other[0] = -table[0]
    items = []
    for start in range(12):  # the second model is right once where the first is wrong, and both are right elsewhere
        best, worst = (other[start].topk(2, largest=largest).indices[:1] for largest in (True, False))
        items.append(Choice(torch.tensor([start]), (worst, best), (1, 1), 1))
    for models, lead in (((table, other), 1 / 12), ((other, table), -1 / 12)):
        both = {name: (lambda ids, rows=rows: rows[ids]) for name, rows in zip("ab", models, strict=True)}
        row = evaluate(both, {"task": items}, 200, rng)[1]
        assert_close(float(row["lead"]), lead, atol=1e-6, message="the lead where 1 of 12 items differs")
        what = f"one item of 12 decides nothing: with low {row['low']:.3f} and high {row['high']:.3f}"
        assert row["verdict"] == "undecided", f"{what} the verdict is 'undecided', got {row['verdict']!r}"
    vocabulary = 12
    table = 2 * torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64)
    noise = torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64)
    models = {
        "base": lambda ids: table[ids] + 2.0 * noise[ids],
        "best": lambda ids: table[ids],
        "twin": lambda ids: table[ids] + 1.8 * noise[ids],
        "worst": lambda ids: -table[ids],
    }
    items = []
    for _ in range(60):
        context = torch.randint(vocabulary, (1,), generator=rng)
        picked = torch.randperm(vocabulary, generator=rng)[:4]
        answer = int(table[context[0], picked].argmax())
        items.append(Choice(context, tuple(picked[:, None]), (1, 1, 1, 1), answer))
    report = {row["model"]: row for row in evaluate(models, {"task": items}, 300, rng)}

    def right(model):
        hits = [
            int(model(item.context[None])[0, -1][torch.cat(item.choices)].argmax()) == item.answer for item in items
        ]
        return torch.tensor(hits, dtype=torch.float64)

    for name in ("best", "twin", "worst"):
        gaps, row = right(models[name]) - right(models["base"]), report[name]
        error = float(gaps.std()) / len(items) ** 0.5
        for key, sign in (("low", -1.96), ("high", 1.96)):
            expected = float(gaps.mean()) + sign * error
            assert_close(float(row[key]), expected, rtol=0.0, atol=0.7 * error + 0.012, message=f"{key} of {name}")
        low, high = float(row["low"]), float(row["high"])
        verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
        assert row["verdict"] == verdict, f"[{low:.3f}, {high:.3f}] means {verdict}, got {row['verdict']!r}"
    verdicts = (report["best"]["verdict"], report["worst"]["verdict"])
    assert verdicts == ("better", "worse"), f"best and worst must be told from the baseline, got {verdicts}"


@evaluate.misconception(
    "You ranked the choices by the log-probability of the whole choice. Each extra token lowers it, so short choices "
    "win; divide by the number of tokens.",
    name="ranked-by-the-sum",
)
def _(models, tasks, draws, generator):
    class Summed(Writing):
        def count_correct(self, model):
            item = self.answer
            return int(choice_logprobs(model, item.context, item.choices).argmax() == item.answer)

    summed = {
        task: [item if isinstance(item, Writing) else Summed(item.context, item, 1, 1, 0) for item in items]
        for task, items in tasks.items()
    }
    return evaluate(models, summed, draws, generator)


@evaluate.misconception(
    "You divided by `sizes`, the bytes of the choices; divide by the number of tokens instead.",
    name="ranked-per-byte",
)
def _(models, tasks, draws, generator):
    class PerByte(Writing):
        def count_correct(self, model):
            item = self.answer
            scores = choice_logprobs(model, item.context, item.choices) / torch.tensor(item.sizes)
            return int(scores.argmax() == item.answer)

    per_byte = {
        task: [item if isinstance(item, Writing) else PerByte(item.context, item, 1, 1, 0) for item in items]
        for task, items in tasks.items()
    }
    return evaluate(models, per_byte, draws, generator)


@evaluate.misconception(
    "You returned the share of correct samples for a `Writing`, which is pass@1; compute pass@k with the item's own k.",
    name="pass-at-one",
)
def _(models, tasks, draws, generator):
    single = {
        task: [
            Writing(item.context, item.answer, item.samples, 1, item.seed) if isinstance(item, Writing) else item
            for item in items
        ]
        for task, items in tasks.items()
    }
    return evaluate(models, single, draws, generator)


@evaluate.misconception(
    "You compared each model with the one before it; compare it with the first model, the baseline.",
    name="compared-with-the-previous",
)
def _(models, tasks, draws, generator):
    rows, names = [], list(models)
    for task, items in tasks.items():
        rows += evaluate({names[0]: models[names[0]]}, {task: items}, draws, generator)
        for number in range(1, len(names)):
            pair = {name: models[name] for name in names[number - 1 : number + 1]}
            rows.append(evaluate(pair, {task: items}, draws, generator)[1])
    return rows


@evaluate.misconception(
    "You took the verdict from the sign of the lead; a lead whose interval contains 0 decides nothing.",
    name="verdict-from-the-lead",
)
def _(models, tasks, draws, generator):
    rows = evaluate(models, tasks, draws, generator)
    for row in rows:
        if row["verdict"] != "baseline":
            row["verdict"] = "better" if row["lead"] > 0 else "worse"
    return rows


@evaluate.misconception(
    "You returned the lead of the baseline over the model; the lead is positive where the model is better.",
    name="lead-of-the-baseline",
)
def _(models, tasks, draws, generator):
    turned = {"better": "worse", "worse": "better"}
    return [
        row
        | {"lead": -row["lead"], "low": -row["high"], "high": -row["low"]}
        | {"verdict": turned.get(row["verdict"], row["verdict"])}
        for row in evaluate(models, tasks, draws, generator)
    ]


@evaluate.misconception(
    "You looped over models outside and tasks inside; go task by task, which puts the rows to compare next to each "
    "other.",
    name="model-by-model",
)
def _(models, tasks, draws, generator):
    rows = evaluate(models, tasks, draws, generator)
    return [row for name in models for row in rows if row["model"] == name]


@evaluate.also_correct
def _(models, tasks, draws, generator):
    def value(model, item):
        if isinstance(item, Choice):
            scores = [
                float(x) / len(c)
                for x, c in zip(choice_logprobs(model, item.context, item.choices), item.choices, strict=True)
            ]
            return float(scores.index(max(scores)) == item.answer)
        return float(pass_at_k(item.samples, item.count_correct(model), item.k))

    def mean(sums):
        return sums[0] / sums[1]

    report = []
    for task, items in tasks.items():
        columns = [torch.tensor([[value(model, item), 1] for item in items]).double() for model in models.values()]
        for number, (name, column) in enumerate(zip(models, columns, strict=True)):
            row = {"task": task, "model": name, "score": mean(column.sum(0).tolist())}
            row.update(lead=0, low=0, high=0, verdict="baseline")
            if number > 0:
                row["lead"], row["low"], row["high"] = paired_interval(columns[0], column, mean, draws, generator)
                row["verdict"] = "undecided"
                if row["low"] > 0:
                    row["verdict"] = "better"
                if row["high"] < 0:
                    row["verdict"] = "worse"
            report.append(row)
    return report


@evaluate.also_correct
def _(models, tasks, draws, generator):
    rows, first = [], {}
    for task in tasks:
        for name in models:
            total, values = 0.0, []
            for item in tasks[task]:
                if hasattr(item, "choices"):
                    logprobs = choice_logprobs(models[name], item.context, item.choices)
                    best = max(range(len(item.choices)), key=lambda i: float(logprobs[i]) / len(item.choices[i]))
                    got = 1.0 if best == item.answer else 0.0
                else:
                    got = pass_at_k(item.samples, item.count_correct(models[name]), item.k)
                values.append([got])
                total += got
            values = torch.tensor(values, dtype=torch.float64)
            first.setdefault(task, values)
            size = len(values)
            lead = paired_interval(first[task], values, lambda sums, size=size: sums[0] / size, draws, generator)
            verdict = "baseline" if values is first[task] else "undecided"
            if verdict == "undecided" and lead[1] > 0:
                verdict = "better"
            elif verdict == "undecided" and lead[2] < 0:
                verdict = "worse"
            rows.append(
                dict(
                    zip(
                        ("task", "model", "score", "lead", "low", "high"),
                        (task, name, total / size, *lead),
                        strict=True,
                    )
                )
            )
            rows[-1]["verdict"] = verdict
    return rows


evaluate.equivalent("values.append(((logprobs / lengths).argmax() == item.answer))", "True counts as 1 and False as 0")


evaluate.equivalent(
    "counts = torch.tensor([[value, 1.0] for value in values])", "float32 is precise enough for counts up to thousands"
)

evaluate.equivalent(
    "counts = torch.tensor([[value, 1.0] for value in values], dtype=torch.float32)",
    "float32 is precise enough for counts up to thousands",
)
