"""An echo in full: in a memory of ``delay`` samples, however long the sound."""

from collections import deque
from itertools import accumulate, repeat
from operator import mul


def echo(x: list[float], delay: int, gain: float) -> list[float]:
    """Return y[n] = x[n] + gain * y[n - delay], as long as x; y is 0 before its start."""
    memory = deque([0.0] * delay, maxlen=delay)  # y[n - delay], …, y[n - 1]
    y = []
    for sample in x:
        y.append(sample + gain * memory[0])
        memory.append(y[-1])
    return y


def response(delay: int, gain: float, length: int) -> list[float]:
    """Return the first ``length`` samples of the echo of a click: gain ** k at k * delay, 0 elsewhere."""
    heard = [0.0] * length
    strengths = accumulate(repeat(gain), mul, initial=1.0)
    for n, strength in zip(range(0, length, delay), strengths, strict=False):  # the strengths never end
        heard[n] = strength
    return heard
