"""A paper's published numbers beside ours: what is said of them, and how they are drawn."""

from __future__ import annotations

import json
import re

import pytest
from studium import Profile, Published
from studium.catalogue.catalogue import load_catalogue
from studium.errors import TopicError
from studium.experiments.published_panels import HUES, as_lines, panels, rows
from studium_widgets.plots import COLOURS

TABLE = {"q": 70.4, "v": 73.0, "o": 73.2, "q, v": 73.7}
LIKE_THE_PAPER = {"q": 0.36, "v": 0.52, "o": 0.58, "q, v": 0.55}


def published(values=TABLE, **options) -> Published:
    return Published(
        "Hu et al. 2021, Table 5",
        values,
        "right, %",
        lambda result, name: result[name],
        "share",
        "Ours is small.",
        **options,
    )


def beside(ours, **options):
    return published(**options).beside([ours])


def test_our_numbers_are_means_over_the_seeds_in_the_papers_order():
    found = published().beside([LIKE_THE_PAPER, {name: value + 0.02 for name, value in LIKE_THE_PAPER.items()}])
    assert list(found.ours) == list(found.values) == list(TABLE)
    assert found.ours["q"] == pytest.approx(0.37)


def test_pairs_in_the_papers_order_are_counted():
    assert beside(LIKE_THE_PAPER).seen.startswith("5 of 6 pairs are in the paper's order, from small to large.")
    assert beside({"q": 1, "v": 2, "o": 3, "q, v": 4}).seen.startswith("All 6 pairs are in the paper's order")
    assert beside({"q": 4, "v": 3, "o": 2, "q, v": 1}).seen.startswith("0 of 6 pairs are in the paper's order")


def test_numbers_that_the_paper_does_not_tell_apart_have_no_order():
    told = beside(LIKE_THE_PAPER, spread=0.5).seen
    assert told.startswith("All 4 pairs are in the paper's order, from small to large (pairs that are too close in the")
    assert "left out: 2)" in told
    assert beside(LIKE_THE_PAPER, spread=9).seen.startswith("The paper's numbers are too close together")


def test_where_more_in_the_paper_is_less_here_the_order_turns():
    two = {"a": 47.2, "b": 46.0}
    loss = {"a": 1.8, "b": 2.0}
    assert beside(loss, values=two, opposite=True).seen == (
        "The order, from worse to better, is that of the paper. Ours is small."
    )
    assert "from small to large, is not that of the paper" in beside(loss, values=two).seen


def test_equal_numbers_are_not_in_the_papers_order():
    assert "is not that of the paper" in beside({"a": 1.0, "b": 1.0}, values={"a": 1, "b": 2}).seen


def test_a_run_that_is_too_small_is_not_compared():
    found = published().beside([LIKE_THE_PAPER], judged=False)
    assert found.seen == "This run is too small to compare with the paper."


def test_a_number_of_ours_that_is_not_finite_is_not_shown():
    assert beside({**LIKE_THE_PAPER, "q": float("nan")}) is None


def test_a_comparison_needs_two_numbers():
    for values in [{}, {"q": 70.4}, {"q": 70.4, "v": float("nan")}]:
        with pytest.raises(TopicError, match="needs two or more finite numbers to compare"):
            published(values)


def test_each_plot_has_its_own_axis_with_round_ends():
    ours, theirs = re.findall(
        r"space-between[^>]*><span>([^<]*)</span><span>([^<]*)</span>", panels(beside(LIKE_THE_PAPER))
    )
    assert (ours, theirs) == (("0.3", "0.6"), ("70", "74"))


def test_an_axis_begins_at_zero_where_numbers_are_far_apart():
    html = panels(beside({"a": 4.5, "b": 0.5}, values={"a": 40.3, "b": 4.4}))
    assert re.findall(r"space-between[^>]*><span>([^<]*)</span><span>([^<]*)</span>", html) == [("0", "5"), ("0", "50")]


def test_equal_numbers_can_be_drawn():
    assert "NaN" not in panels(beside({"a": 0.0, "b": 0.0}, values={"a": 1, "b": 2}))


def test_both_plots_have_the_same_things_in_the_same_order_and_colours():
    plots = panels(beside(LIKE_THE_PAPER)).split('role="img"')[1:]
    names, hues = (
        [re.findall(pattern, plot) for plot in plots]
        for pattern in (r"<span>([qvo, ]+)</span>", r"background:(#\w{6})")
    )
    assert names == [list(TABLE)] * 2
    assert hues == [list(HUES[:4])] * 2


def test_the_colours_are_those_of_the_widgets():
    assert HUES == COLOURS


def test_a_screen_reader_hears_every_number_and_where_it_is_from():
    ours, theirs = re.findall(r'role="img" aria-label="([^"]*)"', panels(beside(LIKE_THE_PAPER)))
    assert ours == "Here: share. q: 0.36; v: 0.52; o: 0.58; q, v: 0.55."
    assert theirs == "Hu et al. 2021, Table 5: right, %. q: 70.4; v: 73.0; o: 73.2; q, v: 73.7."


def test_names_and_sentences_are_text_and_not_markup():
    html = panels(beside({"<b>": 1.0, "b": 2.0}, values={"<b>": 1, "b": 2}))
    assert "<b>" not in html
    assert "&lt;b&gt;" in html


def test_without_html_the_same_is_told_in_lines():
    lines = as_lines(beside(LIKE_THE_PAPER))
    assert lines[0] == "  here: share; Hu et al. 2021, Table 5: right, %"
    assert lines[1] == "  q: 0.36 here, 70.4 in the paper"
    assert lines[-1].endswith("Ours is small.")


def test_a_papers_numbers_keep_the_decimals_in_which_they_were_printed():
    assert [theirs for _, _, theirs in rows(beside(LIKE_THE_PAPER))] == ["70.4", "73.0", "73.2", "73.7"]


PAIR = """published=Published("Hu et al. 2021, Table 5", {"q": 70.4, "v": 73.0}, "right, %",
    lambda result, name: result * (1 + (name == "v")), "gap", "Ours is small.")"""


@pytest.fixture
def with_numbers(sample, measured_here):
    """The sample topic, whose claims have numbers of a paper; the first one is judged from laptop on."""
    path = sample.folder / "sample_topic" / "experiment.py"
    text = path.read_text().replace("import Claim", "import Claim, Published")
    path.write_text(text.replace("at_most=0.2)", f"at_most=0.2, {PAIR})").replace('="smoke")', f'="smoke", {PAIR})'))
    return sample


def test_reproduce_prints_both_numbers_with_their_source(with_numbers, studium):
    code, out, _ = studium("reproduce", "sample", "--profile", "smoke", "--seeds", "1")
    told = " ".join(out.split())
    assert code == 0
    assert "q 0.50 70.4 Hu et al. 2021, Table 5" in told
    assert "v 1.00 73.0 Hu et al. 2021, Table 5" in told
    assert "This run is too small to compare with the paper." in told
    assert "The order, from small to large, is that of the paper. Ours is small." in told


def test_reproduce_as_json_adds_the_papers_numbers(with_numbers, studium):
    _, out, _ = studium("reproduce", "sample", "--profile", "smoke", "--seeds", "2", "--json")
    first, second = json.loads(out)["claims"]
    assert first["published"]["values"] == {"q": 70.4, "v": 73.0}
    assert second["published"]["ours"] == {"q": pytest.approx(0.505), "v": pytest.approx(1.01)}
    assert second["published"]["source"] == "Hu et al. 2021, Table 5"


def test_numbers_that_an_experiment_cannot_give_are_an_error_of_the_topic(with_numbers, studium):
    path = with_numbers.folder / "sample_topic" / "experiment.py"
    path.write_text(path.read_text().replace("result * (1 +", "result['none'] * (1 +"))
    code, _, err = studium("reproduce", "sample", "--profile", "smoke", "--seeds", "1")
    assert (code, "experiment gap of sample failed: TypeError" in err) == (1, True)


def test_a_claim_says_whether_a_profile_can_judge_it(sample):
    first, second = load_catalogue()["sample"].claims
    smoke, laptop = Profile("smoke"), Profile("laptop")
    assert [first.judged_at(smoke), first.judged_at(laptop), second.judged_at(smoke)] == [False, True, True]
