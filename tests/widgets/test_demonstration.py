"""What can be moved moves by itself once, saves nothing, and gives way to the first touch."""

from __future__ import annotations

import pytest
from studium_widgets import ImageGrid, MemoryMeter, RotaryDial

pytestmark = pytest.mark.browser
SHOWN = "() => Number(document.querySelector('.studium input[type=range]').value)"
FILM = {"steps": ("noise", "half", "clear"), "label": "a digit"}


@pytest.fixture
def dial() -> RotaryDial:
    return RotaryDial(dimensions=8, context=48, query_position=300, key_position=8)


def test_it_starts_at_the_first_value_and_ends_where_the_state_is(mount, dial):
    page = mount(dial, plays=True)
    page.wait_for_function(f"() => ({SHOWN})() < 200")
    page.wait_for_function(f"() => ({SHOWN})() === 300")


@pytest.mark.heavy
def test_nothing_of_it_is_saved(mount, dial):
    page = mount(dial, plays=True)
    page.wait_for_function(f"() => ({SHOWN})() < 200")
    assert page.state()["query_position"] == 300
    assert page.evaluate("views[0].model.saved.length") == 0


def test_a_touch_ends_it(mount, dial):
    page = mount(dial, plays=True)
    page.wait_for_function(f"() => ({SHOWN})() < 200")
    page.get_by_label("Put in a mistake").focus()
    page.drawn()
    assert page.evaluate(SHOWN) == 300
    page.drawn()
    assert page.evaluate(SHOWN) == 300


@pytest.mark.heavy
def test_a_change_of_the_state_ends_it(mount, dial):
    page = mount(dial, plays=True)
    page.wait_for_function(f"() => ({SHOWN})() < 200")
    page.evaluate("views[0].model.set('query_position', 250)")
    page.drawn()
    assert page.evaluate(SHOWN) == 250


@pytest.mark.parametrize("options", [{"still": True}, {"plays": False}], ids=["less motion", "touched before"])
def test_it_does_not_begin_where_nobody_wants_it(mount, dial, options):
    page = mount(dial, **{"plays": True} | options)
    page.evaluate("() => { window.least = Infinity; }")
    for _ in range(8):
        page.drawn()
        page.evaluate(f"() => {{ window.least = Math.min(window.least, ({SHOWN})()); }}")
    assert page.evaluate("window.least") == 300


@pytest.mark.heavy
def test_it_waits_until_the_picture_is_in_view(mount, dial):
    page = mount(MemoryMeter(), dial, plays=True)
    below = "Number(views[1].el.querySelector('input[type=range]').value)"
    assert page.evaluate(below) == 300
    page.evaluate("views[1].el.scrollIntoView()")
    page.wait_for_function(f"() => {below} < 300")


@pytest.mark.heavy
def test_nothing_of_it_goes_on_after_the_end(mount, dial):
    page = mount(dial, plays=True)
    page.wait_for_function(f"() => ({SHOWN})() < 200")
    page.evaluate("views[0].abort()")
    assert page.evaluate("views[0].model.listening") == 0


@pytest.mark.heavy
def test_a_film_that_stands_at_its_beginning_is_shown_whole(mount):
    film = ImageGrid([[[[[0.0]]]]] * 3, **FILM)
    film.step = 0
    page = mount(film, plays=True)
    page.wait_for_function(f"() => ({SHOWN})() === 2")
    page.wait_for_function(f"() => ({SHOWN})() === 0")
