"""The documentation is true: generated pages are current, links lead somewhere, and the commands shown exist."""

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import nbgrader
import pytest
import typer
import yaml
from studium import __version__, hookimpl
from studium.catalogue import hookspecs
from studium.catalogue.catalogue import load_catalogue
from studium.catalogue.plugins import Loaded, Plugins, builtin_plugins
from studium.desk.operator_defaults import read_defaults
from studium.desk.settings_form import Settings
from studium_graders.assignments.plan import plan_notebooks
from studium_graders.course.course_file import Assignment, Classroom, Course, Grading, Late, read_course
from studium_graders.course.limits import Limits

from .page_checks import (
    broken_links,
    invented_snippets,
    stale_pages,
    unknown_targets,
    unsaid_messages,
    wrong_commands,
)

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("commands/*.md"), *DOCS.glob("hooks/*.md"), *DOCS.glob("controls/*.md")])


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The module docs/generate.py, which is a script and in no package."""
    sys.path.insert(0, str(DOCS))  # as Python does it for a script
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def app(generate: ModuleType) -> typer.Typer:
    return generate.own_app()


@pytest.fixture(scope="module")
def made(generate: ModuleType) -> dict[str, str]:
    """The generated pages as they would be written now."""
    return dict(generate.pages())


def test_generated_pages_are_what_the_code_says(made):
    stale = stale_pages(DOCS, made)
    assert not stale, f"stale pages: {', '.join(stale)}; run `make docs` and commit them"


def test_every_command_has_a_page_and_every_page_a_command(app):
    command = typer.main.get_command(app)
    groups = {name for name, item in command.commands.items() if hasattr(item, "commands")}
    names = {name for name in command.commands if name not in groups or command.commands[name].invoke_without_command}
    names |= {f"{name}-{inner}" for name, item in command.commands.items() for inner in getattr(item, "commands", {})}
    assert {path.stem for path in DOCS.glob("commands/*.md")} - {"index"} == names


def test_a_commands_page_has_the_options_and_arguments_of_the_command(app, generate):
    commands = sys.modules["generators.commands"]
    root = typer.main.get_command(app)
    for words, callback in generate.commands_of(app):
        command = root
        for word in words.split():
            command = command.commands[word]
        page = {word for item in commands.parameters(callback) for word in re.split("[,/]", item.spelling)}
        page = {word.split()[0].lower().removeprefix("--").replace("-", "_") for word in page}
        real = {
            word.removeprefix("--").replace("-", "_")
            for item in command.params
            for word in (*item.opts, *item.secondary_opts)
        }
        assert page == real - {"h", "_h", "help"}, words


def test_every_hook_has_a_page_and_every_page_a_hook():
    assert {path.stem for path in DOCS.glob("hooks/*.md")} - {"index"} == {
        name for name in vars(hookspecs) if name.startswith("studium_")
    }


def test_links_lead_somewhere():
    broken = {str(path.relative_to(ROOT)): broken_links(path) for path in (*PAGES, *ROOT.glob("*.md"))}
    assert {page: links for page, links in broken.items() if links} == {}


def test_the_places_that_newcomers_are_sent_to_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    places = [place for place in re.findall(r"`([\w./]+/[\w./]*)`", text) if not place.startswith(".venv")]
    assert len(places) > 5
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_what_cannot_ask_the_package_for_its_version_has_the_same():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == __version__
    for part in ("course", "widgets"):
        package = ROOT / part / "labextension" / "package.json"
        assert json.loads(package.read_text("utf-8"))["version"] == __version__


def test_commands_shown_exist_and_take_what_they_are_given(app):
    makefile, texts = (ROOT / "Makefile").read_text("utf-8"), {path.name: path.read_text("utf-8") for path in PAGES}
    wrong = {name: [*wrong_commands(text, app), *unknown_targets(text, makefile)] for name, text in texts.items()}
    assert {page: commands for page, commands in wrong.items() if commands} == {}


def test_what_authors_are_shown_stands_in_the_sample_or_in_lora():
    sample, lora = DOCS / "examples" / "studium-topic-echo", ROOT / "plugins/studium_topics/lora"
    files = [*sample.glob("*.toml"), *sample.glob("studium_topic_echo/*.py"), lora / "experiment.py"]
    sources = {str(path): path.read_text("utf-8") for path in files}
    assert invented_snippets((DOCS / "author.md").read_text("utf-8"), sources) == []


def test_the_messages_in_a_table_of_symptoms_are_what_the_commands_print():
    folders = [*(ROOT / folder for folder in ("course", "graders")), Path(nbgrader.__file__).parent / "apps"]
    folders += [Path(nbgrader.__file__).parent / "exchange", Path(typer.__file__).parent]
    sources = [path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py")]
    text = "".join((DOCS / name).read_text("utf-8") for name in ("troubleshooting.md", "students.md"))
    assert unsaid_messages(text, sources) == []


def test_the_commands_of_a_term_at_a_glance_are_twelve_and_on_the_instructors_pages():
    glance = (DOCS / "term-at-a-glance.md").read_text("utf-8")
    page = "".join(path.read_text("utf-8") for path in sorted(DOCS.glob("instructor*.md")))
    commands = re.findall(r"^\|[^|]*\| `(.+?)` \|", glance, re.MULTILINE)
    assert len(commands) == 12
    assert [one for one in commands if not re.search(" ".join(one.split()[:2]), page)] == []


def test_the_settings_that_instructors_are_shown_make_a_course(tmp_path):
    (shown,) = re.findall(r"```toml\n(.*?)```", (DOCS / "instructor.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "course.toml").write_text(shown, "utf-8")
    course = read_course(tmp_path)
    assert [assignment.name for assignment in course.assignments] == ["ps1", "ps2", "ps3"]
    for assignment in course.assignments:
        assert plan_notebooks(assignment, load_catalogue())


def test_the_desks_defaults_that_operators_are_shown_can_be_used(tmp_path, monkeypatch):
    (shown,) = re.findall(r"```toml\n(.*?)```", (DOCS / "operator.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "desk.toml").write_text(shown, "utf-8")
    monkeypatch.setenv("STUDIUM_DEFAULTS", str(tmp_path / "desk.toml"))
    found = read_defaults()
    assert (found.locked, found.settings.limit) == (("warm", "limit"), 30.0)
    assert all(f"`{name}`" in (DOCS / "operator.md").read_text("utf-8") for name in Settings.__struct_fields__)


def test_every_key_of_the_settings_is_in_the_instructors_table():
    rows = re.findall(r"^\| `\[*(\w+)\]*` \|", (DOCS / "instructor.md").read_text("utf-8"), re.MULTILINE)
    structs = (Course, Assignment, Classroom, Grading, Late, Limits)
    keys = {name for struct in structs for name in struct.__struct_fields__}
    assert set(rows) == keys


def test_every_control_that_a_view_imports_is_described():
    described = (DOCS / "controls/index.md").read_text("utf-8")
    views = [*(ROOT / "widgets/studium_widgets").glob("*.js"), *(ROOT / "plugins").rglob("*.js")]
    line = re.compile(r"import \{\s([^}]+?),?\s\} from .*/controls/(\w+)\.js")
    found = [line.findall(path.read_text("utf-8")) for path in views]
    imported = {
        (name, module)
        for lines in found
        for names, module in lines
        for name in re.split(r"(?: as \w+)?(?:,\s+|$)", names)
        if name
    }
    lines = {f'import {{ {name} }} from "studium_widgets/controls/{module}.js";' for name, module in imported}
    assert ("slider", "slider") in imported
    assert lines == set(re.findall(r"^import .*$", described, re.MULTILINE))


def test_every_page_can_be_reached_from_the_index():
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = (page.parent / link for link in _links(page))
        waiting += [found for link in links if (found := link.resolve()) in PAGES and found not in reached]
    assert set(PAGES) == reached


def _links(page: Path) -> list[str]:
    return [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))]


def test_a_changed_a_missing_and_a_left_over_page_are_stale(made, tmp_path):
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("examples"))
    docs = tmp_path / "docs"
    assert stale_pages(docs, made) == []
    (docs / "commands/check.md").write_text("old", "utf-8")
    (docs / "commands/lab.md").unlink()
    (docs / "hooks/studium_gone.md").write_text("old", "utf-8")
    assert stale_pages(docs, made) == ["commands/check.md", "commands/lab.md", "hooks/studium_gone.md"]


def test_a_message_that_no_command_prints_is_named():
    source = 'raise Error(f"{name} must be built "\n    f"first: {file}")'
    page = "| what you see |\n|---|\n| `… must be built first: …` |\n| `… must be made before` | |\n"
    assert unsaid_messages(page, [source]) == ["… must be made before"]


def test_a_link_to_no_file_or_no_heading_is_broken(tmp_path):
    (tmp_path / "other.md").write_text("# Two words, `one` code\n", "utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#two-words-one-code) [c](https://example.org) `[d](none.md)`\n"
        "[e](none.md) [f](other.md#none) [g](#none)\n",
        "utf-8",
    )
    assert broken_links(page) == ["none.md", "other.md#none", "#none"]


def test_a_command_line_that_does_not_parse_is_wrong(app):
    lines = {
        "$ studium nothing": "nothing",
        "$ studium check": "Missing",
        "$ studium check a.ipynb --quick": "--quick",
        "$ studium reproduce --all --seeds none": "none",
        "$ studium new": "no command",
        "$ STUDIUM_PROFILE=smoke .venv/bin/studium nothing": "nothing",
    }
    wrong = wrong_commands("```console\n" + "\n".join(lines) + "\n```\n", app)
    assert [fault in said for fault, said in zip(lines.values(), wrong, strict=True)] == [True] * len(lines)


def test_a_command_line_that_parses_is_not(app):
    lines = [
        "$ STUDIUM_PROFILE=smoke .venv/bin/studium reproduce lora --seeds 1   # a comment",
        "$ studium assign ps1 \\\n    --course gen-ai",
        "$ studium check --help",
        "$ studiumx nothing",
        "studium nothing",
    ]
    assert wrong_commands("```console\n" + "\n".join(lines) + "\n```\n", app) == []


def test_a_command_in_the_text_must_exist_with_its_options(app):
    text = "`studium check`, `studium new course`, `studium topics --json`, `studium fly`, `studium topics --all`"
    assert wrong_commands(text, app) == ["studium fly", "studium topics --all"]
    text = "`studium accommodations --from-csv x.csv`, `studium accommodations x.csv`, `studium new --course x`"
    assert wrong_commands(text, app) == ["studium accommodations x.csv", "studium new --course x"]


def test_a_snippet_that_differs_from_its_source_is_invented():
    text = "```python\nx = 1\n```\n```python\nx = 2\ny = 3\n```\n```text\nx = 4\n```\n"
    assert invented_snippets(text, {"a.py": "import b\nx = 1\n"}) == ["x = 2"]


def test_a_make_target_must_be_in_the_makefile():
    assert unknown_targets("`make lab`\n```console\n$ make nothing\n```\n", "lab: install\n") == ["nothing"]


def test_somebody_elses_commands_get_no_page(generate, monkeypatch):
    class Stranger:
        @hookimpl
        def studium_commands(self, app: typer.Typer) -> None:
            app.command("strange")(lambda: None)

    manager, stranger = builtin_plugins(), Stranger()
    manager.register(stranger)
    loaded = Loaded(stranger, "stranger", "studium-topic-stranger", "1")
    monkeypatch.setattr("generators.commands.load_plugins", lambda: Plugins(manager, [loaded]))
    assert "strange" not in dict(generate.commands_of(generate.own_app()))
