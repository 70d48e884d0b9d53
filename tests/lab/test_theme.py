"""JupyterLab in the system's colours, until the learner chooses a theme."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]

SETTINGS = "lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings"

# JupyterLab takes its cover away 200 ms after a theme is there: here later, so we see what comes in between.
LONG_COVER = """
const timer = setTimeout;
window.setTimeout = (action, delay, ...more) => timer(action, delay === 200 ? 3000 : delay, ...more);
"""


@pytest.fixture
def chosen(lab):
    """The learner's file of settings for the theme; what a test leaves in it is removed."""
    path = lab.folder.parent / SETTINGS
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path
    path.unlink(missing_ok=True)


def opened(page: Any, lab: Any, scheme: str) -> Any:
    """JupyterLab on a system of that colour scheme."""
    page.emulate_media(color_scheme=scheme)
    page.goto(lab.url("lab/tree/START.md"))
    page.locator(".studium-cover h1").wait_for()
    return page


def wait_for_theme(page: Any, light: bool) -> None:
    page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(light).lower()}'")


def choose(page: Any, theme: str) -> None:
    """Choose a theme as learners do, from the menu."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Theme", exact=True).hover()
    page.locator(".lm-Menu-itemLabel").get_by_text(theme, exact=True).click()


@pytest.mark.heavy
@pytest.mark.parametrize(("scheme", "light"), [("light", True), ("dark", False)])
def test_a_learner_who_chose_no_theme_gets_the_colours_of_the_system(page, lab, chosen, scheme, light):
    wait_for_theme(opened(page, lab, scheme), light)
    assert not chosen.exists()


@pytest.mark.heavy
@pytest.mark.parametrize(("scheme", "theme", "light"), [("dark", "Light", True), ("light", "Dark", False)])
def test_a_theme_that_is_chosen_from_the_menu_is_there_at_once_and_stays(page, lab, chosen, scheme, theme, light):
    errors: list[Any] = []
    page.add_init_script(LONG_COVER)
    page.on("pageerror", lambda error: errors.append(error))
    wait_for_theme(opened(page, lab, scheme), not light)
    choose(page, f"JupyterLab {theme}")
    wait_for_theme(page, light)
    page.wait_for_function(f"document.body.dataset.jpThemeName === 'JupyterLab {theme}'")
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    page.wait_for_timeout(4000)  # and is taken away once more where another theme was loaded in between
    assert errors == []
    wait_for_theme(opened(page, lab, scheme), light)


def test_a_theme_that_was_chosen_in_earlier_times_wins_over_the_system(page, lab, chosen):
    chosen.write_text('{"theme": "JupyterLab Dark"}')
    wait_for_theme(opened(page, lab, "light"), light=False)


@pytest.mark.heavy
def test_a_learner_may_ask_for_the_colours_of_the_system_again(page, lab, chosen):
    chosen.write_text('{"theme": "JupyterLab Dark", "adaptive-theme": true}')
    wait_for_theme(opened(page, lab, "light"), light=True)
