"""What the Python side of every widget promises."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import studium_widgets
from studium_widgets import Widget
from traitlets import Int, TraitError


def test_a_misspelt_option_names_the_nearest_one(gallery):
    with pytest.raises(TypeError, match=r"has no option 'step': did you mean 'steps'\?"):
        gallery(step=3)


def test_an_option_like_no_other_lists_them_all(gallery):
    with pytest.raises(
        TypeError, match=r"has no option 'qqq': choose from kind, layer, matrix, rate, signed, steps, layout"
    ):
        gallery(qqq=3)


def test_a_widget_without_alternative_text_cannot_be_defined():
    with pytest.raises(TypeError, match="Silent needs an alternative text but has none: define the property alt"):
        type("Silent", (Widget,), {"_script": "silent.js"})


def test_the_alternative_text_follows_the_state(gallery):
    widget = gallery(steps=7)
    widget.steps = 9
    assert widget._alt == "Two waves of 9 steps."


def test_text_hosts_get_the_whole_alternative_text(gallery):
    widget = gallery()
    assert repr(widget) == widget._repr_mimebundle_()[0]["text/plain"] == "Two waves of 100 steps."


def test_the_live_view_stays_in_the_bundle(gallery):
    assert "application/vnd.jupyter.widget-view+json" in gallery()._repr_mimebundle_()[0]


def test_state_is_the_public_synced_traits_alone(gallery):
    assert gallery().state_names() == ("kind", "layer", "matrix", "rate", "signed", "steps")


def test_a_snapshot_is_json_and_holds_every_state_trait(gallery):
    shot = json.loads(json.dumps(gallery().snapshot()))
    assert shot["alt"] == "Two waves of 100 steps."
    assert sorted(shot["state"]) == ["kind", "layer", "matrix", "rate", "signed", "steps"]
    assert shot["state"]["matrix"]["shape"] == [12, 12]


def test_a_snapshot_rebuilds_the_same_widget(gallery):
    first = gallery(steps=5)
    second = gallery()
    second.set_state(first.snapshot()["state"])
    assert second.steps == 5
    assert np.array_equal(first.matrix, second.matrix)


def test_the_kernel_never_echoes_a_value_that_a_slider_may_have_left_behind(gallery):
    widget = gallery()
    assert {widget.trait_metadata(name, "echo_update", True) for name in widget.state_names()} == {False}


def test_a_widget_is_named_by_package_and_script():
    from studium_widgets import AttentionHeatmap

    assert AttentionHeatmap.name() == "studium_widgets/attention"


def test_check_sees_contradictions_at_construction_and_later(gallery):
    class Even(type(gallery())):
        count = Int(0).tag(sync=True)

        def check(self) -> None:
            if self.count % 2:
                raise TraitError(f"count needs to be even, got {self.count}")

    with pytest.raises(TraitError, match="count needs to be even, got 3"):
        Even(matrix=[[0.0]], count=3)
    widget = Even(matrix=[[0.0]])
    with pytest.raises(TraitError, match="got 5"):
        widget.count = 5


def test_public_names_are_sorted_and_all_resolve():
    assert studium_widgets.__all__ == sorted(studium_widgets.__all__)
    assert all(getattr(studium_widgets, name) for name in studium_widgets.__all__)


def test_an_unknown_public_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="studium_widgets has no 'Heatmap': it has Array, AttentionHeatmap"):
        _ = studium_widgets.Heatmap


def test_importing_the_package_imports_no_heavy_library_and_making_a_widget_neither_torch_nor_plotly():
    code = (
        "import sys, studium_widgets as s; print({'torch', 'plotly', 'ipywidgets', 'numpy'} & set(sys.modules));"
        "s.AttentionHeatmap(tokens=['a'], weights=[[[[1.0]]]]); print({'torch', 'plotly'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["set()", "set()"]


def test_the_bundle_holds_the_state_once_as_data_and_once_as_a_page_that_needs_nothing_else(gallery):
    widget = gallery()
    bundle = widget._repr_mimebundle_()[0]
    assert bundle["application/vnd.studium.widget+json"] == widget.snapshot()
    assert "</script>" not in bundle["text/html"]
    assert "http" not in bundle["text/html"].replace("http-equiv", "")


def test_a_picture_too_large_to_be_saved_is_shown_live_alone(gallery, monkeypatch):
    monkeypatch.setattr("studium_widgets.base.LARGEST_SAVED", 100)
    bundle = gallery()._repr_mimebundle_()[0]
    assert sorted(bundle) == ["application/vnd.jupyter.widget-view+json", "text/plain"]


def test_a_live_widget_sends_at_most_thirty_kilobytes_of_source(gallery):
    assert len(gallery()._esm) < 30_000
