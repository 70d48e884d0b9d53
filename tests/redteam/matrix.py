"""``make redteam``: the attacks on our engine beside stock nbgrader, attack by attack, then in figures for each class.

An attack is *blocked* (no undeserved point, nothing leaked), *unverified* (points only in tests so labelled) or has
*succeeded* (anything else). One that succeeds, or an honest answer with wrong marks, ends the command with status 1.

``python -m tests.redteam.matrix [ID…]``. Stock marks are those of ``stock.json``; ours are made now.
"""

import argparse
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from studium_graders.engine.sandbox import Level, probe

from . import stock
from .class_run import ClassRun, leaks, run_class
from .classroom import COURSES
from .corpus import Case, cases

Row = tuple[Case, str, str, str]
BLOCKED, UNVERIFIED, SUCCEEDED = "blocked", "unverified", "succeeded"
TOLD, KNOWN = "the author was told", "known"
RIGHT, WRONG = "right", "WRONG"


def main() -> None:
    """Grade the corpora and print the matrix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ids", nargs="*")
    chosen = [case for case in cases() if not (ids := parser.parse_args().ids) or case.id in ids]
    if probe().level < Level.L2:
        parser.error("hostile code is run in a sandbox of level L2, which this machine does not have")
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="redteam-") as made:
        Path(made).chmod(0o755)
        for course in COURSES:
            if own := [case for case in chosen if case.course == course]:
                rows += (made_now := _rows(Path(made), course, own))
                print(f"{course}: {dict(Counter(row[3] for row in made_now))}", file=sys.stderr, flush=True)
    console = Console(width=150, highlight=False)
    console.print(_matrix([row for row in rows if not row[0].honest]))
    console.print(_matrix([row for row in rows if row[0].honest and row[3] == WRONG], "Honest answers marked wrongly"))
    console.print(_figures(rows))
    sys.exit(any(row[3] in (SUCCEEDED, WRONG) for row in rows))


def _rows(folder: Path, course: str, own: list[Case]) -> list[Row]:
    known = stock.read()["marks"]
    (folder / course).mkdir()
    run = run_class(folder / course, course, own)
    rows: list[Row] = []
    for case in own:
        deserved, found = case.deserves(run.room.tests, run.room.exercises), run.outcomes[case.id]
        wrong = {name for name, points in deserved.items() if found.marks.get(name) != points}
        verdict = _verdict(case, wrong, run)
        ours = f"{sum(found.marks.values()):g} of {sum(deserved.values()):g} deserved"
        rows.append((case, _stock(known.get(case.id, {}), deserved), ours, verdict))
    return rows


def _verdict(case: Case, wrong: set[str], run: ClassRun) -> str:
    if wrong and case.known:
        return KNOWN
    if case.honest:
        return WRONG if wrong else RIGHT
    if leaks(run, case) or wrong - run.labelled(case):
        return SUCCEEDED
    if wrong:
        return TOLD if wrong <= run.passed_vacuously else UNVERIFIED
    return BLOCKED


def _stock(known: dict, deserved: dict[str, float]) -> str:
    if "tests" not in known:
        return known.get("note", "not run")
    score = sum(known["tests"].values())
    gained = sum(max(0, known["tests"].get(name, 0) - points) for name, points in deserved.items())
    lost = sum(max(0, points - known["tests"].get(name, 0)) for name, points in deserved.items())
    return f"{score:g}" + (f" (+{gained:g} undeserved)" if gained else "") + (f" (-{lost:g} lost)" if lost else "")


def _matrix(rows: list[Row], title: str = "Attacks") -> Table:
    table = Table(title=title)
    for name in ("class", "attack", "it tries", f"nbgrader {stock.read().get('nbgrader', '')}", "Studium", "verdict"):
        table.add_column(name, overflow="fold")
    for case, before, ours, verdict in rows:
        table.add_row(case.kind, case.id, case.tries, before, ours, verdict)
    return table


def _figures(rows: list[Row]) -> Table:
    verdicts = (RIGHT, BLOCKED, UNVERIFIED, TOLD, KNOWN, SUCCEEDED, WRONG)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for case, before, _, verdict in rows:
        unrun = not before.startswith(tuple("0123456789"))
        counts[case.kind].update(["cases", verdict, "not run" if unrun else ""])
        counts[case.kind]["wrong"] += "undeserved" in before or "lost" in before
    table = Table("class", "cases", *verdicts, "wrong in nbgrader", "not run in nbgrader", title="In figures")
    for kind, count in counts.items():
        table.add_row(kind, *(str(count[name]) for name in ("cases", *verdicts, "wrong", "not run")))
    return table


if __name__ == "__main__":
    main()
