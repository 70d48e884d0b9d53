"""The negative control of claims: what building blocks that do nothing bear out as well is no claim about them."""

from collections.abc import Iterator

from studium.authoring.control_process import ALL, Controlled, fails
from studium.authoring.findings import Finding
from studium.authoring.forked import child
from studium.authoring.subject import Subject
from studium.claims import Claim, experiments
from studium.errors import TopicError

_CLEARLY = 0.7  # of the larger of two numbers: a bound may be generous, but not hold where so much is lost
_WHY = "[standard.md#claims-that-can-fail]"


def control(subject: Subject) -> Finding:
    """Run each experiment with building blocks that do nothing, and see that its claims can fail."""
    slug = subject.topic.slug
    if not subject.topic.claims:
        return Finding([], "there are no claims")
    found = child("studium.authoring.control_process", [slug], list[Controlled], f"the experiments of {slug}")
    both = [(one, claims) for one, (_, claims) in zip(found, experiments(subject.topic), strict=True)]
    problems = [said for one, claims in both for said in list(_constant(one, claims)) or _unmoved(one, claims)]
    if found and not any(one.blocks for one in found):
        problems.append(
            "the experiments must run the learner's building blocks: none takes an exercise of this topic as an "
            f"argument; take those that the claims are about {_WHY}"
        )
    measured = _measured(subject)
    advice = [said for one, claims in both for said in _far(one, claims, measured)]
    return Finding(problems, _summary(found), advice=advice)


def _measured(subject: Subject) -> dict[str, float]:
    """Return what the claims measure that are judged at this profile; the others' numbers hang on chance."""
    try:
        return {row.claim: row.measured for row in subject.measured if row.holds is not None}
    except TopicError:  # an experiment fails, as the check `claims` says
        return {}


def _summary(found: list[Controlled]) -> str:
    failed = [one.experiment for one in found if one.blocks and not one.runs.get(ALL)]
    summary = f"{len(found)} experiments do not bear out their claims with building blocks that do nothing"
    return summary + (f"; with them, {', '.join(failed)} failed or took too long" if failed else "")


def _constant(one: Controlled, claims: list[Claim]) -> Iterator[str]:
    for claim, value in zip(claims, one.of_nothing, strict=True):
        if value is not None:
            yield (
                f"the claim {claim.text!r} must be read off the result of {one.experiment}: its measure gives "
                f"{value:.4g} for any object; measure what the claim says {_WHY}"
            )


def _unmoved(one: Controlled, claims: list[Claim]) -> Iterator[str]:
    """Say that an experiment calls no block, or that nothing changes for its claims when blocks are idle."""
    idle = one.runs.get(ALL)
    if idle is not None and not idle.calls:
        yield (
            f"the experiment {one.experiment} must run the learner's building blocks: it takes "
            f"{', '.join(one.blocks)} and calls none; use them in the place of code of its own {_WHY}"
        )
    elif one.runs and all(run and not any(map(fails, claims, run.values)) for run in one.runs.values()):
        texts = "; ".join(f"{claim.text!r}" for claim in claims)
        yield (
            f"a claim of {one.experiment} must fail if its building blocks do nothing: with zeros from "
            f"{', '.join(one.blocks)}, all hold: {texts}; choose a measure, or a bound, that the blocks decide {_WHY}"
        )


def _far(one: Controlled, claims: list[Claim], measured: dict[str, float]) -> Iterator[str]:
    """Say which bounds lie beyond what idle blocks give, while those that work give much more."""
    idle = one.runs.get(ALL)
    for claim, bad in zip(claims, idle.values if idle else (), strict=bool(idle)):
        good = measured.get(claim.text)
        if good is None or bad is None or fails(claim, good) or fails(claim, bad):
            continue
        lost = bad - good if claim.at_least is None else good - bad
        if lost > _CLEARLY * max(abs(good), abs(bad)):
            yield (
                f"the bound of the claim {claim.text!r} lies too far away: {claim.threshold:.4g}, where {good:.4g} is "
                f"measured, and {bad:.4g} if the building blocks do nothing; set it between these two {_WHY}"
            )
