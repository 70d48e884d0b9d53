"""What a cell of a lesson has reproduced: the claim is the title of its figure, and each claim has its number below."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import plotly.graph_objects as go
import pytest
from studium import Profile, Published
from studium.catalogue.catalogue import load_catalogue
from studium.experiments.predictions import Prediction
from studium.experiments.reproduced import show_reproductions

LAPTOP = Profile("laptop")


class Shell:
    """As much of a kernel's shell as the module uses."""

    def __init__(self) -> None:
        from IPython.core.events import EventManager, available_events
        from IPython.core.formatters import DisplayFormatter

        self.user_ns: dict[str, Any] = {}
        self.findings: list[Prediction] = []
        self.events = EventManager(self, available_events)
        self.display_formatter = DisplayFormatter()

    def run(self, source: str) -> None:
        """Run a cell."""
        self.events.trigger("pre_run_cell", SimpleNamespace(raw_cell=source))
        exec(source, self.user_ns)
        self.events.trigger("post_run_cell", SimpleNamespace(success=True))


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, as text."""
    found: list[Any] = []
    monkeypatch.setattr("IPython.display.display", found.append)
    return found


@pytest.fixture
def shell(sample):
    """A shell in which the lesson of the topic "sample" is open, with its experiment imported."""
    shell = Shell()
    topic = load_catalogue()["sample"]
    show_reproductions(shell, topic, LAPTOP, shell.findings)
    shell.user_ns |= {"experiment": topic.module("experiment"), "go": go}
    return shell


RUN = "result = experiment.gap(None, profile=profile, seed=0)\n"


def figure_in(shell: Shell, source: str) -> go.Figure:
    """Return the figure that a cell ends with, as it was displayed."""
    drawn: list[go.Figure] = []
    shell.user_ns |= {"profile": LAPTOP, "drawn": drawn}
    shell.user_ns["end"] = shell.display_formatter.ipython_display_formatter
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(go.Figure, "_ipython_display_", lambda figure: drawn.append(figure))
        shell.run(f"{source}end(figure)\n")
    return drawn[0]


def test_a_cell_that_runs_an_experiment_says_what_each_of_its_claims_measures(shell, shown):
    shell.user_ns["profile"] = LAPTOP
    shell.run(RUN)
    (found,) = shown
    first, second, how = repr(found).splitlines()
    assert first == "✓ the gap is small: 0.1 here; the claim needs at most 0.2"
    assert second == "✓ the gap is there: 0.1 here; the claim needs at least 0.05"
    assert re.fullmatch(r"reproduced on (1 core|\d+ cores) in 1 s", how)
    assert found._repr_html_().count("the gap is") == 2


def test_a_figures_title_is_the_claim_with_the_number_beside_the_claims_own(shell, shown):
    made = figure_in(shell, f"{RUN}figure = go.Figure(go.Bar(y=[1], name='one'), layout={{'height': 300}})\n")
    assert made.layout.title.text == "<b>the gap is small</b>"
    assert made.layout.title.subtitle.text.startswith("0.1 here; the claim needs at most 0.2<br>reproduced on ")
    assert made.layout.height - made.layout.margin.t >= 300 - 30


def test_a_long_claim_is_broken_into_lines_that_a_phone_shows(shell, shown):
    claim = shell.user_ns["experiment"].claims[0]
    object.__setattr__(claim, "text", "word " * 40)
    lines = re.split("<br>", figure_in(shell, f"{RUN}figure = go.Figure()\n").layout.title.text)
    assert max(map(len, lines)) <= 40 + len("<b>")


def test_a_title_that_the_author_has_set_stays(shell, shown):
    made = figure_in(shell, f"{RUN}figure = go.Figure(layout={{'title': 'Mine', 'height': 300}})\n")
    assert (made.layout.title.text, made.layout.height) == ("Mine", 300)


def test_a_figure_of_a_cell_without_an_experiment_is_left_as_it_is(shell, shown):
    made = figure_in(shell, "result = 0.1\nfigure = go.Figure()\n")
    assert (made.layout.title.text, shown) == (None, [])


@pytest.mark.parametrize(
    ("profile", "said"),
    [(Profile("smoke"), "○ the gap is small: 0.5 here"), (LAPTOP, "✗ the gap is small: 0.7 here")],
)
def test_a_claim_that_fails_or_that_a_small_run_cannot_judge_is_never_called_reproduced(sample, shown, profile, said):
    shell, topic = Shell(), load_catalogue()["sample"]
    show_reproductions(shell, topic, profile)
    seed = 0 if profile.name == "smoke" else 60
    shell.user_ns |= {"experiment": topic.module("experiment"), "profile": profile}
    shell.run(f"result = experiment.gap(None, profile=profile, seed={seed})\n")
    text = repr(shown[0])
    assert said in text
    assert re.search(r"^(not reproduced|too small a run to judge, measured) on ", text, re.MULTILINE)


def test_a_result_that_no_claim_can_read_and_a_magic_stop_nothing(shell, shown):
    shell.user_ns["profile"] = LAPTOP
    shell.run(f"{RUN}result = None\n")
    shell.events.trigger("pre_run_cell", SimpleNamespace(raw_cell="%time 1 +"))
    shell.events.trigger("post_run_cell", SimpleNamespace(success=True))
    assert shown == []


def published(ours):
    return Published("Hu et al. 2021, Table 5", {"q": 70.4, "v": 73.0}, "right, %", ours, "gap", "Ours is small.")


def test_a_claims_row_has_the_papers_numbers_below_it(shell, shown):
    claim = shell.user_ns["experiment"].claims[0]
    object.__setattr__(claim, "published", published(lambda result, name: result * (1 + (name == "v"))))
    shell.user_ns["profile"] = LAPTOP
    shell.run(RUN)
    (found,) = shown
    lines = repr(found).splitlines()
    assert lines[2:4] == ["  q: 0.10 here, 70.4 in the paper", "  v: 0.20 here, 73.0 in the paper"]
    assert lines[5].startswith("✓ the gap is there")
    html = found._repr_html_()
    assert html.index("the gap is small") < html.index("Table 5: right, %") < html.index("the gap is there")


def test_a_result_that_the_comparison_cannot_read_still_has_its_claim(shell, shown):
    claim = shell.user_ns["experiment"].claims[0]
    object.__setattr__(claim, "published", published(lambda result, name: result[name]))
    shell.user_ns["profile"] = LAPTOP
    shell.run(RUN)
    assert "the gap is small: 0.1 here" in repr(shown[0])
    assert "Table 5" not in repr(shown[0])


def test_a_lesson_that_is_opened_again_says_everything_once(shell, shown):
    show_reproductions(shell, load_catalogue()["sample"], LAPTOP)
    shell.user_ns["profile"] = LAPTOP
    shell.run(RUN)
    assert len(shown) == 1


def test_a_guess_of_the_claims_number_is_marked_on_its_bar_and_another_one_has_its_own_line(shell, shown):
    shell.user_ns |= {"profile": LAPTOP, "findings": shell.findings, "Prediction": Prediction}
    shell.run(f"{RUN}findings += [Prediction('gap', 0.1, 0.3), Prediction('rank', 7, 3), Prediction('else', 5)]\n")
    rank, other, found = shown
    assert repr(rank) == "rank is 7; you expected 3."
    assert repr(other) == "else is 5."
    assert [row.guess for row in found.rows] == [0.3, 0.3]
    assert all(label in found._repr_html_() for label in ("you 0.3", "found 0.1"))
    shown.clear()
    shell.run("findings.append(Prediction('rank', 7, 3)); findings[0]._repr_mimebundle_()")
    assert shown == []
