"""The pages in Chromium, from disk, with the network off."""

from __future__ import annotations

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("site")]

# What is below a widget moves while the widget gets its height, so tests open what is there by keyboard.
SETTLED = "[...document.querySelectorAll('.widget iframe')].every((frame) => frame.style.height !== '520px')"


@pytest.fixture
def visit(chromium, water_site):
    """visit("waves", width=1440, dark=False) → the page, from disk and offline. It fails on errors and requests."""
    contexts, errors, asked = [], [], []

    def visit(name: str, width: int = 1440, dark: bool = False, context=None):
        scheme = "dark" if dark else "light"
        context = context or chromium.new_context(
            viewport={"width": width, "height": 900}, offline=True, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        name, at, fragment = name.partition("#")
        page.goto((water_site / f"{name}.html").as_uri() + at + fragment)
        page.wait_for_function(SETTLED)
        return page

    yield visit
    for context in dict.fromkeys(contexts):
        context.close()
    assert errors == []
    assert [url for url in asked if not re.match(r"(file|data|blob|about):", url)] == []


def ground(page):
    """The colour of the page, as the sum of its red, green and blue."""
    colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def violations(page):
    """What axe finds; not in the frames of widgets, into which nobody may look, and which have tests of their own."""
    page.evaluate(pytest.importorskip("axe_core_python.sync_playwright").Axe().axe_script)
    found = page.evaluate("axe.run({exclude: [['iframe']]}, {iframes: false})")["violations"]
    return [(item["id"], [node["html"][:120] for node in item["nodes"]][:3]) for item in found]


@pytest.mark.heavy
def test_formulas_are_set_with_the_font_that_comes_along(visit):
    page = visit("waves")
    assert page.locator("math").count() >= 7
    assert page.locator("code.tex").count() == 0
    assert r"\eta \in \mathbb{R}" in page.locator("math annotation").all_text_contents()
    assert page.evaluate("document.fonts.check('16px \"STIX Two Math\"', '∇')")
    rows = page.locator("math mtable mtr").evaluate_all("rows => rows.map((row) => row.getBoundingClientRect().height)")
    assert len(rows) == 4
    assert min(rows) > 10
    assert page.get_by_text("but 5 $ are no formula and neither are 7 $").count() == 1


@pytest.mark.heavy
def test_a_plotly_figure_is_drawn_in_the_colours_of_the_page(visit):
    page = visit("waves", dark=True)
    figure = page.get_by_role("figure", name="Figure: its height against time (surface )")
    figure.scroll_into_view_if_needed()
    title = figure.locator("text.xtitle")
    title.wait_for()
    shade = title.evaluate("(text) => getComputedStyle(text).fill")
    page.get_by_role("radio", name="Light").check()
    page.wait_for_function(f"getComputedStyle(document.querySelector('text.xtitle')).fill !== '{shade}'")


@pytest.mark.heavy
def test_on_a_narrow_page_a_title_fits_and_the_names_are_below_the_figure(visit):
    page = visit("waves", width=400)
    figure = page.get_by_role("figure", name="Figure: The water of two harbours")
    figure.scroll_into_view_if_needed()
    names, axis, title = (figure.locator(part) for part in (".legend", "text.xtitle", "text.gtitle"))
    names.wait_for()
    assert names.bounding_box()["y"] > axis.bounding_box()["y"]
    end = title.bounding_box()["x"] + title.bounding_box()["width"]
    assert end <= figure.bounding_box()["x"] + figure.bounding_box()["width"]


@pytest.mark.heavy
def test_a_figure_has_one_tool_while_the_pointer_is_on_it_which_saves_it_as_an_image(visit):
    page = visit("waves")
    figure = page.get_by_role("figure", name="Figure: its height against time (surface )")
    figure.scroll_into_view_if_needed()
    figure.locator("text.xtitle").wait_for()
    (tools,) = figure.locator(".modebar").all()
    assert tools.locator(".modebar-btn").count() == 1
    figure.hover()
    with page.expect_download() as saved:
        tools.locator(".modebar-btn").click()
    assert saved.value.suggested_filename.endswith(".png")


@pytest.mark.heavy
def test_a_lesson_opens_with_a_title_a_sentence_and_its_widget_and_ends_with_the_notebook_and_the_papers(visit):
    for width in (400, 1440):
        main = visit("waves", width=width).locator("main")
        order = [
            main.get_by_role("heading", level=1),
            main.get_by_text("Everything that a page can show."),
            main.locator(".widget iframe"),
            main.get_by_text("Before this"),
            main.get_by_text("The sea is never still."),
            main.get_by_text("The water of two harbours").first,
            main.get_by_role("link", name="Download the notebook"),
            main.get_by_role("link", name="Denoising"),
        ]
        tops = [part.bounding_box()["y"] for part in order if part.count()]
        assert tops == sorted(tops)
        assert order[2].bounding_box()["y"] < 400


@pytest.mark.heavy
def test_a_root_in_a_statement_is_set_as_in_the_text(visit):
    statement = visit("waves").get_by_role("region", name="height").locator(".prose")
    assert statement.locator("msqrt").text_content().split() == ["g", "·", "depth"]  # with spaces that do not break
    assert "√" not in statement.locator("p").first.inner_text()


@pytest.mark.heavy
def test_a_widget_is_as_high_as_it_needs_and_takes_the_theme(visit):
    page = visit("waves")
    page.locator(".widget iframe").scroll_into_view_if_needed()
    page.frame_locator(".widget iframe").get_by_role("slider").first.wait_for()
    page.wait_for_function("document.querySelector('.widget iframe').style.height !== '520px'")
    page.get_by_role("radio", name="Dark").check()
    page.frame_locator(".widget iframe").locator("html[data-theme=dark]").wait_for()


def noise(page):
    """The slider of the page's widget, once it is there."""
    page.locator(".widget iframe").scroll_into_view_if_needed()
    slider = page.frame_locator(".widget iframe").get_by_role("slider", name="Noise level t")
    slider.wait_for()
    return slider


def wait_for_noise(page, value):
    page.frame_locator("iframe").locator(f"input[aria-label='Noise level t'][aria-valuetext^='{value} of ']").wait_for()


def press(page, key):
    """Press a key on the slider, and wait until the page knows the state."""
    told = "addEventListener('message', ({data}) => (window.told = data['studium-widget-state'] || window.told))"
    page.evaluate(told)
    noise(page).press(key)
    page.wait_for_function("window.told")


def copied(page, name, pattern):
    """What a button of the widget puts on the clipboard, where it has to match the pattern."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name=name).press("Enter")
    matches = "async (pattern) => RegExp(pattern).test(await navigator.clipboard.readText())"
    page.wait_for_function(matches, arg=pattern)
    return page.evaluate("navigator.clipboard.readText()")


def test_a_link_to_a_state_opens_the_page_with_the_widget_in_that_state(visit):
    page = visit("waves")
    copied(page, "Copy a link", r"/waves\.html#widget\.1$")
    press(page, "End")
    copied(page, "Copy a link to this state", r"/waves\.html#widget\.1&t=999$")
    page.context.close()  # two pages that draw at once are slow
    page = visit("waves#widget.1&t=999")
    noise(page)
    wait_for_noise(page, 999)


@pytest.mark.heavy
def test_a_link_with_another_state_moves_the_widget_of_the_page_that_is_open(visit):
    page = visit("waves")
    shipped = noise(page).input_value()
    for fragment, value in (("&t=3", 3), ("&t=0", 0), ("", shipped)):
        page.evaluate(f"location.hash = 'widget.1{fragment}'")
        wait_for_noise(page, value)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("fragment", "why"),
    [
        ("t=99999", "t needs a number from -1 to 999, got 99999"),
        ("t=%22a%22", "t needs a whole number"),
        ("x=1", "it needs the name of a state, got x"),
        ("t", "it needs a name and a value in JSON, such as t=7, got t"),
        ("t=%E0%A4%A", "it needs a name and a value in JSON"),
        ("__proto__=1", "it needs the name of a state, got __proto__"),
    ],
)
def test_a_link_with_a_bad_state_shows_the_widget_as_it_is_and_one_line_in_the_console(visit, fragment, why):
    page = visit("waves")
    shipped = noise(page).input_value()
    with page.expect_console_message(lambda message: "left out" in message.text) as told:
        page.evaluate(f"location.hash = 'widget.1&{fragment}'")
    assert f"The state in the address was left out: {why}" in told.value.text
    wait_for_noise(page, shipped)


@pytest.mark.heavy
def test_the_html_to_embed_a_widget_shows_it_on_a_page_elsewhere_in_the_same_state(visit, tmp_path):
    page = visit("waves")
    press(page, "End")
    wanted = r'^<iframe src="file:[^"]*/widgets/waves-1\.html#t=999" title="[^"]+" sandbox="allow-scripts"'
    html = copied(page, "Copy the HTML to embed it", wanted)
    elsewhere = tmp_path / "blog.html"
    elsewhere.write_text(f"<!doctype html><meta charset='utf-8'>{html}")
    page.goto(elsewhere.as_uri())
    wait_for_noise(page, 999)


def test_outputs_of_each_kind_are_there(visit):
    page = visit("waves")
    assert page.locator("pre.stdout").text_content() == "plain text <b>not bold</b>"
    assert page.locator("pre.stderr").text_content() == "a warning"
    assert page.locator(".output img").evaluate("(image) => image.complete && image.naturalWidth") == 1
    assert page.get_by_role("cell", name="a table of its own").is_visible()
    assert page.locator(".markup em", has_text="Markdown").is_visible()
    assert page.locator("pre.value").text_content() == "3.0"
    assert page.get_by_text("own version runs instead").count() == 0


def test_an_exercise_shows_its_prompt_and_hints_to_unfold(visit):
    page = visit("waves")
    exercise = page.get_by_role("region", name="height")
    assert exercise.get_by_text("warm-up · write · the lesson uses it · 2 points · about 4 minutes").is_visible()
    assert exercise.locator("p", has_text="Return the height of a wave from crest to trough.").is_visible()
    assert exercise.get_by_text("Not attempted yet").count() == 0
    assert exercise.get_by_text("is the difference of crest and trough").is_visible()
    hint = exercise.get_by_text("A wave has a height.")
    assert not hint.is_visible()
    exercise.get_by_text("Hint 1 of 2").press("Enter")
    assert hint.is_visible()
    assert exercise.locator("details math").count() == 1


@pytest.mark.heavy
def test_a_picture_on_the_web_is_a_link_and_another_lesson_is_its_page(visit):
    page = visit("waves")
    assert page.get_by_role("link", name="a lighthouse").get_attribute("href") == "https://example.org/lighthouse.png"
    page.get_by_role("link", name="lesson", exact=True).press("Enter")
    page.wait_for_url("**/tides.html#low-water")


@pytest.mark.heavy
def test_lessons_lead_to_their_neighbours_and_to_what_they_need(visit):
    page = visit("index")
    page.get_by_role("link", name="Waves on the water").first.click()
    page.get_by_role("link", name="Next Tides").press("Enter")
    page.wait_for_url("**/tides.html")
    assert page.get_by_role("heading", level=1).text_content() == "Tides"
    page.get_by_role("link", name="Previous Waves on the water").click()
    page.get_by_text("swimming").wait_for()


@pytest.mark.heavy
def test_the_start_page_shows_the_first_widget_that_a_lesson_has_and_where_it_is_from(visit):
    page = visit("index")
    assert page.locator(".cover iframe").count() == 1
    page.locator(".cover figcaption").get_by_role("link").click()
    page.wait_for_url("**/waves.html")


def test_searching_finds_a_word_anywhere_and_enter_opens_the_lesson(visit):
    page = visit("index")
    page.keyboard.press("/")
    page.keyboard.type("phosphor")
    option = page.get_by_role("option")
    option.wait_for()
    assert option.locator("mark").text_content() == "phosphor"
    page.keyboard.press("Enter")
    page.wait_for_url("**/waves.html#what-a-page-can-show")


@pytest.mark.heavy
def test_the_arrow_keys_choose_among_what_was_found_and_accents_do_not_matter(visit):
    page = visit("waves")
    page.get_by_role("button", name="Search").click()
    box = page.get_by_role("combobox")
    box.fill("eclat")
    page.get_by_role("option", name="Low water").wait_for()
    box.fill("page show")
    page.get_by_text("2 places").wait_for()
    first = box.get_attribute("aria-activedescendant")
    page.keyboard.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant") != first
    page.keyboard.press("Enter")
    page.wait_for_url("**/waves.html#what-a-page-can-show-2")


@pytest.mark.heavy
def test_nothing_found_is_said_and_escape_closes(visit):
    page = visit("waves")
    page.keyboard.press("Control+k")
    page.keyboard.type("zeppelin")
    page.get_by_role("status").filter(has_text="Nothing found for “zeppelin”.").wait_for()
    page.keyboard.press("Escape")
    assert not page.get_by_role("combobox").is_visible()


def test_the_page_is_as_dark_as_the_system_until_the_reader_chooses_and_that_is_remembered(visit):
    page = visit("waves", dark=True)
    assert ground(page) < 150
    page.get_by_role("radio", name="Light").check()
    assert ground(page) > 600
    again = visit("tides", context=page.context)
    assert ground(again) > 600
    again.get_by_role("radio", name="As the system").check()
    assert ground(again) < 150


@pytest.mark.heavy
def test_the_contents_mark_what_is_being_read(visit):
    page = visit("waves")
    contents = page.get_by_role("navigation", name="On this page")
    page.locator("#exercise-height").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('#exercise-height').scrollIntoView()")
    marked = contents.locator("[aria-current]")
    marked.filter(has_text="height").wait_for()
    assert marked.count() == 1


@pytest.mark.heavy
def test_at_the_end_of_a_page_the_contents_mark_its_last_section(visit):
    page = visit("waves")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = page.get_by_role("navigation", name="On this page").get_by_role("link").last
    page.wait_for_function("(link) => link.getAttribute('aria-current') === 'location'", arg=last.element_handle())


@pytest.mark.heavy
def test_what_goes_on_to_the_right_fades_there_until_it_is_scrolled_to(visit):
    page = visit("waves", width=400)
    mask = "(box) => getComputedStyle(box).maskImage"
    box = page.locator("[data-more]").first
    assert "linear-gradient" in box.evaluate(mask)
    found = box.element_handle()
    found.evaluate("(box) => (box.scrollLeft = box.scrollWidth)")
    page.wait_for_function("(box) => getComputedStyle(box).maskImage === 'none'", arg=found)
    whole = page.locator("pre.code:not([data-more])").first
    assert whole.evaluate("(box) => box.scrollWidth <= box.clientWidth + 1")


@pytest.mark.heavy
def test_code_can_be_copied_by_keyboard_users_too(visit):
    page = visit("tides")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name="Copy")
    button.focus()
    assert button.evaluate("(button) => getComputedStyle(button).opacity") == "1"


@pytest.mark.heavy
@pytest.mark.parametrize("width", [320, 400, 768])
def test_a_narrow_window_needs_no_scrolling_sideways(visit, width):
    page = visit("waves", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contents = page.get_by_role("navigation", name="On this page")
    assert not contents.get_by_role("link").first.is_visible()
    contents.get_by_text("On this page").click()
    assert contents.get_by_role("link").first.is_visible()


LONGER = """() => {
    const math = document.querySelector(".prose p math");
    for (let times = 0; times < 60; times++) math.append(math.firstElementChild.cloneNode(true));
    return math.getBoundingClientRect().width;
}"""


@pytest.mark.heavy
def test_a_formula_that_is_wider_than_a_telephone_scrolls_in_its_paragraph(visit):
    page = visit("waves", width=400)
    assert page.evaluate(LONGER) > 400
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.heavy
def test_a_page_prints_without_what_only_a_screen_needs(visit):
    page = visit("waves", dark=True)
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.get_by_role("banner").first.is_visible()
    assert not page.get_by_role("navigation", name="On this page").is_visible()
    assert page.get_by_role("heading", level=1).is_visible()
    assert ground(page) > 600


@pytest.mark.heavy
def test_without_scripts_a_page_can_still_be_read(chromium, water_site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((water_site / "waves.html").as_uri())
    assert page.get_by_text("The sea is never still.").is_visible()
    assert not page.get_by_role("button", name="Search").is_visible()
    context.close()


@pytest.mark.heavy
def test_the_first_tab_leads_to_the_content(visit):
    page = visit("waves")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.heavy
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("name", "width"), [("index", 1440), ("waves", 1440), ("waves", 400)])
def test_axe_finds_nothing(visit, name, width, dark):
    page = visit(name, width=width, dark=dark)
    for figure in page.locator("figure.plot").all():
        figure.scroll_into_view_if_needed()
        figure.locator("svg").first.wait_for()
    assert violations(page) == []


@pytest.mark.heavy
def test_axe_sees_a_fault(visit):
    page = visit("tides")
    page.evaluate("document.querySelector('h1').innerHTML += '<img src=data:,>'")
    assert [name for name, _ in violations(page)] == ["image-alt"]


@pytest.mark.heavy
def test_a_reader_moves_the_mark_and_then_sees_what_came_out_on_the_same_line(visit):
    for dark in (False, True):
        page = visit("waves", width=400, dark=dark)
        form = page.locator("form.guess")
        form.get_by_text("How many metres high is the water at noon?").wait_for()
        assert "2.5" not in page.locator("main").inner_text()
        mark = form.get_by_role("slider", name="Your guess")
        mark.focus()
        mark.press("Home")
        assert mark.get_attribute("aria-valuetext") == "0"
        mark.fill("4")
        form.get_by_role("button", name="Show what came out").press("Enter")
        form.get_by_role("status").get_by_text("You expected 4; here it came out as 2.5.").wait_for()
        found, line = form.locator(".found").bounding_box(), mark.bounding_box()
        assert abs(found["x"] + 1.5 - (line["x"] + 8 + (line["width"] - 16) * 0.5)) < 2
        assert mark.is_disabled()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
