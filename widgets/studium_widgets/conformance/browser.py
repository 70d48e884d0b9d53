"""Chromium for the checks: the one installed on this machine, never a download."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["UnavailableError", "launched"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
UNUSED = (  # by an address bar that nobody sees, which starts two renderers more for each page; and a renderer ahead
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "SpareRendererForSitePerProcess"),
    # what Playwright itself turns off: if such a switch appears twice, Chromium uses the last
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades"),
    *(
        "HttpsFirstBalancedModeAutoEnable",
        "LensOverlay",
        "MediaRouter",
        "PaintHolding",
        "ThirdPartyStoragePartitioning",
    ),
    *("AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled"),
    "PreconnectToSearch",
)
SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    f"--disable-features={','.join(UNUSED)}",
)


class UnavailableError(RuntimeError):
    """What the browser checks need and this machine lacks, as a sentence."""


@contextmanager
def launched() -> Iterator[Any]:
    """Yield a playwright Browser, closed at the end.

    Raises UnavailableError if playwright or Chromium is missing.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise UnavailableError(
            "the browser checks need playwright, which is not installed: pip install 'studium[conformance]'"
        ) from None
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_executable(driver), args=SWITCHES)
        yield browser
        browser.close()


def _executable(driver: Any) -> str:
    found = next(filter(None, map(shutil.which, NAMES)), driver.chromium.executable_path)
    if not Path(found).exists():
        advice = "install chromium, or run `playwright install chromium`"
        raise UnavailableError(f"the browser checks need Chromium, which is not on the PATH: {advice}")
    return str(found)
