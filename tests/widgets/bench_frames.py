"""Frame times of every widget at its largest size on a page from disk; judges nothing (`make bench`)."""

from __future__ import annotations

import pytest
from studium_widgets.conformance.frames import drags

from tests.widgets.conformance.every_widget import largest_sizes, run

SIZE = {"width": 1300, "height": 900}


@pytest.mark.parametrize("case", largest_sizes())
def test_frame_times_on_a_page_from_disk(chromium, tmp_path, case):
    html = run(largest_sizes()[case])._repr_mimebundle_()[0]["text/html"]
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset='utf-8'>{html}", encoding="utf-8")
    with chromium.new_context(offline=True, viewport=SIZE) as context:
        page = context.new_page()
        page.goto((tmp_path / "page.html").as_uri())
        view = page.frame_locator("iframe").locator(".studium")
        view.wait_for()
        print()
        for verdict in drags(view):
            print(f"{case}, page from disk: {verdict.detail}")
