"""The side panel in JupyterLab and Notebook: a learner's way from a wrong answer to a right one, and what is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from studium.desk.labels import Label, keep_labels
from studium.desk.store import Store

from . import little_topics
from .conftest import save, start_all, wait_until

axe = pytest.importorskip("axe_core_python.sync_playwright")

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]

HOSTS = {"lab/tree": "first-steps", "notebooks": "second-steps"}  # each application with a lesson of its own
WRONG = "def mean(numbers):\n    return sum(numbers)\n"
RIGHT = "def mean(numbers):\n    return sum(numbers) / len(numbers)\n"


def open_lesson(page: Any, lab: Any, where: str, slug: str) -> None:
    """Open a lesson with the panel beside it."""
    page.goto(lab.url(f"{where}/{slug}.ipynb"))
    page.locator(".studium-badge").first.wait_for(state="attached")
    tab = page.locator('.lm-TabBar-tab[data-id="studium-desk"]')
    if where == "lab/tree":
        tab.click()
    else:
        page.get_by_role("menuitem", name="View", exact=True).click()
        page.locator('.lm-Menu-item[data-command="studium:desk"]').click()
    page.locator(".studium-line", has_text="exercises").wait_for()


def topic(page: Any, title: str) -> Any:
    return page.locator(".studium-topic", has=page.locator(".studium-title", has_text=title))


def exercise(page: Any, name: str) -> Any:
    """The exercise of the lesson that is open."""
    return page.locator(".studium-topic[open] .studium-exercise", has_text=name)


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def hint(page: Any, name: str) -> Any:
    panel = page.get_by_role("tabpanel", name="Lessons")
    return panel.get_by_role("button", name=re.compile(rf"^Hint \d.\d for {name}$"))


def cell(page: Any, name: str = "mean") -> Any:
    return page.locator(".jp-Cell:has(> .studium-badge)", has_text=f"def {name}(")


def unfold(page: Any, name: str) -> None:
    """Open the line of an exercise that is right."""
    button(page, f"More on {name}").click()


def answer(page: Any, source: str, name: str = "mean") -> None:
    cell(page, name).locator(".cm-content").fill(source)


def violations(page: Any) -> list[str]:
    found = axe.Axe().run(page, context=".studium-panel")["violations"]
    return [f"{item['id']}: {item['nodes'][0]['html']}" for item in found]


def work(page: Any, lab: Any, where: str, slug: str) -> None:
    """Fail on purpose, read the mistake, take a hint, pass."""
    open_lesson(page, lab, where, slug)
    row, badge = exercise(page, "mean"), cell(page).locator(".studium-badge")
    answer(page, WRONG)
    button(page, "Check mean").click()
    row.locator(".studium-mistake", has_text="You gave the sum; the mean is").wait_for()
    badge.get_by_text("✗ Not right yet").wait_for()
    hint(page, "mean").click()
    row.locator(".studium-hints li", has_text="How many numbers are there?").wait_for()
    answer(page, RIGHT)
    button(page, "Check my work").first.click()
    unfold(page, "mean")
    row.get_by_text("Right · 2 attempts").wait_for()
    badge.get_by_text("✓ Right").wait_for()
    topic(page, little_topics.TOPICS[slug]).locator("summary", has_text=re.compile(r"1/1 · [01]/1 optional")).wait_for()
    page.wait_for_function(f"() => localStorage.getItem('studium-progress')?.includes('{slug}')")
    save(page, lab.folder / f"{slug}.ipynb", "len(numbers)")


def find_again(page: Any, lab: Any, where: str, slug: str) -> None:
    """Find state, badge, hints and answer as they were; begin again, and take the old answer back."""
    open_lesson(page, lab, where, slug)
    row = exercise(page, "mean")
    unfold(page, "mean")
    row.get_by_text("Right · 2 attempts").wait_for()
    assert hint(page, "mean").inner_text() == "Hint 1/2"
    cell(page).locator(".studium-badge").get_by_text("✓ Right").wait_for()
    cell(page).get_by_text("len(numbers)").wait_for()
    button(page, "Start again with mean").click()
    cell(page).get_by_text("raise NotImplementedError").wait_for()
    button(page, "Old answers of mean").click()
    version = row.locator("details", has_text=", right").first
    version.locator("summary").click()
    version.get_by_role("button", name="Put it back").click()
    cell(page).get_by_text("len(numbers)").wait_for()


@pytest.mark.heavy
def test_a_mistake_is_named_a_hint_helps_and_nothing_is_lost_when_server_and_browser_start_again(lab, new_page):
    for where, slug in HOSTS.items():
        work(page := new_page(), lab, where, slug)
        page.context.close()
    lab.restart()
    for where, slug in HOSTS.items():
        find_again(page := new_page(), lab, where, slug)
        page.context.close()


@pytest.mark.sample(1)
@pytest.mark.parametrize(("where", "slug"), HOSTS.items(), ids=["lab", "notebook"])
def test_an_improved_lesson_is_merged_around_the_answer_and_the_merge_can_be_undone(lab, new_page, where, slug):
    open_lesson(page := new_page(), lab, where, slug)
    answer(page, RIGHT)
    save(page, lab.folder / f"{slug}.ipynb", "len(numbers)")
    page.context.close()
    little_topics.improve(lab.site, slug)
    title = little_topics.TOPICS[slug]
    open_lesson(page := new_page(), lab, where, slug)
    button(page, f"See what is new in {title}").click()
    topic(page, title).locator(".studium-update li").wait_for()
    text = page.locator(".jp-Notebook .jp-RenderedMarkdown")
    text.get_by_text("A sentence that will be improved.").wait_for()
    button(page, f"Update {title}").click()
    text.get_by_text("A sentence that has been improved.").wait_for()
    cell(page).get_by_text("len(numbers)").wait_for()
    topic(page, title).get_by_role("button", name="Undo").click()
    text.get_by_text("A sentence that will be improved.").wait_for()
    cell(page).get_by_text("len(numbers)").wait_for()


@pytest.fixture
def hints_after_an_attempt(lab: Any) -> Iterator[None]:
    lab.ask("PUT", "settings", {"hints_after": 1})
    yield
    lab.ask("PUT", "settings", {"hints_after": 0})


def test_a_hint_comes_after_an_attempt_and_a_solution_that_was_seen_is_not_called_ones_own(
    page, lab, hints_after_an_attempt
):
    open_lesson(page, lab, "lab/tree", "first-steps")
    row = exercise(page, "spread")
    assert "optional · stretch · derive · good to know" in row.inner_text()
    hint(page, "spread").click()
    page.get_by_text("try first: hints come after an attempt at spread").wait_for()
    assert button(page, "Solution of spread").count() == 0
    answer(page, "def spread(numbers):\n    return max(numbers)\n", "spread")
    button(page, "Check spread").click()
    row.locator(".studium-mistake", has_text="You gave the largest number").wait_for()
    hint(page, "spread").click()
    row.get_by_text("Which two numbers matter?").wait_for()
    row.get_by_role("button", name="Solution of spread", exact=True).click()
    row.get_by_role("button", name="Show it").click()
    row.locator("pre", has_text="max(numbers) - min(numbers)").wait_for()
    answer(page, "def spread(numbers):\n    return max(numbers) - min(numbers)\n", "spread")
    button(page, "Check spread").click()
    unfold(page, "spread")
    row.get_by_text("Right, with the solution seen").wait_for()
    cell(page, "spread").locator(".studium-badge").get_by_text("◐ Solution seen").wait_for()


@pytest.mark.heavy
def test_an_exercise_that_is_right_is_one_line_until_it_is_opened(page, lab):
    lab.ask("POST", "reset", {"path": "second-steps.ipynb", "exercise": "spread"})
    open_lesson(page, lab, "lab/tree", "second-steps")
    row, check, arrow = exercise(page, "spread"), button(page, "Check spread"), button(page, "More on spread")
    answer(page, "def spread(numbers):\n    return max(numbers) - min(numbers)\n", "spread")
    check.click()
    arrow.wait_for()
    assert "".join(row.inner_text().split()) == "✓spread1point▸"
    assert (check.count(), arrow.get_attribute("aria-expanded")) == (0, "false")
    arrow.press("Enter")
    row.get_by_text("optional · stretch · derive · good to know").wait_for()
    assert (check.count(), arrow.get_attribute("aria-expanded")) == (1, "true")
    assert violations(page) == []
    arrow.press("Enter")
    check.wait_for(state="hidden")


@pytest.mark.heavy
def test_a_late_answer_does_not_take_the_place_of_what_was_asked_for_since(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    row = exercise(page, "mean")
    answer(page, WRONG)
    button(page, "Check mean").click()
    row.locator(".studium-mistake").wait_for()
    late: list[Any] = []
    page.route("**/hint*", lambda route: late.append(route))
    hint(page, "mean").click()
    button(page, "Old answers of mean").click()
    asked_for = row.locator(".studium-extra > :is(details, p)").first
    asked_for.wait_for()
    with page.expect_response("**/hint*"):
        late.pop().continue_()
    page.wait_for_timeout(500)
    assert asked_for.is_visible()
    assert row.locator(".studium-hints").count() == 0


@pytest.mark.heavy
def test_a_check_is_over_on_the_screen_though_the_answer_to_its_request_comes_after_its_end(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    answer(page, WRONG)
    late: list[Any] = []
    page.route("**/api/checks*", lambda route: late.append((route, route.fetch())))
    button(page, "Check mean").click()
    exercise(page, "mean").locator(".studium-mistake").wait_for()
    wait_until(page, lambda: late)
    with page.expect_response("**/api/checks*"):
        route, response = late.pop()
        route.fulfill(response=response)
    page.wait_for_timeout(500)
    assert cell(page).locator(".studium-badge").inner_text() == "✗ Not right yet"


@pytest.mark.heavy
def test_a_check_that_would_be_killed_for_want_of_memory_is_refused_with_a_sentence(page, lab):
    with Store(lab.data) as store:
        keep_labels(store, [Label("first-steps", "first-steps-spread", 1, 10_000_000, "smoke", "spread")])
    open_lesson(page, lab, "lab/tree", "first-steps")
    if button(page, "More on spread").count():  # another test has done it
        unfold(page, "spread")
    button(page, "Check spread").click()
    page.get_by_text(re.compile("checking spread needs about 9765.6 GB here and .* so it would be killed")).wait_for()
    with Store(lab.data) as store:
        keep_labels(store, [Label("first-steps", "first-steps-spread", 1, 10, "smoke", "spread")])


@pytest.mark.heavy
def test_a_file_carries_progress_to_notebook_and_terminal_and_a_link_one_answer(
    new_page, lab, tmp_path, studium, data_folder
):
    lab.ask("POST", "hint", {"path": "first-steps.ipynb", "exercise": "mean"})
    open_lesson(page := new_page(), lab, "lab/tree", "first-steps")
    answer(page, RIGHT)
    save(page, lab.folder / "first-steps.ipynb", "len(numbers)")
    page.get_by_role("tab", name="Progress").click()
    page.locator(".jp-Cell.jp-mod-active", has_text="def mean(").wait_for()
    page.get_by_role("button", name="Link to the answer at the cursor").click()
    said = page.locator(".studium-panel .studium-note[role=status]:not(:empty), .Toastify__toast, .jp-Dialog")
    page.locator(".studium-code").or_(said).first.wait_for()
    assert said.all_inner_texts() == []
    link = page.locator(".studium-code").inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").click()
    download.value.save_as(tmp_path / "progress.json")
    page.context.close()
    open_lesson(page := new_page(), lab, "notebooks", "second-steps")
    page.get_by_role("tab", name="Progress").click()
    page.get_by_label("A progress file to import").set_input_files(tmp_path / "progress.json")
    page.get_by_text(re.compile(r"0 entries were new, \d+ were already there")).wait_for()
    page.goto(lab.url("lab/tree/first-steps.ipynb") + "#" + link.partition("#")[2])
    page.locator(".studium-panel pre", has_text="return sum(numbers) / len(numbers)").wait_for()
    code, out, _ = studium("progress", "--course", str(tmp_path), "--import", str(tmp_path / "progress.json"))
    assert (code, bool(re.match(r"[1-9]\d* entries added, 0 were already there", out))) == (0, True)
    assert RIGHT in studium("progress", "--read", link)[1]


@pytest.mark.heavy
@pytest.mark.parametrize("where", HOSTS)
def test_before_an_idle_binder_ends_somebody_who_does_nothing_is_warned(page, lab, where):
    page.clock.install()
    page.goto(lab.url(f"{where}/{HOSTS[where]}.ipynb").replace("127.0.0.1", "hub.binder.localhost"))
    page.locator(".studium-badge").first.wait_for(state="attached")
    page.wait_for_function("() => document.querySelector('.studium-line')?.textContent.includes('exercises')")
    page.clock.fast_forward("07:00")
    assert page.get_by_text("This Binder ends soon").count() == 0
    page.clock.fast_forward("01:30")
    page.get_by_text("This Binder ends soon").first.wait_for()


@pytest.mark.heavy
def test_a_prediction_that_missed_comes_up_in_the_panels_review(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    start_all(page)
    page.get_by_text("mean is 3; you expected 4.").wait_for()
    page.locator(".studium-line", has_text="to review").wait_for()
    page.get_by_role("tab", name="Review").click()
    review = page.locator(".studium-review")
    review.locator(".studium-choice").first.wait_for()
    while not review.get_by_text("What is the mean of 1, 2 and 6?").count():  # mistakes that are due come before it
        review.locator(".studium-choice").first.click()
        review.get_by_role("button", name="Next").click()


@pytest.mark.heavy
def test_the_panel_in_notebook_is_reached_by_keyboard(page, lab):
    open_lesson(page, lab, "notebooks", "second-steps")
    assert page.get_by_role("button", name="Check my work").count() == 1
    page.get_by_role("tab", name="Lessons").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="Map").get_attribute("aria-selected") == "true"
    assert page.get_by_role("button", name=re.compile(r"^LoRA.*, after Decoder-only.*\. Open it$")).count() == 1
    page.keyboard.press("End")
    assert page.get_by_role("tab", name="Progress").get_attribute("aria-selected") == "true"
    page.keyboard.press("Home")
    search = page.get_by_role("searchbox", name="Search the lessons")
    search.fill("singular value")
    page.locator(".studium-results li").first.wait_for()


@pytest.mark.heavy
def test_axe_finds_nothing_in_the_panel_in_the_light_or_the_dark(page, lab):
    open_lesson(page, lab, "notebooks", "second-steps")
    for theme in ("Light", "Dark"):
        page.get_by_role("menuitem", name="Settings").click()
        page.locator(".lm-Menu-item", has_text="Theme").first.hover()
        page.locator(".lm-Menu-item", has_text=f"JupyterLab {theme}").first.click()
        page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(theme == 'Light').lower()}'")
        for tab in ("Lessons", "Map", "Words", "Progress"):
            page.get_by_role("tab", name=tab).click()
            if tab == "Words":
                page.locator(".studium-words dd").first.wait_for()
                page.locator(".studium-symbols").evaluate("symbols => { symbols.open = true; }")
                page.get_by_role("row", name="rank of a low-rank update").wait_for()
            assert violations(page) == []


@pytest.mark.heavy
def test_a_progress_file_that_is_none_gets_a_sentence(page, lab, tmp_path):
    open_lesson(page, lab, "notebooks", "second-steps")
    page.get_by_role("tab", name="Progress").click()
    chosen = tmp_path / "photo.json"
    chosen.write_text("not JSON")
    page.get_by_label("A progress file to import").set_input_files(chosen)
    page.get_by_text("photo.json is not a progress file").wait_for()


@pytest.mark.sample(1)
@pytest.mark.parametrize("where", HOSTS)
def test_button_badge_and_check_cell_share_one_verdict_below_the_cell_and_the_last_one_counts(page, lab, where):
    lab.ask("POST", "reset", {"path": "second-steps.ipynb", "exercise": "spread"})
    page.goto(lab.url(f"{where}/second-steps.ipynb"))
    badge = cell(page, "spread").locator(".studium-badge")
    badge.wait_for()
    assert not page.locator(".studium-panel").is_visible()
    verdicts = page.locator(".studium-verdict-card", has_text=": spread")
    start_all(page)
    verdicts.get_by_text("Not attempted yet: spread (1 point)").wait_for()
    answer(page, "def spread(numbers):\n    return max(numbers)\n", "spread")
    badge.click()
    verdicts.get_by_text("You gave the largest number; take the smallest one away from it.").wait_for()
    badge.get_by_text("✗ Not right yet").wait_for()
    assert verdicts.count() == 1
    assert verdicts.evaluate("(box) => getComputedStyle(box).borderLeftWidth") == "4px"
    answer(page, "def spread(numbers):\n    return max(numbers) - min(numbers)\n", "spread")
    button(page, "Check my work").first.click()
    verdicts.get_by_text("Right: spread, 1 of 1 point").wait_for()
    badge.get_by_text("✓ Right").wait_for()
    assert verdicts.count() == 1
    assert page.locator(".Toastify__toast").count() == 0
