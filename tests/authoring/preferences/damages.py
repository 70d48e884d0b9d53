"""What a stranger did to a topic of their own: 27 damages, each with the check that has to notice it, or none."""

from __future__ import annotations

from dataclasses import dataclass

PROBLEM, ADVICE, READER = "problem", "advice", "reader"


@dataclass(frozen=True)
class Harm:
    """One damage: ``edits`` are made in ``file``, new text for old. The ``check`` then prints ``says``, as ``kind``.

    ``check`` and ``says`` are empty where only a reader can see it. ``before`` has what the stranger met: "caught",
    "advised" or "missed". ``exercise`` is the one that the check may be limited to, "" for all.
    """

    name: str
    before: str
    kind: str
    check: str
    says: str
    file: str
    edits: dict[str, str]
    exercise: str = ""


SCORE, LOSS = "exercises/answer_score.py", "exercises/dpo_loss.py"
EXPERIMENT, LESSON, REFERENCE = "experiment.py", "lesson.py", "reference.py"
_HIDDEN_HEAD = """def equation_7(dpo_loss, rng):
    for batch, beta in ((4, 0.3), (7, 1.7), (3, 400.0)):
        pc, pr, rc, rr = torch.randn(4, batch, generator=rng)
"""
_HIDDEN_LOSS = """        expected = beta * (pc - rc) - beta * (pr - rr)
        loss, margins = dpo_loss(pc, pr, rc, rr, beta)
        assert_close(margins, expected, rtol=1e-4, atol=1e-4, message="the margins")
        assert_close(loss, torch.logaddexp(-expected, torch.zeros(batch)).mean(), message="the loss")
"""
_HIDDEN_SCORE = """        expected = torch.ones((), dtype=torch.float64)
        for place in range(length):
            weights = logits[row, place].exp()
            expected = expected * weights[tokens[row, place]] / weights.sum()
        assert_close(given[row], expected.log(), message=f"the answer of {length} tokens")
"""
_GRADIENTS = """@dpo_loss.hidden("can be trained on", points=2)
def gradients(dpo_loss, rng):
    pc, pr, rc, rr = torch.randn(4, 5, generator=rng, dtype=torch.float64)
    pc.requires_grad_(), pr.requires_grad_()
    pull = torch.sigmoid(-0.3 * (pc - rc - pr + rr)).detach() * 0.3 / 5
    inputs, pulls = {"chosen": pc, "rejected": pr}, {"chosen": -pull, "rejected": pull}
    assert_gradients(dpo_loss(pc, pr, rc, rr, 0.3)[0], inputs, pulls)


"""
_VISIBLE_LOSS = """    loss, margins = dpo_loss(*torch.tensor([[-3.0], [-2.0], [-4.0], [-2.5]]), 0.5)
    assert_close(margins, torch.tensor([0.25]), message="the margin")
    assert_close(loss, torch.tensor(0.5759), atol=1e-4, rtol=0, message="the loss")
"""
_OTHER = """    margins = beta * (chosen - rejected) - beta * (reference_chosen - reference_rejected)
    return F.binary_cross_entropy_with_logits(margins, torch.ones_like(margins)), margins
"""
_SOLUTION = """    better = chosen - reference_chosen
    worse = rejected - reference_rejected
    margins = beta * (better - worse)
    return -F.logsigmoid(margins).mean(), margins
"""
_NO_REFERENCE = "You left out the reference; the loss compares each log-probability with the reference's."
_EXCHANGED = "You exchanged the two answers; the margin is positive if the policy prefers the better one."
_END = """# It gets most of the new pairs right, though nobody ever gave a mark.
"""
_SCORE_END = "    * returns: (batch,)\n"
_RESULT = "lambda result: result.right"

HARMS = (
    Harm(
        "a hidden test only calls the function",
        "caught",
        PROBLEM,
        "tests can fail",
        "the test 'scores each answer of a batch by its own tokens' of answer_score must be able to fail",
        SCORE,
        {_HIDDEN_SCORE: "        assert given is not None, length\n"},
        "answer_score",
    ),
    Harm(
        "a misconception is the solution in other words",
        "caught",
        PROBLEM,
        "misconceptions",
        "must fail a test: it passes all of them",
        SCORE,
        {
            'by="(picked * mask).mean(-1)"': 'by="torch.where(mask, picked, 0.0).sum(dim=1)"',
        },
        "answer_score",
    ),
    Harm(
        "a test draws from Python's global generator",
        "caught",
        PROBLEM,
        "repeatability",
        "it draws from Python's global generator",
        SCORE,
        {"    logits = 3 * torch.randn(": "    logits = __import__('random').random() * torch.randn("},
        "answer_score",
    ),
    Harm(
        "a test fails one time in 40",
        "caught",
        PROBLEM,
        "solutions",
        "says: unlucky",
        LOSS,
        {
            "    pc, pr, rc, rr = torch.randn(4, 5,": '    assert torch.rand((), generator=rng) > 0.025, "unlucky"\n'
            "    pc, pr, rc, rr = torch.randn(4, 5,",
        },
        "dpo_loss",
    ),
    Harm(
        "the experiment imports reference.py",
        "caught",
        PROBLEM,
        "imports",
        "reference",
        EXPERIMENT,
        {
            "import Claim, Profile\n": "import Claim, Profile\n\n"
            "from studium_topic_preferences.reference import dpo_loss  # noqa: F401\n",
        },
    ),
    Harm(
        "the statement says that an argument stays as it is, and no test looks",
        "advised",
        ADVICE,
        "promises",
        "a version that changes `mask`",
        SCORE,
        {_SCORE_END: _SCORE_END + "\n    The mask stays as it is.\n"},
        "answer_score",
    ),
    Harm(
        "the lesson fills in the learner's guess",
        "advised",
        ADVICE,
        "lesson forms",
        "must leave the guess to the learner",
        LESSON,
        {'"right", ...,': '"right", 0.9,'},
    ),
    Harm(
        "a claim measures a constant",
        "missed",
        PROBLEM,
        "control",
        "its measure gives 1 for any object",
        EXPERIMENT,
        {_RESULT: "lambda result: 1.0"},
    ),
    Harm(
        "a claim's bound is -1 where 0.9 is measured",
        "missed",
        PROBLEM,
        "control",
        "must fail if its building blocks do nothing",
        EXPERIMENT,
        {"at_least=0.7": "at_least=-1.0"},
    ),
    Harm(
        "the experiment has a loop of its own and never calls the learner's functions",
        "missed",
        PROBLEM,
        "control",
        "calls none of them",
        EXPERIMENT,
        {
            "    tokens, mask = both\n": "    from torch.nn.functional import logsigmoid\n\n"
            "    tokens, mask = both\n    points = (table.log_softmax(-1)"
            ".expand(len(t), -1, -1).gather(2, t[..., None])[..., 0] * m for t, m in zip(tokens, mask, strict=True))\n"
            "    better, worse = (point.sum(-1) for point in points)\n"
            "    base = (mask[0].sum(-1) - mask[1].sum(-1)) * torch.tensor(float(VOCABULARY)).log()\n"
            "    return -logsigmoid(BETA * (better - worse + base)).mean(), better - worse + base\n"
        },
    ),
    Harm(
        "the lesson's code has a complete answer in other words",
        "missed",
        PROBLEM,
        "secrecy",
        "must not give away the solution of dpo_loss: `def objective(",
        LESSON,
        {
            "experiment import tuned\n": "experiment import tuned\n\nimport torch\n\n\n"
            "def objective(w, l, w0, l0, b):\n    gain = b * (w - l - w0 + l0)\n"
            "    return torch.nn.functional.softplus(-gain).mean(), gain\n"
        },
    ),
    Harm(
        "a hint is the answer in one line",
        "missed",
        PROBLEM,
        "secrecy",
        "hint 1 of answer_score must not give away the solution",
        SCORE,
        {
            "How likely is a text whose tokens are drawn one after the other?": "Is it "
            "`(logits.log_softmax(-1).gather(2, tokens.unsqueeze(2)).squeeze(2) * mask).sum(1)`?",
        },
        "answer_score",
    ),
    Harm(
        "a hidden test repeats the visible one",
        "missed",
        PROBLEM,
        "copies",
        "both are the same code",
        LOSS,
        {_HIDDEN_HEAD + _HIDDEN_LOSS: "def equation_7(dpo_loss, rng):\n" + _VISIBLE_LOSS},
    ),
    Harm(
        "a hidden test computes the expected value with the solution's own lines",
        "missed",
        PROBLEM,
        "copies",
        "must compute the expected value differently from the solution",
        SCORE,
        {
            "    for row, length in enumerate(lengths):\n"
            + _HIDDEN_SCORE: "    mask = torch.arange(5) < lengths[:, None]\n"
            "    sure = torch.log_softmax(logits, dim=-1)\n"
            "    own = sure.gather(-1, tokens[..., None]).squeeze(-1)\n"
            "    assert_close(given, (own * mask).sum(-1))\n"
        },
    ),
    Harm(
        "an `also_correct` is the solution",
        "missed",
        PROBLEM,
        "copies",
        "it is the same code as the solution",
        LOSS,
        {_OTHER: _SOLUTION.replace("better", "won").replace("worse", "lost")},
    ),
    Harm(
        "reference.py imports the exercises",
        "missed",
        PROBLEM,
        "copies",
        "it imports answer_score, dpo_loss from exercises.py",
        REFERENCE,
        {
            "def answer_score(": "from studium_topic_preferences.exercises "
            "import answer_score, dpo_loss  # noqa: E402\n\n\ndef _answer_score(",
            "def dpo_loss(": "def _dpo_loss(",
        },
    ),
    Harm(
        "the statement promises gradients, and no test looks",
        "missed",
        ADVICE,
        "promises",
        "dpo_loss is a loss, but a version that computes it without its gradient earns full marks",
        LOSS,
        {_GRADIENTS: "", 'large margins", points=2)': 'large margins", points=4)'},
        "dpo_loss",
    ),
    Harm(
        "the statement promises 0 in an edge case, and no test reaches it",
        "missed",
        ADVICE,
        "promises",
        "with NaN for each 0 and 0 for each NaN",
        SCORE,
        {_SCORE_END: _SCORE_END.rstrip() + ", 0 where an answer has no token, never NaN\n"},
        "answer_score",
    ),
    Harm(
        "a hidden test looks only at a sign",
        "missed",
        ADVICE,
        "mutants",
        "of dpo_loss tests too little: it passes results that are off",
        LOSS,
        {_HIDDEN_LOSS: '        assert dpo_loss(pc, pr, rc, rr, beta)[0] > 0, "the loss must be positive"\n'},
        "dpo_loss",
    ),
    Harm(
        "a hidden test allows a deviation of half the value",
        "missed",
        PROBLEM,
        "tolerances",
        "the tolerance of the test 'scores each answer of a batch by its own tokens' of answer_score is too loose",
        SCORE,
        {"expected.log(), message=": "expected.log(), rtol=0.5, atol=0, message="},
        "answer_score",
    ),
    Harm(
        "the first hint tells the answer in words",
        "missed",
        READER,
        "",
        "",
        LOSS,
        {
            "With what does DPO compare an answer's log-probability?": "What if you subtract both references, take "
            "the difference, scale it by beta, and average its negative log-sigmoid?",
        },
    ),
    Harm(
        "the prose tells the answer in words",
        "missed",
        READER,
        "",
        "",
        LESSON,
        {
            _END: _END
            + "# The loss subtracts the reference from each log-probability, takes the difference of the two results,\n"
            "# scales it by beta, and averages its negative log-sigmoid.\n"
        },
    ),
    Harm(
        "the sentences of two misconceptions are exchanged",
        "missed",
        READER,
        "",
        "",
        LOSS,
        {_NO_REFERENCE: _EXCHANGED, _EXCHANGED: _NO_REFERENCE},
    ),
    Harm(
        "a test's name is untrue",
        "missed",
        READER,
        "",
        "",
        SCORE,
        {"scores each answer of a batch by its own tokens": "keeps the mask of each answer"},
    ),
    Harm("the prose says bits where nats are meant", "missed", READER, "", "", LESSON, {"in nats": "in bits"}),
    Harm(
        "the prose has another number than the output",
        "missed",
        READER,
        "",
        "",
        LESSON,
        {"It gets most of the new pairs right": "It gets 45 of 100 new pairs right"},
    ),
    Harm(
        "the lesson shows the full formula",
        "missed",
        READER,
        "",
        "",
        LESSON,
        {
            "the pair's **margin**, in nats.\n": "the pair's **margin**, in nats. The loss is\n#\n"
            "# $$-\\log \\sigma\\big(\\beta\\,((c - c_0) - (r - r_0))\\big).$$\n"
        },
    ),
)
