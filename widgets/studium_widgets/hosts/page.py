"""A widget as a page of its own, in a frame: for HTML files, slides and web viewers, with no kernel and no network.

The frame contains the whole widget and may run scripts, but can reach neither the page around it nor the network. It
sends {"studium-widget-height": pixels, "studium-widget-state": fragment} to the page around it whenever its height or
its state changes, and in answer to any message. {"studium-widget-theme": "light" | "dark"} sets its theme, which is
otherwise the reader's system's. In a file, the page shows the state that the fragment of its address names.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from studium_widgets.modules import UNPACK, pack, pack_module

__all__ = ["frame"]

HERE = Path(__file__).parent
HEIGHT = 520  # pixels, if the page around the frame runs no scripts

# Inline handlers run in a page that was assembled from text, where script elements do not.
FIT = """\
window.addEventListener('message', ({source, data}) => {
if (source === this.contentWindow && data['studium-widget-height'] > 0)
this.style.height = Math.min(data['studium-widget-height'], 4000) + 'px' });
this.contentWindow.postMessage({}, '*')"""


def frame(module: str, saved: dict[str, Any]) -> str:
    """Return the HTML of one iframe that shows the data `saved` (a snapshot) with the widget's `module`."""
    attributes = {
        "title": saved["alt"],
        "sandbox": "allow-scripts",
        "style": f"width: 100%; height: {HEIGHT}px; border: 0; color-scheme: light dark",
        "onload": FIT.replace("\n", " "),
        "srcdoc": page(module, saved),
    }
    spelt = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<iframe {spelt}></iframe>"


def page(module: str, saved: dict[str, Any]) -> str:
    """Return the HTML document in the frame."""
    view = f'const view = await load("{pack_module(module)}");\n'
    data = f'const saved = JSON.parse(await unpack("{pack(json.dumps(saved))}"));\n'
    script = UNPACK + view + data + (HERE / "page.js").read_text(encoding="utf-8")
    template = (HERE / "page.html").read_text(encoding="utf-8")
    return template.format(title=html.escape(saved["alt"]), script=script)
