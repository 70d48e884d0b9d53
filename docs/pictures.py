"""Takes the pictures of the README from the real product: ``python docs/pictures.py``, or `make pictures`.

Starts JupyterLab on a fresh workspace, opens it in Chromium, and writes `docs/images`: the cover, and an exercise whose
mistake is named, in light and dark; and a film of the first widget as an animation.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright
from studium_topics.kits.film import DenoisingFilm
from studium_topics.kits.shapes_unet import KINDS

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZE = {"width": 1360, "height": 860}
THEMES = Path(".jupyter/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings")
WRONG = """def lora_linear(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha * (x @ a.T @ b.T)
"""
STEPS = 50


def main() -> None:
    """Write all pictures."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as home:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        film(browser)
        with laboratory(Path(home)) as address:
            for name in ("light", "dark"):
                page = browser.new_context(viewport=SIZE, color_scheme=name).new_page()
                page.set_default_timeout(180_000)
                cover(page, address, name)
                mistake(page, address, name)
                page.context.close()


def film(browser: Any) -> None:
    """Write the widget's film, frame by frame, as an animated WebP."""
    widget = DenoisingFilm.trained(kind=KINDS.index("a large red ring"), scale=2.0, seed=2, step=STEPS)
    page = browser.new_page(viewport={"width": 720, "height": 700}, color_scheme="dark", device_scale_factor=1)
    page.set_content(f"<body>{widget._saved()['text/html']}</body>")
    frame = page.frame_locator("iframe")
    frame.locator(".st-summary", has_text=f"after {STEPS} of {STEPS} steps").wait_for(timeout=180_000)
    slider, grid = frame.get_by_role("slider", name="Step").first, frame.locator(".st-denoising")
    frames = []
    for step in range(0, STEPS + 1, 2):
        slider.fill(str(step))
        page.wait_for_timeout(120)
        frames.append(Image.open(io.BytesIO(grid.screenshot())).convert("RGB"))
    pause = [90] * (len(frames) - 1) + [2500]
    frames[0].save(IMAGES / "film.webp", save_all=True, append_images=frames[1:], duration=pause, loop=0, quality=80)


@contextmanager
def laboratory(home: Path) -> Iterator[str]:
    """Run `studium lab` on a fresh workspace; give its address with the token."""
    (home / THEMES).parent.mkdir(parents=True)
    (home / THEMES).write_text('{"adaptive-theme": true}')  # light or dark as the browser is
    command = [sys.executable, "-m", "studium", "lab", "--course", str(home / "workspace"), "--no-browser"]
    environment = os.environ | {"HOME": str(home), "STUDIUM_DATA": str(home / "data"), "STUDIUM_PROFILE": "smoke"}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert server.stderr
        for line in server.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+/lab\S+", line):
                yield found[0]
                return
        raise SystemExit("JupyterLab did not start: run `studium lab` to see why")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def cover(page: Any, address: str, name: str) -> None:
    """Take the cover once its film has ended."""
    page.goto(address)
    widget = page.locator(".studium-cover-widget")
    widget.locator("canvas").first.wait_for()
    page.locator(".st-summary", has_text=f"after {STEPS} of {STEPS} steps").wait_for()
    page.screenshot(path=IMAGES / f"cover-{name}.png")


def mistake(page: Any, address: str, name: str) -> None:
    """Answer LoRA's first exercise without the rank, check it, and take what is said beside the cell."""
    page.goto(re.sub(r"/lab/tree/[^?]*", "/lab/tree/lora.ipynb", address))
    cell = page.locator(".jp-Cell:has(> .studium-badge)", has_text="def lora_linear(")
    cell.locator(".cm-content").fill(WRONG)
    cell.locator(".studium-badge").click()
    page.get_by_text("You scaled the update by").locator("visible=true").first.wait_for()
    cell.scroll_into_view_if_needed()
    page.screenshot(path=IMAGES / f"mistake-{name}.png")


if __name__ == "__main__":
    main()
