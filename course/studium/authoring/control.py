"""The negative control of claims: a claim that also holds with building blocks that do nothing proves nothing."""

from collections.abc import Iterator

from studium.authoring.apart import told_apart
from studium.authoring.control_process import ALL, Controlled, fails
from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.errors import TopicError
from studium.experiments.building_blocks import experiments
from studium.topics.claims import Claim

_CLEARLY = 0.7  # share of the larger of two numbers: a bound may be generous, but must not hold once this much is lost
_WHY = "[standard.md#claims-that-can-fail]"


def control(subject: Subject) -> Finding:
    """Run each experiment with building blocks that do nothing, and check that its claims can fail."""
    slug = subject.topic.slug
    if not subject.topic.claims:
        return Finding([], "there are no claims")
    found = told_apart("studium.authoring.control_process", (slug,), Controlled, f"the experiments of {slug}")
    both = [(one, claims) for one, (_, claims) in zip(found, experiments(subject.topic), strict=True)]
    problems = [said for one, claims in both for said in list(_constant(one, claims)) or _unmoved(one, claims)]
    if found and not any(one.blocks for one in found):
        problems.append(
            "the experiments must run the learner's building blocks: none takes an exercise of this topic as an "
            f"argument; pass in those that the claims are about {_WHY}"
        )
    measured = _measured(subject)
    advice = [said for one, claims in both for said in _far(one, claims, measured)]
    return Finding(problems, _summary(found), advice=advice)


def _measured(subject: Subject) -> dict[str, float]:
    """Return what the claims judged at this profile measure; the numbers of the others depend on chance."""
    try:
        return {row.claim: row.measured for row in subject.measured if row.holds is not None}
    except TopicError:  # if an experiment fails, the check `claims` reports it
        return {}


def _summary(found: list[Controlled]) -> str:
    failed = [one.experiment for one in found if one.blocks and not one.runs.get(ALL)]
    summary = f"{len(found)} experiments fail their claims when building blocks do nothing, as they should"
    return summary + (f"; with them, {', '.join(failed)} failed or took too long" if failed else "")


def _constant(one: Controlled, claims: list[Claim]) -> Iterator[str]:
    for claim, value in zip(claims, one.of_nothing, strict=True):
        if value is not None:
            yield (
                f"the claim {claim.text!r} must be measured from the result of {one.experiment}: its measure gives "
                f"{value:.4g} for any object; measure what the claim states {_WHY}"
            )


def _unmoved(one: Controlled, claims: list[Claim]) -> Iterator[str]:
    """Report an experiment that calls no block, or whose claims do not change when its blocks are idle."""
    idle = one.runs.get(ALL)
    if idle is not None and not idle.calls:
        yield (
            f"the experiment {one.experiment} must run the learner's building blocks: it takes "
            f"{', '.join(one.blocks)} but calls none of them; use them instead of the experiment's own code {_WHY}"
        )
    elif one.runs and all(run and not any(map(fails, claims, run.values)) for run in one.runs.values()):
        texts = "; ".join(f"{claim.text!r}" for claim in claims)
        yield (
            f"a claim of {one.experiment} must fail if its building blocks do nothing: with zeros from "
            f"{', '.join(one.blocks)}, all of them hold: {texts}; choose a measure or a bound that depends on the "
            f"blocks {_WHY}"
        )


def _far(one: Controlled, claims: list[Claim], measured: dict[str, float]) -> Iterator[str]:
    """Report bounds that idle blocks miss by far and that working blocks exceed by far."""
    idle = one.runs.get(ALL)
    for claim, bad in zip(claims, idle.values if idle else (), strict=bool(idle)):
        good = measured.get(claim.text)
        if good is None or bad is None or fails(claim, good) or fails(claim, bad):
            continue
        lost = bad - good if claim.at_least is None else good - bad
        if lost > _CLEARLY * max(abs(good), abs(bad)):
            yield (
                f"the bound of the claim {claim.text!r} is too loose: it is {claim.threshold:.4g}, while {good:.4g} "
                f"is measured, and {bad:.4g} if the building blocks do nothing; set it between these two {_WHY}"
            )
