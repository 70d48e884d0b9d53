"""The negative control of claims: what building blocks that do nothing bear out as well is no claim about them."""

from collections.abc import Iterator

from studium.authoring.control_process import ALL, AS_IT_IS, Controlled, fails
from studium.authoring.findings import Finding
from studium.authoring.forked import child
from studium.authoring.subject import Subject
from studium.claims import Claim, experiments

_CLEARLY = 0.5  # of the larger of two numbers: by so much they differ by more than chance at smoke
_WHY = "[standard.md#claims-that-can-fail]"


def control(subject: Subject) -> Finding:
    """Run each experiment with building blocks that do nothing, and see that its claims can fail."""
    slug = subject.topic.slug
    found = child("studium.authoring.control_process", [slug], list[Controlled], f"the experiments of {slug}")
    both = [(one, claims) for one, (_, claims) in zip(found, experiments(subject.topic), strict=True)]
    problems = [said for one, claims in both for said in list(_constant(one, claims)) or _unmoved(one, claims)]
    if found and not any(one.blocks for one in found):
        problems.append(
            "the experiments must run the learner's building blocks: none takes an exercise of this topic as an "
            f"argument; take those that the claims are about {_WHY}"
        )
    advice = [said for one, claims in both for said in _far(one, claims)]
    count = sum(bool(one.blocks) for one in found)
    return Finding(
        problems, f"the claims of {count} experiments fail if their building blocks do nothing", None, advice
    )


def _constant(one: Controlled, claims: list[Claim]) -> Iterator[str]:
    for claim, value in zip(claims, one.of_nothing, strict=True):
        if value is not None:
            yield (
                f"the claim {claim.text!r} must be read off the result of {one.experiment}: its measure gives "
                f"{value:.4g} for any object; measure what the claim says {_WHY}"
            )


def _unmoved(one: Controlled, claims: list[Claim]) -> Iterator[str]:
    """Say that an experiment calls no block, or that nothing changes for its claims when blocks are idle."""
    right, controls = one.runs.get(AS_IT_IS), [run for which, run in one.runs.items() if which != AS_IT_IS]
    if right is not None and not right.calls:
        yield (
            f"the experiment {one.experiment} must run the learner's building blocks: it takes "
            f"{', '.join(one.blocks)} and calls none; use them in the place of code of its own {_WHY}"
        )
    elif controls and all(run and not any(map(fails, claims, run.values)) for run in controls):
        texts = "; ".join(f"{claim.text!r}" for claim in claims)
        yield (
            f"a claim of {one.experiment} must fail if its building blocks do nothing: with zeros from "
            f"{', '.join(one.blocks)}, all hold: {texts}; choose a measure, or a bound, that the blocks decide {_WHY}"
        )


def _far(one: Controlled, claims: list[Claim]) -> Iterator[str]:
    """Say which bounds lie beyond what idle blocks give, while those that work give much more."""
    right, idle = one.runs.get(AS_IT_IS), one.runs.get(ALL)
    if right is None or idle is None:
        return
    for claim, good, bad in zip(claims, right.values, idle.values, strict=True):
        if good is None or bad is None or fails(claim, good) or fails(claim, bad):
            continue
        lost = bad - good if claim.at_least is None else good - bad
        if lost > _CLEARLY * max(abs(good), abs(bad)):
            yield (
                f"the bound of the claim {claim.text!r} lies too far away: {claim.threshold:.4g}, where {good:.4g} is "
                f"measured, and {bad:.4g} if the building blocks do nothing; set it between these two {_WHY}"
            )
