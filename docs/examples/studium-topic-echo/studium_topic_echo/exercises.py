"""The exercises: an echo step by step, and what it makes of a click."""

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=5,
    level="core",
    importance=3,
    hints=(
        "Start from a copy: `y = list(x)`. Which of its samples have an echo to add?",
        "The first sample with an echo is number `delay`; before it there was silence.",
        "Go through the samples in order, so that `y[n - delay]` already holds its own echoes.",
    ),
)
def echo(x: list[float], delay: int, gain: float) -> list[float]:
    """Return the sound x with an echo that is echoed in its turn.

    y[n] = x[n] + gain * y[n - delay], where y is 0 before its start.

    x is a list of samples, of any length; delay is 1 or more, and may be longer than x; gain is any number.
    Returns a new list, as long as x. Leave x as it is.
    """
    ### BEGIN SOLUTION
    y = list(x)
    for n in range(delay, len(y)):
        y[n] += gain * y[n - delay]
    return y
    ### END SOLUTION


@echo.test("throws back what it threw back before", points=1)
def _(echo):
    assert_close(echo([8.0, 0.0, 0.0, 0.0, 4.0], 2, 0.5), [8.0, 0.0, 4.0, 0.0, 6.0])


@echo.hidden("adds up all echoes, whatever the delay and the gain", points=2)
def _(echo, rng):
    for delay, gain in ((1, 0.5), (3, -0.8), (4, 1.25), (20, 0.9)):
        x = torch.randn(13, generator=rng, dtype=torch.float64).tolist()
        expected = [sum(gain**k * x[n - k * delay] for k in range(n // delay + 1)) for n in range(13)]
        assert_close(echo(list(x), delay, gain), expected, message=f"with delay={delay} and gain={gain}")


@echo.hidden("leaves the sound that came in as it was", points=1)
def _(echo, rng):
    x = torch.randn(7, generator=rng, dtype=torch.float64).tolist()
    kept = list(x)
    assert_close(echo(x, 2, 0.5)[:3], [kept[0], kept[1], kept[2] + 0.5 * kept[0]])
    assert_close(x, kept, message="x must stay as it was")


@echo.misconception(
    "You echoed `x`; the wall throws back all that it hears, echoes too, so add `gain` times `y`.",
    name="echoed-the-input",
)
def _(x, delay, gain):
    return [x[n] + (gain * x[n - delay] if n >= delay else 0.0) for n in range(len(x))]


echo.mistake(
    "negative-index",
    "You let `n - delay` fall below zero, where Python counts from the end; before n = 0 is silence.",
    replace="range(delay, len(y))",
    by="range(len(y))",
)


@echo.misconception(
    "You wrote the echo into `x`, which somebody may still need; write it into a copy, `list(x)`.", name="wrote-into-x"
)
def _(x, delay, gain):
    for n in range(delay, len(x)):
        x[n] += gain * x[n - delay]
    return x


@echo.also_correct
def _(x, delay, gain):
    return [sum(gain**k * x[n - k * delay] for k in range(n // delay + 1)) for n in range(len(x))]


@exercise(
    points=3,
    minutes=5,
    level="warm-up",
    kind="derive",
    hints=(
        "The click is heard at n = 0, its echo at n = delay, the echo of that at n = 2 * delay. What is between them?",
        "The echo number k has met the wall k times: `gain ** k`. Which k belongs to n?",
    ),
)
def response(delay: int, gain: float, length: int) -> list[float]:
    """Return what an echo makes of a click: of the sound 1, 0, 0, 0, …

    delay is 1 or more; gain is any number; length is how many samples to give, 1 or more. Returns a list.
    """
    ### BEGIN SOLUTION
    return [gain ** (n // delay) if n % delay == 0 else 0.0 for n in range(length)]
    ### END SOLUTION


response.equivalent(
    "return [gain ** (n / delay) if n % delay == 0 else 0.0 for n in range(length)]", "n is a multiple of delay there"
)


@response.test("fades by the same factor from echo to echo", points=1)
def _(response):
    assert_close(response(2, 0.5, 7), [1.0, 0.0, 0.5, 0.0, 0.25, 0.0, 0.125])


@response.hidden("is a click that has gone through the echo", points=2)
def _(response, rng):
    for delay, length in ((1, 6), (3, 11), (4, 9), (5, 3)):
        gain = 0.5 + torch.rand((), generator=rng, dtype=torch.float64).item()
        for signed in (gain, -gain):
            expected = [1.0] + [0.0] * (length - 1)
            for n in range(delay, length):
                expected[n] = signed * expected[n - delay]
            assert_close(response(delay, signed, length), expected, message=f"with delay={delay}, length={length}")


@response.misconception(
    "You stopped after the first echo; it meets the wall again: at n = k * delay is `gain ** k`.", name="one-echo"
)
def _(delay, gain, length):
    return [{0: 1.0, delay: gain}.get(n, 0.0) for n in range(length)]


@response.misconception(
    "You let every sample fade; between two echoes is silence, so only n = k * delay has a sound.", name="no-silence"
)
def _(delay, gain, length):
    return [gain**n for n in range(length)]


@response.misconception(
    "You weakened the click itself; at n = 0 it has not met the wall yet, so its value is 1.", name="weak-click"
)
def _(delay, gain, length):
    return [gain ** (n // delay + 1) if n % delay == 0 else 0.0 for n in range(length)]


@response.also_correct
def _(delay, gain, length):
    heard = [0.0] * length
    heard[::delay] = [gain**k for k in range(len(heard[::delay]))]
    return heard
