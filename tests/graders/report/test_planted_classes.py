"""What was planted in a simulated class is found, and nothing is found in an honest one."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

pytest.importorskip("nbgrader")

import msgspec
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from studium_graders.grading.answers.fingerprints import fingerprints
from studium_graders.grading.answers.same_answers import Mention, SameAnswers, SameGroup
from studium_graders.report.class_data import ClassData, anonymous
from studium_graders.report.clusters import cluster_unnamed
from studium_graders.report.intervals import share
from studium_graders.report.items import cronbach_alpha, item_statistics, scores_of
from studium_graders.report.making import Report, make_report
from studium_graders.report.mining import merged
from studium_graders.report.mistakes import count_mistakes
from studium_graders.report.page import report_page
from studium_graders.report.similarity import own_fingerprints, similar_pairs

from . import simulated_class as simulated

BAD, NEGATIVE, MISTAKEN = "apply_rope-2", "yarn-0", 3

honest = cache(lambda: simulated.honest_class(seed=1))
flawed = cache(lambda: simulated.planted_items(*honest(), BAD, NEGATIVE))
mistaken = cache(lambda: simulated.planted_mistake(honest()[0], MISTAKEN))
copied = cache(lambda: simulated.planted_copies(honest()[0]))
clusters = cache(lambda: cluster_unnamed(mistaken()[0]))

pytestmark = pytest.mark.xdist_group("planted-classes")  # each process would simulate the classes again


def verdicts(data: ClassData) -> dict[str, str]:
    names = [item.grade_id for exercise in data.exercises for item in exercise.items]
    found = item_statistics(*scores_of(data))
    return {name: statistics.verdict for name, statistics in zip(names, found, strict=True)}


def test_a_test_that_better_students_fail_is_called_negative_and_no_other_is():
    assert [name for name, verdict in verdicts(flawed()).items() if verdict == "negative"] == [NEGATIVE]
    assert "negative" not in verdicts(honest()[0]).values()


def test_a_test_that_a_coin_decides_is_called_bad():
    assert verdicts(flawed())[BAD] == "bad"
    assert verdicts(honest()[0])[BAD] == "good"


def test_below_twenty_answers_nothing_is_called_anything():
    few = msgspec.structs.replace(flawed(), answers=dict(list(flawed().answers.items())[:19]))
    assert set(verdicts(few).values()) == {"few"}


def test_an_answer_that_is_missing_counts_neither_for_nor_against_a_test():
    data = honest()[0]
    gone = {name: row if n % 2 else (None, *row[1:]) for n, (name, row) in enumerate(data.answers.items())}
    statistics = item_statistics(*scores_of(msgspec.structs.replace(data, answers=gone)))
    assert [found.count for found in statistics[:3]] == [100, 100, 200]
    assert statistics[0].discrimination.value == pytest.approx(0.48, abs=0.15)


def test_discrimination_is_the_correlation_with_what_is_earned_elsewhere():
    scores, points = scores_of(honest()[0])
    others = [at for at in range(len(points)) if at != 5]
    rest = (scores[:, others] * points[others]).sum(axis=1)
    found = item_statistics(scores, points)[5].discrimination
    assert found.value == pytest.approx(np.corrcoef(scores[:, 5], rest)[0, 1])
    assert found.low < found.value < found.high


def test_alpha_is_that_of_the_covariances_of_the_marks():
    scores, points = scores_of(honest()[0])
    covariances = np.cov((scores * points).T)
    count = len(points)
    expected = count / (count - 1) * (1 - np.trace(covariances) / covariances.sum())
    assert cronbach_alpha(scores, points) == pytest.approx(expected)
    assert cronbach_alpha(scores[:, :1], points[:1]) is None


def test_the_interval_of_a_share_is_wide_where_few_were_counted():
    assert (share(0, 10).low, share(0, 10).high) == pytest.approx((0, 0.2775), abs=1e-4)  # Wilson (1927)
    assert share(0, 0) == share(0, 0).__class__(0.0, 0.0, 1.0)


def test_the_unnamed_share_and_the_named_mistakes_are_counted_by_id():
    data, makers = mistaken()
    before, after = (count_mistakes(one)[MISTAKEN] for one in (honest()[0], data))
    assert after.unnamed.count - before.unnamed.count > 0.8 * len(makers)
    assert after.unnamed_of_wrong.value > before.unnamed_of_wrong.value
    assert all(count.mistake.startswith("rope.to_half:") for count in after.mistakes)
    assert after.right + after.wrong + after.not_attempted == 200


def test_a_mistake_without_a_name_in_twelve_percent_is_one_group():
    makers = mistaken()[1]
    largest = clusters()[MISTAKEN].clusters[0]
    assert set(makers) <= set(largest.students)
    assert len(largest.students) <= len(makers) + 3
    assert largest.share.low < 0.12 < largest.share.high


def test_the_code_of_a_group_is_a_misconception_that_names_the_answers_of_the_group():
    data, makers = mistaken()
    exercise = load_catalogue()["rope"].exercise("to_half")
    space = vars(inspect.getmodule(exercise.solution)) | {
        "to_half": (learning := replace(exercise, misconceptions=[*exercise.misconceptions]))
    }
    exec(clusters()[MISTAKEN].clusters[0].code, space)
    answers = dict(space)
    exec(data.answers[makers[0]][MISTAKEN].source, answers)
    assert check("rope", exercise, answers["to_half"]).mistake_id == ""
    assert check("rope", learning, answers["to_half"]).mistake_id == "rope.to_half:todo-name-it"


def test_three_copied_pairs_are_named_and_no_other():
    data, pairs = copied()
    assert sorted(tuple(sorted((pair.first, pair.second))) for pair in similar_pairs(data).pairs) == sorted(pairs)
    assert similar_pairs(honest()[0]).pairs == ()


def test_a_copy_from_an_earlier_term_is_named_with_the_term():
    data, pairs = copied()
    earlier = ClassData("ps1", data.exercises, {"old": data.answers[pairs[0][1]]}, "Last term")
    found = similar_pairs(data, [earlier]).pairs
    assert {pair.second for pair in found} & {"old (Last term)"}


def test_a_disguise_leaves_the_fingerprints_as_they_are():
    sources = [answer.source for pool in simulated.pools() for answer in (*pool.right, *pool.mistakes, *pool.mutants)]
    for disguise in simulated.DISGUISES:
        changed = [source for source in sources if disguise(source) != source]
        assert len(changed) > 20
        assert [source for source in changed if fingerprints(disguise(source)) != fingerprints(source)] == []


def test_another_computation_has_other_fingerprints():
    texts = ("def f(x):\n    return x.sum(0) / 2\n", "def f(x):\n    return x.sum(1) / 2\n", "def f(x: return")
    assert len({fingerprints(text) for text in texts}) == 3


def test_what_the_course_gave_out_and_right_answers_are_nobodys_own():
    for pool in simulated.pools():
        known = (*pool.exercise.given, *pool.exercise.right)
        assert [own_fingerprints(pool.exercise, source) for source in known] == [frozenset()] * len(known)


@cache
def planted() -> tuple[Report, ClassData]:
    data = simulated.planted_copies(simulated.planted_mistake(flawed(), MISTAKEN)[0])[0]
    ends = (
        SameGroup(tuple(data.students[:9]), "identical", 5, 12, False),
        SameGroup(("s0010", "s0011"), "identical", 1, 1, True),
    )
    same = SameAnswers(ends, (Mention("s0010", "s0011", "rope/rope-to_half", "# s0011"),))
    data = anonymous(msgspec.structs.replace(data, same=same))
    return make_report(data, lambda mistake: f"the sentence of `{mistake}`"), data


def test_the_page_shows_no_line_of_a_hidden_test_and_no_id_where_it_is_anonymous():
    page = report_page(*planted())
    text = re.sub(r"&#?\w+;", "", page)
    assert [line for line in simulated.lines_of_hidden_tests() if re.sub(r"[<>&\"']", "", line) in text] == []
    assert re.findall(r"\bs0\d{3}\b", page) == []
    assert "student 001" in page


def test_the_author_learns_of_mistakes_from_two_classes_and_nothing_of_students():
    first, second = mistaken()[0], simulated.planted_mistake(honest()[0], MISTAKEN, seed=5)[0]
    data, skipped = merged("rope", [first, second])
    assert (len(data.answers), skipped) == (400, 0)
    largest = cluster_unnamed(data, 3)[MISTAKEN].clusters[0]
    assert len(largest.students) >= 48
    ast.parse(largest.code)
    assert not re.search(r"s0\d{3}|#", largest.code)


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_the_page_is_alive_from_disk_with_no_network_and_axe_finds_nothing(chromium, tmp_path, width, scheme):
    (tmp_path / "report.html").write_text(report_page(*planted()), "utf-8")
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, reduced_motion="reduce"
    )
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto((tmp_path / "report.html").as_uri())
    for view, sentence in ((0, "items; look at rope.apply_rope"), (1, "200 students in 20 tests earned")):
        page.locator(".widget iframe").nth(view).scroll_into_view_if_needed()
        page.frame_locator(".widget iframe").nth(view).locator(".st-summary", has_text=sentence).wait_for()
    page.evaluate(pytest.importorskip("axe_core_python.sync_playwright").Axe().axe_script)
    found = page.evaluate("axe.run({exclude: [['iframe']]}, {iframes: false})")["violations"]
    assert [(item["id"], item["nodes"][0]["html"][:120]) for item in found] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert said == []
    context.close()
