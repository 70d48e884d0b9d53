"""The renderer of saved outputs, with a notebook's model and panel in few lines: what a reader moved is never lost."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

SAVED = "application/vnd.studium.widget+json"
NOTEBOOK = """async ([source, data]) => {
  const { extension } = await import("/widgets/labextension/renderer.js");
  class Panel {
    node = document.querySelector("main").appendChild(document.createElement("div"));
    isAttached = true;
    dispose() { this.isDisposed = true; }
  }
  const ServerConnection = {
    makeSettings: () => ({ baseUrl: "/" }),
    makeRequest: async () => new Response(source),
  };
  window.newModel = (data) => ({ data, setData(change) { this.data = change.data; output.renderModel(this); } });
  window.output = extension({ Panel, ServerConnection }).rendererFactory.createRenderer();
  window.model = newModel(data);
  await output.renderModel(model);
}"""
STEPS = f"model.data['{SAVED}'].state.steps"


@pytest.fixture
def output(open_page, gallery):
    """A page with one saved output of the gallery, whose slider "Steps" a reader has moved by one, to 101."""
    page = open_page()
    widget = gallery()
    page.evaluate(NOTEBOOK, [widget.module(), {SAVED: widget.snapshot(), "text/plain": widget.alt}])
    page.get_by_role("slider", name="Steps").press("ArrowRight")
    return page


def steps(page) -> str:
    return page.get_by_role("slider", name="Steps").input_value()


def test_what_was_moved_stays_when_the_same_data_are_rendered_again(output):
    output.evaluate("output.renderModel(newModel(structuredClone(model.data)))")
    assert steps(output) == "101"
    output.evaluate("output.renderModel(model)")
    output.wait_for_function(f"{STEPS} === 101")
    assert steps(output) == "101"


@pytest.mark.heavy
def test_what_was_moved_just_before_the_output_closes_is_kept(output):
    assert output.evaluate(STEPS) == 100
    output.evaluate("output.dispose()")
    output.wait_for_function(f"{STEPS} === 101")
    assert output.locator(".studium").count() == 0


def test_what_was_moved_is_not_written_over_the_data_of_a_cell_that_ran_again(output):
    changed = f"const data = structuredClone(model.data); data['{SAVED}'].state.steps = 7;"
    output.evaluate(f"{changed} model = newModel(data); output.renderModel(model)")
    output.wait_for_function("document.querySelector('input[aria-label=Steps]')?.value === '7'")
    output.wait_for_timeout(700)  # longer than a change waits
    assert output.evaluate(STEPS) == 7
