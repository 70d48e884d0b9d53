"""The writers: the model of the page is the one in torch, a cache changes its work alone, its controls are obeyed."""

import json

import pytest
import torch
from studium_topics.kits import packing, tales_lm
from studium_topics.kits.cache_race import CacheRace
from studium_topics.kits.two_styles import TwoStyles
from studium_topics.kits.writer import CharacterWriter
from traitlets import TraitError

pytestmark = pytest.mark.sample(7, of="browser")

RUN = "tests/kits/writing_run.js"
SETTING = {"temperature": 0.8, "topK": 0, "seed": 3}
START = [0, 0]


@pytest.fixture(scope="module")
def widget():
    return TwoStyles.adapted()


@pytest.fixture(scope="module")
def network(widget):
    return {
        "tensors": widget.tensors,
        "weights": widget.weights.tolist(),
        "scales": widget.scales.tolist(),
        "heads": widget.heads,
    }


def with_adapter(network, widget, share):
    adapter = {"tensors": widget.adapter_tensors, "share": share * widget.alpha / widget.rank}
    adapter |= {name: getattr(widget, f"adapter_{name}").tolist() for name in ("weights", "scales")}
    return network | {"adapter": adapter}


def ids(count=90):
    return torch.randint(len(tales_lm.CHARACTERS), (count,), generator=torch.Generator().manual_seed(0))


@pytest.mark.browser
@pytest.mark.parametrize("chunk", [1, 16, 90])
def test_the_model_of_the_page_computes_what_it_computes_in_torch(call_js, network, chunk):
    found = torch.tensor(call_js(RUN, "logits", network, ids().tolist(), chunk)).view(90, -1)
    with torch.no_grad():
        torch.testing.assert_close(found, tales_lm.trained()(ids()[None])[0], rtol=0, atol=1e-4)


@pytest.mark.browser
@pytest.mark.parametrize("share", [0.0, 0.35, 1.0])
def test_a_merged_adapter_of_the_page_computes_what_the_adapter_beside_it_computes_in_torch(
    call_js, network, widget, share
):
    found = torch.tensor(call_js(RUN, "logits", with_adapter(network, widget, share), ids().tolist(), 90)).view(90, -1)
    with torch.no_grad():
        torch.testing.assert_close(found, tales_lm.adapted(share)(ids()[None])[0], rtol=0, atol=1e-4)


@pytest.mark.browser
def test_the_text_is_the_same_without_a_cache_and_with_one_and_the_work_is_not(call_js, network):
    plain = call_js(RUN, "write", network, START, 40, SETTING, {"keep": False, "chunk": 16})
    kept = call_js(RUN, "write", network, START, 40, SETTING, {})
    assert plain["written"] == kept["written"]
    assert len(set(kept["written"])) > 5
    assert sum(plain["costs"]) > 15 * sum(kept["costs"])


@pytest.mark.browser
def test_the_multiplications_are_those_that_the_sizes_foretell(call_js, network):
    plain = call_js(RUN, "write", network, START, 20, SETTING, {"keep": False, "chunk": 16})["costs"]
    kept = call_js(RUN, "write", network, START, 20, SETTING, {})["costs"]
    for at in (0, 1, 19):
        assert plain[at] == call_js(RUN, "planned", network, 2 + at, 2 + at)
        assert kept[at] == call_js(RUN, "planned", network, 2 + at, 1 if at else 2)


@pytest.mark.browser
def test_at_temperature_zero_each_character_is_the_likeliest(call_js, network):
    found = call_js(RUN, "write", network, START, 30, SETTING | {"temperature": 0}, {})["written"]
    text = torch.tensor([START + found])
    with torch.no_grad():
        assert tales_lm.trained()(text)[0, 1:-1].argmax(-1).tolist() == found


@pytest.mark.browser
def test_top_k_of_one_is_temperature_zero_and_another_seed_another_text(call_js, network):
    write = [SETTING | {"temperature": 0}, SETTING | {"topK": 1}, SETTING, SETTING | {"seed": 4}]
    greedy, one, free, other = (call_js(RUN, "write", network, START, 30, setting, {})["written"] for setting in write)
    assert greedy == one
    assert free != other


@pytest.mark.browser
def test_characters_that_the_model_does_not_know_are_left_out_of_the_prompt(call_js):
    characters = list(tales_lm.CHARACTERS)
    assert call_js(RUN, "idsOf", "zäMia", characters) == [0, 0, *(characters.index(one) for one in "Mia")]


@pytest.mark.browser
@pytest.mark.parametrize(("text", "count"), [("ab" * 30, 58), ("abcdefgh" * 3, 0), ("", 0)])
def test_a_repetition_is_the_longest_end_that_stood_there_before(call_js, text, count):
    assert call_js(RUN, "repeated", text) == count


def test_a_page_carries_each_of_them_in_less_than_half_a_megabyte(widget):
    for one in (widget, CharacterWriter.trained(), CacheRace.trained()):
        assert len(json.dumps(one.snapshot())) < 500_000
        assert len(one._repr_mimebundle_()[0]["text/html"]) < 1_000_000


def test_what_does_not_fit_is_refused():
    for options, message in [
        ({"prompt": "a" * 39}, "at most 38 characters, got 39"),
        ({"length": 50, "written": 60}, "written needs to be from 0 to 50"),
        ({"scales": [1.0]}, r"need .* weights and .* scales, got"),
        ({"tensors": ["a 1000 1000"]}, "at most 600,000 weights"),
        ({"adapter_scales": [1.0]}, "the adapter needs"),
        ({"share": 1.5}, "share needs to be from 0 to 1"),
    ]:
        with pytest.raises(TraitError, match=message):
            TwoStyles.adapted(**options)


def test_a_model_of_ones_own_can_write_too():
    model = tales_lm.untrained()
    widget = CharacterWriter.of(model, tales_lm.CHARACTERS, length=20)
    assert (widget.written, widget.weights.tolist()) == (20, packing.packed(model)[0].tolist())


def paper(page, at=0):
    return page.locator(".st-paper").nth(at)


def finished(page, count, at=0):
    page.wait_for_function(f"document.querySelectorAll('.st-paper')[{at}].textContent.length === {count}")
    return paper(page, at).text_content()


@pytest.mark.browser
def test_it_writes_up_to_its_end_and_another_temperature_writes_another_text(mount):
    page = mount(CharacterWriter.trained(length=80, seed=2))
    before = finished(page, 80)
    page.get_by_role("slider", name="Temperature").press("Home")
    page.wait_for_function(f"document.querySelector('.st-paper').textContent !== {json.dumps(before)}")
    assert finished(page, 80).startswith("Once a ")


@pytest.mark.browser
def test_at_temperature_zero_it_says_that_it_repeats_itself(mount):
    page = mount(CharacterWriter.trained(temperature=0.0))
    finished(page, 280)
    page.get_by_text("stand further up already").wait_for()


@pytest.mark.browser
def test_a_character_further_back_can_be_taken_apart_by_keyboard(mount):
    page = mount(CharacterWriter.trained(length=40, seed=2))
    finished(page, 40)
    page.get_by_role("listbox", name="The last characters").press("Home")
    page.get_by_text("character 29, it might have written").wait_for()
    assert page.get_by_role("option", selected=True).count() == 1


@pytest.mark.browser
def test_a_prompt_begins_the_text(mount):
    page = mount(CharacterWriter.trained(length=30))
    page.get_by_label("Begin with").fill("Tom the bear ")
    page.wait_for_function("document.querySelector('.st-paper').textContent.startsWith('Tom the bear ')")
    assert len(finished(page, 43)) == 43


@pytest.mark.browser
def test_both_lanes_write_the_same_text_and_a_race_is_timed(mount):
    page = mount(CacheRace.trained(length=60, written=30))
    assert finished(page, 30, 0) == finished(page, 30, 1)
    page.get_by_role("button", name="Race with a clock").click()
    page.locator(".st-facts").get_by_text(" ms").wait_for()
    page.get_by_role("slider", name="Characters").press("End")
    assert finished(page, 60, 0) == finished(page, 60, 1)


@pytest.mark.browser
def test_without_the_adapter_both_texts_are_the_same_and_with_it_one_is_a_recipe(mount):
    page = mount(TwoStyles.adapted(length=120))
    assert finished(page, 120, 0) != finished(page, 120, 1)
    page.get_by_role("slider", name="Scale of the adapter").press("Home")
    page.get_by_text("both texts are the same, for 120 characters").first.wait_for()
    assert paper(page, 0).text_content() == paper(page, 1).text_content()
