"""The board in a real Chromium: live, by keyboard, in both themes, and deaf to what students put into names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("nbgrader")
from nbformat.v4 import new_code_cell, new_notebook
from studium.classroom.archive import pack
from studium.classroom.messages import CheckAnswer, CheckedExercise
from studium_classroom import live
from studium_classroom.classroom import Classroom
from studium_classroom.roles import Place, Role
from studium_classroom.submissions import Graded, GradedOutcome

from .conftest import Served, serving, tell

axe = pytest.importorskip("axe_core_python.sync_playwright")

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("classroom")]

EVIL = "<img src=x onerror=\"document.title='ran'\">"
COURSE = """
id = "genai"
title = "Generative AI"

[[assignments]]
name = "ps1"
opens = 2026-01-01T08:00:00
due = 2099-03-01T23:59:00
"""
EXERCISES = {"lora": ["merge", "rank", "scale"], "rope": ["rotate", f"bound {EVIL}"]}
SCALED = f"You scaled by `alpha`; LoRA scales by `alpha / r` {EVIL}."  # as results of before mistakes had ids


class Class:
    """A course with a server, and what its students do."""

    def __init__(self, served: Served) -> None:
        self.served, self.classroom = served, served.classroom

    def check(self, student: str, exercise: str, outcome: str, mistake: str = "") -> None:
        """Write down a check, as the server does."""
        notebook, _, name = exercise.partition(".")
        answer = CheckAnswer(notebook, [CheckedExercise(name, outcome)])
        self.classroom.checks.note("genai", "ps1", student, answer, {name: mistake} if mistake else {})
        tell(self.classroom, "genai", "ps1")

    def link(self, place: Place | None = None) -> str:
        """A link that opens the board once, an instructor's where no place is named."""
        place = place or Place(Role.INSTRUCTOR)
        return f"{self.served.url}/board/genai/ps1#{self.classroom.boards.link('genai', 'grace', place)}"


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Class]:
    """A class of eight: ada is right and graded, bob is stuck, cleo has handed in late, dan is trying."""
    monkeypatch.setattr(live, "AT_MOST", 0.05)
    root = tmp_path / "genai"
    (root / "release" / "ps1").mkdir(parents=True)
    (root / "course.toml").write_text(COURSE)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for name, exercises in EXERCISES.items():
        marks = [{"studium": {"role": "exercise", "exercise": one}} for one in exercises]
        cells = [new_code_cell("...", metadata=one) for one in marks]
        nbformat.write(new_notebook(cells=cells, metadata=kernel), root / "release" / "ps1" / f"{name}.ipynb")
    classroom = Classroom([root], root / "data")
    with serving(classroom) as url:
        served = Served(classroom, url, {})
        for number, name in enumerate(("ada", "bob", "cleo", "dan", "eva", "finn", "gil", "hana")):
            classroom.members.put("genai", name, Place(Role.STUDENT, f"monday {EVIL}" if number % 2 else "friday"))
        found = Class(served)
        begin(found)
        yield found
        served.close()


def begin(lesson: Class) -> None:
    classroom, now = lesson.classroom, datetime.now(UTC)
    for name in ("ada", "cleo"):
        archive = pack({"lora.ipynb": name.encode()})
        classroom.submissions.take("genai", "ps1", name, archive, now, late=name == "cleo")
    batch = [row for row in classroom.submissions.next_batch("genai", "ps1", 9) if row.user == "ada"]
    exercises = {f"lora.{one}": GradedOutcome("right") for one in EXERCISES["lora"]}
    classroom.submissions.note(batch, [Graded("ada", 4.5, 5.0, sentence=EVIL, exercises=exercises)], now)
    for _ in range(3):
        lesson.check("bob", "lora.merge", "wrong", SCALED)
    lesson.check("dan", "lora.merge", "wrong")
    lesson.check("dan", f"rope.bound {EVIL}", "wrong", SCALED)


@pytest.fixture
def opened(chromium: Any, lesson: Class) -> Iterator[Callable[..., Any]]:
    """opened(width=…, dark=…) → the board in a new page; the test fails if a script failed or a policy was broken."""
    contexts, said = [], []

    def opened(width: int = 1440, *, dark: bool = False, link: str = "", still: bool = True) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if still else "no-preference",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if is_ours(message) else None)
        page.goto(link or lesson.link())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


def is_ours(message: Any) -> bool:
    """Whether an error on the console is none of a connection's that a test has cut."""
    return message.type == "error" and "net::ERR_FAILED" not in message.text


def cell(page: Any, student: str, exercise: str) -> Any:
    return page.locator(f"td[data-student='{student}'][data-exercise='{exercise}']")


def violations(page: Any) -> list[tuple[str, str]]:
    page.evaluate(axe.Axe().axe_script)
    found = page.evaluate("axe.run()")["violations"]
    return [(item["id"], item["nodes"][0]["html"][:120]) for item in found]


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        (1440, False),
        (400, True),
        *(pytest.param(*one, marks=pytest.mark.heavy) for one in ((1440, True), (720, False), (400, False))),
    ],
)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(opened, width, dark):
    page = opened(width, dark=dark)
    page.get_by_text("Live", exact=True).wait_for()
    assert violations(page) == []
    for place in (cell(page, "bob", "lora.merge"), page.get_by_role("columnheader", name="lora.merge")):
        place.click()
        page.locator(".detail :is(.history, .st-bars)").wait_for()
        assert violations(page) == []
    page.get_by_text("Show as table").click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_board_has_the_courses_title_signs_and_words_beside_colours_and_a_queue_that_leaves_students_alone(opened):
    page = opened()
    page.get_by_text("Live", exact=True).wait_for()
    assert page.locator(".head .eyebrow").inner_text().casefold() == "generative ai"
    signs = {
        ("ada", "lora.rank"): "✓",
        ("bob", "lora.merge"): "!",
        ("dan", "lora.merge"): "~",
        ("eva", "lora.rank"): "·",
    }
    for (student, exercise), sign in signs.items():
        assert cell(page, student, exercise).locator("span").inner_text() == sign
    name = cell(page, "bob", "lora.merge").get_attribute("aria-label")
    assert name.startswith("bob, lora.merge: stuck, 3 checks. You scaled by alpha; ")
    buttons = page.locator(".queue button:visible")
    assert [text.strip() for text in buttons.all_inner_texts()] == ["1 stuck", "1 waiting", "1 late"]
    page.get_by_role("button", name="1 stuck").click()
    assert page.locator(".heat tbody .who .name").all_inner_texts() == ["bob"]
    page.get_by_role("button", name="1 stuck").click()
    assert page.locator(".heat tbody tr").count() == 8
    page.get_by_text("Show as table").click()
    rows = page.locator(".twin tbody tr")
    rows.first.wait_for()
    shown = rows.first.inner_text().split("\t")
    assert shown[:8] == ["ada", "friday", "graded", "4.5 of 5", "", "right", "right", "right"]


def test_a_check_shows_without_a_reload_and_is_told_to_screen_readers(opened, lesson):
    page = opened()
    cell(page, "eva", "lora.rank").wait_for()
    page.evaluate("window.stays = true")
    lesson.check("eva", "lora.rank", "right")
    page.locator("td[data-student='eva'][data-exercise='lora.rank'][data-state='right']").wait_for()
    page.locator("[aria-live]", has_text="eva, lora.rank: right. 8 students: 1 stuck").wait_for(state="attached")
    cell(page, "dan", "lora.merge").click()  # what is open follows, too
    lines = page.locator(".history li")
    lines.first.wait_for()
    assert lines.count() == 1
    lesson.check("dan", "lora.merge", "wrong", SCALED)
    lines.nth(1).wait_for()
    assert "You scaled by alpha; LoRA scales by alpha / r" in lines.first.inner_text()
    assert lines.first.locator("code").all_inner_texts() == ["alpha", "alpha / r"]
    lesson.check("bob", "lora.merge", "right")
    page.get_by_role("button", name="1 stuck").wait_for(state="hidden")
    assert page.evaluate("window.stays") is True


def test_a_column_shows_its_mistakes_as_bars_with_the_unnamed_share(opened):
    page = opened()
    page.get_by_role("columnheader", name="lora.merge").click()
    bars = page.locator(".detail .st-bars li")
    bars.first.wait_for()
    shown = [" ".join(text.split()) for text in bars.all_inner_texts()]
    assert shown[0].startswith("You scaled by alpha; ")
    assert shown[0].endswith("1 · 50 %")
    assert shown[1] == "without a name 1 · 50 %"
    assert "No name for 1 of 2 wrong answers (50 %, 9 to 91 %)." in page.locator(".detail").inner_text()


def test_the_grid_is_one_stop_of_the_tab_key_and_arrows_enter_and_escape_do_the_rest(opened):
    page = opened()
    page.get_by_text("Live", exact=True).wait_for()
    assert page.locator(".heat [tabindex='0']").count() == 1
    page.locator(".heat [tabindex='0']").focus()
    focused = "document.activeElement.getAttribute('aria-label')"
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert page.evaluate(focused).startswith("bob, lora.merge: stuck")
    page.keyboard.press("Enter")
    page.locator(".history li").nth(2).wait_for()
    assert page.evaluate(focused).startswith("bob, lora.merge")
    page.keyboard.press("Control+End")
    assert page.evaluate(focused).startswith("hana, rope.bound")
    page.keyboard.press("Control+Home")
    assert page.evaluate(focused).startswith("lora.merge: 1 untouched") is False
    assert page.evaluate(focused).startswith("lora.merge: ")
    page.keyboard.press(" ")
    page.locator(".detail .st-bars").wait_for()
    page.keyboard.press("Escape")
    page.locator(".detail").wait_for(state="hidden")
    assert page.evaluate(focused).startswith("lora.merge: ")
    assert page.locator(".heat [tabindex='0']").count() == 1


def test_the_focus_stays_where_it_is_while_others_change_and_rows_keep_their_order(opened, lesson):
    page = opened()
    page.get_by_text("Live", exact=True).wait_for()
    page.get_by_label("Order").select_option("need")
    assert page.locator(".heat tbody .who .name").all_inner_texts()[:2] == ["bob", "cleo"]
    cell(page, "cleo", "lora.merge").focus()
    lesson.check("bob", "lora.merge", "right")
    page.locator("td[data-student='bob'][data-state='right']").wait_for()
    assert page.locator(".heat tbody .who .name").all_inner_texts()[:2] == ["bob", "cleo"]
    assert page.evaluate("document.activeElement.dataset.student") == "cleo"


def test_markup_in_names_sections_mistakes_and_sentences_is_text(opened):
    page = opened()
    page.get_by_label("Section").wait_for()
    cell(page, "ada", "lora.merge").click()
    page.locator(".detail .note", has_text="onerror").wait_for()
    page.locator("td[data-student='dan']").last.click()
    page.locator(".history .sentence", has_text="onerror").wait_for()
    page.locator("th[data-exercise]").last.click()
    page.locator(".st-bars li", has_text="onerror").wait_for()
    page.get_by_text("Show as table").click()
    assert page.locator("img").count() == 0
    assert page.title() == "ps1: board"


def test_a_link_works_once_and_a_reload_keeps_the_board_in_its_tab(opened, lesson, chromium):
    link = lesson.link()
    page = opened(link=link)
    page.get_by_text("Live", exact=True).wait_for()
    assert page.url == link.partition("#")[0]
    page.reload()
    page.get_by_text("Live", exact=True).wait_for()
    assert page.context.cookies() == []
    other = chromium.new_context().new_page()
    other.goto(link)
    other.get_by_text("The link to the board is unknown, used or older than 5 minutes").wait_for()
    other.goto(page.url)
    other.reload()
    other.get_by_text("This page opens with a link that works once").wait_for()
    other.context.close()


def test_the_board_says_that_the_connection_is_lost_and_finds_it_again(opened, monkeypatch):
    monkeypatch.setattr(live, "LASTS", 1.0)  # seconds of a stream, which the page opens again
    monkeypatch.setattr(live, "LOOK_AGAIN", 0.1)
    page = opened()
    page.get_by_text("Live", exact=True).wait_for()
    page.route("**/live", lambda route: route.abort())
    page.get_by_text("No connection since").wait_for()
    page.unroute("**/live")
    page.get_by_text("Live", exact=True).wait_for()


def test_the_link_of_an_invitation_opens_a_page_with_the_whole_command(opened, lesson):
    link = f"{lesson.served.url}/join#abc-DEF_123"
    page = opened(400, dark=True, link=link)
    page.get_by_text(f"studium courses --join '{link}'", exact=True).wait_for()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page = opened(link=f"{lesson.served.url}/join#<b>")  # no command that could not work
    page.get_by_text("the whole address of this page").wait_for()
