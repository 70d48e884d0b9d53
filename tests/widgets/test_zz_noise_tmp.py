import sys

sys.path[:0] = ["/work/main/widgets", "/work/main/tests/widgets"]
import pytest
from studium_widgets.noise_schedule import NoiseSchedule
from studium_widgets.modules import link
from pathlib import Path
from conftest import *


def test_shots(mount):
    print(len(link(Path("/work/main/widgets/studium_widgets/noise_schedule.js"))))
    for w in (900, 400):
        for dark in (False, True):
            p = mount(
                NoiseSchedule(steps=1000, t=250 if dark else 120, bug="sigma-squared" if dark else "none"),
                width=w,
                dark=dark,
                scale=1,
            )
            p.wait_for_timeout(500)
            p.screenshot(path=f"/tmp/n_{w}_{'d' if dark else 'l'}.png", full_page=True)
