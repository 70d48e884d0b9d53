"""Take the pictures in the README from the real product: ``python docs/pictures.py``, or `make pictures`.

Starts JupyterLab on a fresh workspace, opens it in Chromium, and writes `docs/images`: the cover, and an exercise whose
mistake is named, in light and dark; and a film of the first widget as an animation. Names select some of them: ``python
docs/pictures.py mistake``.
"""

from __future__ import annotations

import io
import itertools
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
from studium.notebooks.cell_ids import cell_id
from studium_topics.kits.film import DenoisingFilm
from studium_topics.kits.shapes_unet import KINDS

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"cover": {"width": 1200, "height": 780}, "mistake": {"width": 1000, "height": 1100}}
SHARP = 1.5  # pixels of an image for one of the page: text stays legible when the README shows it smaller
LIMIT = 300_000  # bytes of an image
THEMES = Path(".jupyter/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings")
WRONG = """def lora_linear(x, weight, bias, a, b, alpha):
    return F.linear(x, weight, bias) + alpha * (x @ a.T @ b.T)"""
STEPS = 50


def main(names: list[str]) -> None:
    """Write the pictures with these names, or all of them."""
    taken = {"film": film, "cover": cover, "mistake": mistake}
    if unknown := set(names) - set(taken):
        raise SystemExit(f"unknown picture {', '.join(sorted(unknown))}: choose from {', '.join(taken)}")
    IMAGES.mkdir(exist_ok=True)
    wanted = names or list(taken)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        if "film" in wanted:
            film(browser)
        if in_lab := [name for name in ("cover", "mistake") if name in wanted]:  # the cover shows a fresh workspace
            with tempfile.TemporaryDirectory() as home, laboratory(Path(home)) as address:
                for name, theme in itertools.product(in_lab, ("light", "dark")):
                    context = browser.new_context(
                        viewport=SIZES[name], color_scheme=theme, device_scale_factor=SHARP, reduced_motion="reduce"
                    )
                    context.set_default_timeout(180_000)
                    save(Image.open(io.BytesIO(taken[name](context.new_page(), address))), f"{name}-{theme}")
                    context.close()


def save(image: Image.Image, name: str, **more: Any) -> None:
    """Write an image as WebP; raise SystemExit if it is too large for a README."""
    path = IMAGES / f"{name}.webp"
    image.convert("RGB").save(path, **{"quality": 88, "method": 6} | more)
    if (size := path.stat().st_size) > LIMIT:
        raise SystemExit(f"{path.name} has {size} bytes, more than {LIMIT}: make it smaller")


def film(browser: Any) -> None:
    """Write the widget's film, frame by frame, as an animated WebP."""
    widget = DenoisingFilm.trained(kind=KINDS.index("a large red ring"), scale=2.0, seed=2, step=STEPS)
    page = browser.new_page(viewport={"width": 720, "height": 700}, color_scheme="dark", device_scale_factor=1)
    page.set_content(f"<body>{widget._saved()['text/html']}</body>")
    frame = page.frame_locator("iframe")
    frame.locator(".st-summary", has_text=f"after {STEPS} of {STEPS} steps").wait_for(timeout=180_000)
    slider, grid = frame.get_by_role("slider", name="Step").first, frame.locator(".st-denoising")
    frames = []
    for step in (*range(0, STEPS, 3), STEPS):
        slider.fill(str(step))
        page.wait_for_timeout(120)
        frames.append(Image.open(io.BytesIO(grid.screenshot())).convert("RGB"))
    pause = [130] * (len(frames) - 1) + [2500]
    save(frames[0], "film", save_all=True, append_images=frames[1:], duration=pause, loop=0, quality=50)


@contextmanager
def laboratory(home: Path) -> Iterator[str]:
    """Run `studium lab` on a fresh workspace; return its address with the token."""
    (home / THEMES).parent.mkdir(parents=True)
    (home / THEMES).write_text('{"adaptive-theme": true}')  # light or dark as the browser prefers
    command = [sys.executable, "-m", "studium", "lab", "--course", str(home / "workspace"), "--no-browser"]
    environment = os.environ | {"HOME": str(home), "STUDIUM_DATA": str(home / "data"), "STUDIUM_PROFILE": "smoke"}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    server = subprocess.Popen(command, env=environment, **output, text=True, start_new_session=True)
    try:
        assert server.stdout
        for line in server.stdout:
            if found := re.search(r"http://localhost:\d+/lab\S+", line):
                yield found[0]
                return
        raise SystemExit("JupyterLab did not start: run `studium lab` to see why")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def cover(page: Any, address: str) -> bytes:
    """Return the cover once its film has ended."""
    page.goto(f"{address}&reset")
    page.locator(".studium-cover-widget canvas").first.wait_for()
    page.locator(".st-summary", has_text=f"after {STEPS} of {STEPS} steps").wait_for()
    return page.screenshot()


def mistake(page: Any, address: str) -> bytes:
    """Answer LoRA's first exercise without dividing by the rank and check it; return its cell with the card below."""
    place = f"&reset#cell-id={cell_id('lora', 'lora_linear')}"
    page.goto(re.sub(r"/lab/tree/[^?]*", "/lab/tree/lora.ipynb", address) + place)
    cell = page.locator(".jp-Cell:has(> .studium-badge)", has_text="def lora_linear(")
    cell.locator(".cm-content").fill(WRONG)
    cell.locator(".studium-badge").click()
    said = page.locator(".jp-CodeCell", has_text="You scaled the update by").locator("visible=true").first
    said.wait_for()
    cell.evaluate("(cell) => cell.scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(1000)  # the notebook draws what has scrolled into view
    top, end = cell.bounding_box(), said.bounding_box()
    badge = 14  # px that it stands out above its cell
    return page.screenshot(
        clip={**top, "y": top["y"] - badge, "height": end["y"] + end["height"] - top["y"] + badge + 8}
    )


if __name__ == "__main__":
    main(sys.argv[1:])
