"""`studium html`: what is written, what is run again, what is told of failures, and what must not leak."""

import dataclasses
import html
import json
import os
import re
import signal
import threading
import time
from html.parser import HTMLParser

import nbformat
import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.desk.places import data_folder
from studium.errors import StudiumError
from studium.notebooks.files import SAVED_WIDGET
from studium.site.building import Options, Site
from studium.site.outputs import show_failures
from studium.site.prose import Prose, parse, plain_text, show_block
from studium.site.running import failures, run_notebook
from studium.site.widgets import WidgetFiles

pytestmark = pytest.mark.xdist_group("site")
SECRETS = ("0.0 * crest", "7.125", "is never below zero", "the trough may be above", "BEGIN SOLUTION")


@pytest.fixture
def quick(site):
    """A topic that runs without torch: its lesson is one cell."""

    def lesson(text: str = "print(6 * 7)", slug: str = "quick") -> None:
        package = f"{slug}_topic"
        site.install(
            f"studium-topic-{slug}",
            {slug: package},
            {
                f"{package}/__init__.py": f"""
                    from studium import Topic, hookimpl

                    @hookimpl
                    def studium_topics():
                        yield Topic(slug="{slug}", title="{slug}", track="T", summary="S.", package=__name__)
                """,
                f"{package}/lesson.py": f"# %%\n{text}\n",
            },
        )

    return lesson


@pytest.fixture
def strangers_only(site, monkeypatch):
    """`--all` means the topics that this test has installed."""
    from studium import cli

    def load():
        found = load_catalogue()
        return dataclasses.replace(found, entries=[entry for entry in found.entries if own(entry)])

    def own(entry):
        return entry.topic.package in site.packages  # tests of the grader leave a topic installed for the session

    monkeypatch.setattr(cli, "load_catalogue", load)


@pytest.fixture
def counted(monkeypatch):
    """The slugs of the lessons that were run; nothing really runs."""
    ran = []
    monkeypatch.setattr(
        "studium.site.building.run_notebook", lambda notebook, *rest: ran.append(notebook.metadata.studium.topic)
    )
    return ran


def build(folder, *slugs, **options):
    catalogue = load_catalogue()
    return Site(catalogue, folder, Options(**options)).build([catalogue[slug] for slug in slugs])


def cells(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def texts_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("plotly.js", "maths.css") and path.suffix != ".png"
    }


def test_a_site_has_its_pages_its_notebooks_and_shared_files(water_site):
    names = {path.relative_to(water_site).as_posix() for path in water_site.rglob("*") if path.is_file()}
    assert names >= {"index.html", "waves.html", "waves.ipynb", "tides.html", "assets/plotly.js", "assets/passages.js"}


def test_nothing_in_a_site_tells_a_solution_a_hidden_test_or_a_misconception(water_site):
    texts = texts_of(water_site)
    assert {name for name, text in texts.items() for secret in SECRETS if secret in text} == set()
    assert any(secret in "    return abs(crest - trough) + 0.0 * crest\n" for secret in SECRETS)
    assert "Return the height of a wave" in texts["waves.html"]


def test_the_notebook_beside_a_page_is_the_lesson_without_outputs(water_site):
    notebook = nbformat.read(water_site / "waves.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert "raise NotImplementedError()" in json.dumps(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)


class Links(HTMLParser):
    """Collects the anchors of a page and the addresses that it names."""

    def __init__(self, text):
        super().__init__()
        self.anchors, self.addresses = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.add(found.get("id"))
        self.addresses += [found[name] for name in ("href", "src") if found.get(name)]


def dead_links(folder):
    pages = {path.name: Links(path.read_text("utf-8")) for path in folder.glob("*.html")}
    dead = []
    for name, page in pages.items():
        for address in page.addresses:
            if re.match(r"https://|data:", address):
                continue
            file, _, anchor = address.partition("#")
            there = (folder / file).is_file() if file else True
            if not there or (anchor and anchor not in pages[file or name].anchors):
                dead.append(f"{name}: {address}")
    return dead


def test_every_link_leads_somewhere_and_a_dead_one_is_seen(water_site, tmp_path):
    assert dead_links(water_site) == []
    (tmp_path / "a.html").write_text('<a href="b.html"></a><a href="#nowhere"></a><a id="here" href="#here"></a>')
    assert dead_links(tmp_path) == ["a.html: b.html", "a.html: #nowhere"]


def test_every_place_that_searching_finds_is_there(water_site):
    index = (water_site / "assets" / "passages.js").read_text("utf-8")
    passages = json.loads(index.removeprefix("window.studiumPassages = ").rstrip(";\n"))
    for passage in passages:
        file, _, anchor = passage["url"].partition("#")
        page = (water_site / file).read_text("utf-8")
        assert not anchor or f'id="{anchor}"' in page, passage["url"]
    assert any("phosphorescence" in passage["text"] for passage in passages)


def test_a_lesson_that_did_not_change_is_not_run_again(quick, counted, tmp_path):
    quick()
    for options in ({}, {}, {"force": True}, {"profile": "smoke"}):
        build(tmp_path / "out", "quick", **options)
    assert counted == ["quick"] * 3


@pytest.mark.parametrize(
    ("file", "again"),
    [("lesson.py", True), ("experiment.py", True), ("test_quick.py", False), ("../b_topic/x.py", False)],
)
def test_a_lesson_runs_again_when_a_file_changes_that_it_may_read(quick, counted, site, tmp_path, file, again):
    quick()
    quick(slug="b")
    build(tmp_path / "out", "quick")
    path = site.folder / "quick_topic" / file
    path.write_text("# %%\nprint('new')\n")
    build(tmp_path / "out", "quick")
    assert len(counted) == 1 + again


def test_a_lesson_of_an_earlier_call_stays_and_one_whose_topic_is_gone_leaves(quick, counted, site, tmp_path):
    out = tmp_path / "out"
    quick()
    quick(slug="other")
    build(out, "quick")
    assert build(out, "other").pages == 3
    assert "other.html" in (out / "quick.html").read_text("utf-8")
    (site.folder / "studium_topic_quick-1.0.dist-info" / "entry_points.txt").write_text("")
    assert build(out, "other").pages == 2
    assert not (out / "quick.html").exists()
    assert "quick" not in (out / "index.html").read_text("utf-8")


def test_a_broken_topic_is_a_sentence_and_the_others_are_written(strangers_only, quick, studium, site, tmp_path):
    quick()
    quick(slug="worse")
    (site.folder / "worse_topic" / "lesson.py").unlink()
    out = tmp_path / "out"
    code, printed, err = studium("html", "--all", "--no-run", "--out", str(out), "--json")
    assert (code, "problem: topic worse needs a lesson.py" in err) == (1, True), err
    written = json.loads(printed)
    assert "quick" in [lesson["slug"] for lesson in written["lessons"]]
    assert (out / "quick.html").is_file()
    assert not (out / "worse.html").exists()


def test_a_plugin_that_does_not_import_is_told_with_all_topics_only(strangers_only, quick, studium, site, tmp_path):
    quick()
    site.install("broken", {"broken": "broken_topic"}, {"broken_topic.py": "raise RuntimeError('no luck')"})
    assert studium("html", "quick", "--no-run", "--out", str(tmp_path / "one"))[0] == 0
    code, _, err = studium("html", "--all", "--no-run", "--out", str(tmp_path / "all"))
    assert (code, "problem: broken of broken" in err) == (1, True), err


def test_a_cell_that_fails_is_a_sentence_and_the_page_has_the_rest(quick, studium, tmp_path):
    quick("print('before')\n\n# %%\nsecret = 1\nraise ValueError('no <b>luck</b>')\n\n# %%\nprint('after')")
    out = tmp_path / "out"
    code, printed, err = studium("html", "quick", "--out", str(out))
    assert (code, err) == (1, "problem: quick.html: cell 3 failed: ValueError: no <b>luck</b>\n")
    assert "ran in" in printed
    page = (out / "quick.html").read_text("utf-8")
    shown = [
        page.index(text) for text in (">before<", "This cell did not run: ValueError: no &lt;b&gt;luck", ">after<")
    ]
    assert shown == sorted(shown)
    assert nbformat.read(out / ".studium" / "quick.ipynb", as_version=4).metadata.studium.inputs == ""


def test_tracebacks_are_forgotten_for_they_show_solutions(tmp_path):
    notebook = cells("def solution():\n    return 1 / 0  # the answer is 42", "solution()")
    run_notebook(notebook, "smoke", 60, lambda done, total: None)
    assert failures(notebook) == ["cell 2 failed: ZeroDivisionError: division by zero"]
    assert "42" not in json.dumps(notebook.cells[1].outputs)


def test_running_a_lesson_leaves_the_learners_own_state_alone():
    notebook = cells("from studium.desk.places import data_folder\nprint(data_folder())")
    run_notebook(notebook, "smoke", 60, lambda done, total: None)
    assert notebook.cells[0].outputs[0].text.strip() != str(data_folder())


def test_a_cell_that_takes_too_long_and_a_kernel_that_dies_are_told():
    notebook = cells("import time\ntime.sleep(60)", "print('still here')", "import os\nos._exit(3)", "print('never')")
    steps = []
    run_notebook(notebook, "smoke", 1, lambda done, total: steps.append((done, total)))
    late, died = failures(notebook)
    assert late == "cell 1 failed: Timeout: stopped after 1 s; give it more with --limit"
    assert died.startswith("cell 3 failed: KernelDied: the kernel ended early")
    assert notebook.cells[1].outputs[0].text == "still here\n"
    assert steps == [(0, 4), (1, 4), (2, 4)]


def test_a_progress_bar_leaves_no_word_of_how_it_was_shown_and_costs_no_time(caplog):
    bar = "from rich.progress import Progress\nwith Progress(transient=True) as bar:\n    bar.add_task('training')"
    notebook = cells("\n".join([bar] * 3))
    run_notebook(notebook, "smoke", 20, lambda done, total: None)
    assert "Timeout" not in caplog.text  # a reply was missed
    assert "Output()" in json.dumps(notebook.cells[0].outputs)
    assert "comm" not in json.dumps(notebook.cells[0].outputs)


def test_the_readers_ctrl_c_stops_everything_and_is_no_failure_of_the_lesson(tmp_path):
    started = tmp_path / "started"
    notebook = cells(f"import time\nopen({str(started)!r}, 'w').close()\ntime.sleep(60)")

    def interrupt():
        for _ in range(600):
            if started.exists():
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.1)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_notebook(notebook, "smoke", 60, lambda done, total: None)
    thread.join(60)


def test_a_kernel_that_does_not_start_is_one_sentence(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setattr("studium.site.running._environment", lambda *rest: {"PYTHONHOME": "/nowhere"})
    with pytest.raises(StudiumError, match="running lessons needs a kernel, which did not start"):
        run_notebook(cells("1"), "smoke", 60, lambda done, total: None)


def test_a_failure_that_the_author_announces_is_none():
    notebook = cells("1 / 0")
    notebook.cells[0].metadata["tags"] = ["raises-exception"]
    notebook.cells[0].outputs = [nbformat.v4.new_output("error", ename="ZeroDivisionError", evalue="division by zero")]
    assert failures(notebook) == []
    notebook.cells[0].metadata["tags"] = []
    assert failures(notebook) == ["cell 1 failed: ZeroDivisionError: division by zero"]


COURSE = """
id = "water"

[repository]
url = "https://github.com/owner/water"
site = "docs"
"""


def test_with_a_course_pages_and_notebooks_lead_to_where_the_notebook_can_be_opened(quick, studium, tmp_path):
    quick()
    (tmp_path / "course.toml").write_text(COURSE)
    out = tmp_path / "out"
    code, _, err = studium("html", "quick", "--no-run", "--out", str(out), "--course", str(tmp_path))
    assert code == 0, err
    page, notebook = (out / "quick.html").read_text("utf-8"), nbformat.read(out / "quick.ipynb", as_version=4)
    colab = "https://colab.research.google.com/github/owner/water/blob/main/docs/quick.ipynb"
    assert f'href="{colab}"' in page
    assert f"[Colab]({colab})" in notebook.cells[0].source
    assert "import studium" in notebook.cells[1].source
    assert "import studium\n" not in page  # the lesson of the page is the one without these cells
    assert page.index(">Open in Binder</a>") < page.index("<h1>")
    assert 'href="https://mybinder.org/v2/gh/owner/water/main?urlpath=lab%2Ftree%2Fdocs%2Fquick.ipynb"' in page


def test_without_a_course_nothing_leads_elsewhere_and_without_an_opener_the_site_begins_with_its_first_lesson(
    quick, studium, tmp_path
):
    quick()
    out = tmp_path / "out"
    assert studium("html", "quick", "--no-run", "--out", str(out))[0] == 0
    texts = (out / "quick.html").read_text("utf-8") + (out / "quick.ipynb").read_text("utf-8")
    assert not re.search("colab|binder", texts, re.IGNORECASE)
    assert 'href="quick.html">Begin: quick</a>' in (out / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (COURSE.replace("https", "http"), "needs the https address of a public repository"),
        ('id = "water"', "--course needs a [repository] table with a url"),
        (COURSE.replace("site =", "sight ="), "has the unknown key 'sight' in repository; did you mean 'site'?"),
    ],
)
def test_a_course_that_leads_nowhere_is_one_sentence_and_writes_nothing(quick, studium, tmp_path, text, words):
    quick()
    (tmp_path / "course.toml").write_text(text)
    code, _, err = studium("html", "quick", "--no-run", "--out", str(tmp_path / "out"), "--course", str(tmp_path))
    assert (code, words in err) == (1, True), err
    assert not (tmp_path / "out").exists()


def test_the_site_begins_with_the_opener_which_is_in_no_list_and_no_count(
    strangers_only, quick, studium, site, tmp_path
):
    quick()
    quick(slug="first")
    package = site.folder / "first_topic" / "__init__.py"
    package.write_text(package.read_text().replace('summary="S."', 'summary="S.", minutes=4, opener=True'))
    out = tmp_path / "out"
    code, _, err = studium("html", "--all", "--no-run", "--out", str(out))
    assert code == 0, err
    start = (out / "index.html").read_text("utf-8")
    assert '<a class="button" href="first.html">Begin: 4 minutes</a>' in start
    assert start.count("first.html") == 1
    assert "<span>1 lesson</span>" in start
    first = (out / "first.html").read_text("utf-8")
    assert 'rel="next" href="quick.html"' in first
    assert "<summary>Code</summary>" in first  # as in its notebook
    assert "<summary>Code</summary>" not in (out / "quick.html").read_text("utf-8")


def test_a_site_of_the_opener_alone_counts_no_lessons_and_claims_no_solution(
    strangers_only, quick, studium, site, tmp_path
):
    quick(slug="first")
    package = site.folder / "first_topic" / "__init__.py"
    package.write_text(package.read_text().replace('summary="S."', 'summary="S.", minutes=4, opener=True'))
    out = tmp_path / "out"
    assert studium("html", "first", "--out", str(out))[0] == 0
    assert 'class="sum"' not in (out / "index.html").read_text("utf-8")
    first = (out / "first.html").read_text("utf-8")
    assert "were computed with the profile" in first
    assert "the course's own solution ran" not in first


def test_the_start_page_has_the_first_diagram_of_a_lesson_as_its_image(quick, monkeypatch, tmp_path):
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect class="box"/></svg>'

    def draw(notebook, *_):
        for cell in notebook.cells:
            if "diagram" in cell.metadata.get("tags", ()):
                drawn = {SAVED_WIDGET: {"widget": "w", "state": {"svg": svg}}, "text/plain": "A box."}
                cell.outputs = [nbformat.v4.new_output("display_data", drawn)]

    monkeypatch.setattr("studium.site.building.run_notebook", draw)
    quick('6 * 7\n\n# %% tags=["diagram"]\n"a box"')
    build(tmp_path / "out", "quick")
    start = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert f'<div class="image" aria-hidden="true">{svg}</div>' in start


def test_the_time_of_a_long_course_is_told_in_whole_hours(quick, studium, site, tmp_path):
    quick()
    package = site.folder / "quick_topic" / "__init__.py"
    package.write_text(package.read_text().replace('summary="S."', 'summary="S.", minutes=3281'))
    assert studium("html", "quick", "--no-run", "--out", str(tmp_path / "out"))[0] == 0
    assert "<span>about 55 h</span>" in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_html_as_json_has_the_promised_keys_and_each_of_several_topics_once(quick, studium, tmp_path):
    quick()
    quick(slug="second")
    slugs = ("quick", "second", "quick")
    code, printed, err = studium("html", *slugs, "--out", str(tmp_path / "out"), "--no-run", "--json")
    written = json.loads(printed)
    lesson, second = sorted(written["lessons"], key=lambda lesson: lesson["slug"])
    assert (code, err, written["pages"], written["problems"]) == (0, "", 3, [])
    assert second["slug"] == "second"
    assert {key: lesson[key] for key in ("slug", "page", "notebook", "ran", "problems")} == {
        "slug": "quick",
        "page": "quick.html",
        "notebook": "quick.ipynb",
        "ran": False,
        "problems": [],
    }


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "name one or more topics, or pass --all"),
        (["quick", "--all"], 2, "name one or more topics, or pass --all"),
        (["quik"], 2, "did you mean 'quick'?"),
        (["quick", "--profile", "lap"], 2, "did you mean 'laptop'?"),
        (["quick", "--out", "FILE"], 1, "is a file; name another"),
        (["quick", "--out", "FOLDER"], 1, "contains other files; name another"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_touches_nothing(quick, studium, tmp_path, arguments, code, words):
    quick()
    (tmp_path / "FOLDER").mkdir()
    for path in (tmp_path / "FILE", tmp_path / "FOLDER" / "index.html"):
        path.write_text("mine")
    names = [str(tmp_path / word) if word.isupper() else word for word in arguments]
    got, _, err = studium("html", *names)
    assert (got, words in " ".join(err.split())) == (code, True), err
    assert (tmp_path / "FOLDER" / "index.html").read_text() == "mine"


def test_what_is_searched_has_the_signs_of_formulas_and_not_their_tex():
    for text, plain in [
        ("The update $\\Delta W$ has $r < d$.", "The update ΔW has r<d."),
        ("Then $\\sum_{s \\le t} a_s$.", "Then ∑s≤tas."),
        ("a <b>bold</b> `<tag>`", "a bold"),
    ]:
        assert plain_text(parse(text)) == plain


def test_the_address_of_a_heading_is_made_of_its_tex():
    (section,) = Prose().sections("## The update $\\Delta W$")
    assert (section.heading.text, section.heading.anchor) == ("The update ΔW", "the-update-delta-w")


def test_a_formula_that_is_not_understood_is_told(quick, site, studium, tmp_path):
    quick()
    (site.folder / "quick_topic" / "lesson.py").write_text("# %% [markdown]\n# # T\n#\n# $\\nosuchthing{x}$\n")
    code, _, err = studium("html", "quick", "--out", str(tmp_path / "out"), "--no-run")
    assert (code, "the formula $\\nosuchthing{x}$ could not be parsed" in err) == (1, True), err


def test_a_root_in_plain_text_becomes_a_formula_and_one_in_code_does_not():
    for text, shown in [
        ("q k / √d.", [r"\sqrt{d}"]),
        ("√abar · x0 + √(1 - abar) · eps", [r"\sqrt{\text{abar}}", r"\sqrt{\text{1 − abar}}"]),
        ("√(2 (a + v_k))", [r"\sqrt{\text{2 (a + v\_k)}}"]),
        ("`√d`, √ and √(", []),
    ]:
        html = show_block(text)
        assert re.findall(r"<annotation[^>]*>(.*?)</annotation>", html) == shown
        assert "tex" not in re.findall('class="([^"]*)"', html)


def test_a_check_that_could_not_run_is_told_and_one_that_only_waits_for_an_answer_is_not():
    waiting = nbformat.v4.new_output("display_data", {"text/html": "<div>Not attempted yet: height</div>"})
    (cell,) = cells("lesson.check(height)").cells
    cell.outputs = [waiting]
    assert show_failures(cell) == []
    cell.outputs.append(nbformat.v4.new_output("error", ename="KernelDied", evalue="memory ran out"))
    assert [re.sub("<[^>]*>", "", html) for html in show_failures(cell)] == [
        "This cell did not run: KernelDied: memory ran out"
    ]


def framed(document):
    return f'<div class="widget"><iframe title="W" srcdoc="{html.escape(document)}"></iframe></div>'


def test_widgets_become_files_the_first_is_loaded_at_once_and_those_below_when_they_come_into_view(tmp_path):
    widgets = WidgetFiles()
    page = widgets.moved_out(framed("<p>one") + framed('<p class="a">two'), "waves")
    assert page == (
        '<div class="widget" id="widget.1"><iframe title="W" src="widgets/waves-1.html"></iframe></div>'
        '<div class="widget" id="widget.2"><iframe title="W" loading="lazy" src="widgets/waves-2.html"></iframe></div>'
    )
    assert 'src="widgets/waves-2.html"' in widgets.moved_out(framed('<p class="a">two'), "index")
    (tmp_path / "widgets").mkdir()
    (tmp_path / "widgets" / "gone-1.html").write_text("of a lesson that is gone")
    widgets.write(tmp_path)
    assert {path.name: path.read_text() for path in (tmp_path / "widgets").iterdir()} == {
        "waves-1.html": "<p>one",
        "waves-2.html": '<p class="a">two',
    }


def told(page):
    """The description of a page, and what it says for cards."""
    return dict(re.findall(r'<meta (?:name|property)="(description|og:[a-z:]+|twitter:card)" content="([^"]*)">', page))


def test_each_page_has_a_description_and_a_card_with_an_image_that_is_in_the_site(water_site):
    for name, title in (("waves", "Waves on the water"), ("tides", "Tides"), ("index", "Modern generative AI")):
        found = told((water_site / f"{name}.html").read_text("utf-8"))
        assert found["og:title"].startswith(title)
        assert found["og:description"] == found["description"] != ""
        assert found["twitter:card"] == "summary_large_image"
        assert (water_site / found["og:image"]).read_bytes().startswith(b"\x89PNG")
        assert "og:url" not in found


def test_with_the_address_of_the_site_cards_have_full_addresses(quick, studium, tmp_path):
    quick()
    out, url = tmp_path / "out", "https://owner.github.io/course/"
    assert studium("html", "quick", "--no-run", "--out", str(out), "--url", url)[0] == 0
    page = (out / "quick.html").read_text("utf-8")
    assert told(page)["og:url"] == f"{url}quick.html"
    assert (out / told(page)["og:image"].removeprefix(url)).is_file()
    assert f'<link rel="canonical" href="{url}quick.html">' in page


def test_an_address_that_is_none_is_one_sentence_and_writes_nothing(quick, studium, tmp_path):
    quick()
    for url in ("owner.github.io", "https://owner.github.io/?a", "javascript:alert(1)"):
        code, _, err = studium("html", "quick", "--no-run", "--out", str(tmp_path / "out"), "--url", url)
        assert (code, "--url needs the address of the site, such as" in err) == (1, True), err
    assert not (tmp_path / "out").exists()


def test_a_card_is_drawn_when_its_title_changes_and_the_old_one_goes(quick, counted, site, monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr("studium.site.about.card", lambda *shown: drawn.append(shown[0]) or b"")
    quick()
    for title in ("One", "One", "Two"):
        (site.folder / "quick_topic" / "lesson.py").write_text(f"# %% [markdown]\n# # {title}\n")
        build(tmp_path / "out", "quick")
    assert drawn == ["One", "Modern generative AI, one paper at a time", "Two"]
    assert len(list((tmp_path / "out" / "cards").iterdir())) == 2
