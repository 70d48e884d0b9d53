"""Check that a lesson runs, and that it stays within the time and memory of its profile."""

from collections.abc import Callable, Iterator

from studium.authoring.findings import Finding
from studium.authoring.lesson_run import BUDGETS, Budget, LessonRun
from studium.authoring.subject import Subject
from studium.topics.profiles import Profile


def lesson(subject: Subject) -> Finding:
    """Check that the lesson runs before anything is solved, that every check passes once it is, and that it stays in
    budget.
    """
    run, budget = subject.lesson_run, BUDGETS[subject.profile.name]
    summary = f"runs in {run.seconds:.1f} s with at most {run.peak_mb:.0f} MB at {subject.profile.name}"
    return Finding(
        list(_problems(run, budget, subject.profile, subject.place)),
        f"{summary} ({budget.lesson:g} s, {budget.memory_mb:g} MB)",
    )


def _what_to_do(problem: str) -> str:
    if problem.startswith("NotImplementedError"):
        return "it calls an answer that is not written yet; wrap the name in lesson.mine(…) there"
    return f"{problem}; correct it"


def _problems(run: LessonRun, budget: Budget, profile: Profile, place: Callable[[str], str]) -> Iterator[str]:
    if run.ended:
        edition = run.events[-1].edition if run.events else "lesson"
        where = f", in {place(run.events[-1].cell)}" if run.events else ""
        remedy = "make that cell lighter" if "was stopped" in run.ended else "correct it"
        yield (
            f"the {edition} must run to its end in {budget.lesson:g} s at {profile.name}: "
            f"it {run.ended}{where}; {remedy}"
        )
        return
    for event in run.events:
        if event.problem:
            yield f"the {event.edition} must run: {place(event.cell)}: {_what_to_do(event.problem)}"
    slowest = max(run.events, key=lambda event: event.seconds)  # the setup cell is always there
    if run.seconds > budget.lesson:
        yield (
            f"the lesson may take {budget.lesson:g} s at {profile.name}: it took {run.seconds:.0f} s, "
            f"{slowest.seconds:.0f} s of them in {place(slowest.cell)}; make it lighter with profile.choose"
        )
    elif slowest.seconds > budget.cell:
        yield (
            f"a cell may take {budget.cell:g} s at {profile.name}: {place(slowest.cell)} took {slowest.seconds:.0f} s; "
            "make it lighter with profile.choose"
        )
    if run.peak_mb > budget.memory_mb:
        yield (
            f"the lesson may take {budget.memory_mb:g} MB at {profile.name}: it took {run.peak_mb:.0f} MB, reached in "
            f"{place(max(run.events, key=lambda event: event.peak_mb).cell)}; make it lighter with profile.choose"
        )
