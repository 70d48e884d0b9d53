"""Ways in which a topic can be wrong, and the check that has to say so, alone."""

from tests.authoring.conftest import Damage

_CLICK = "    assert_close(response(2, 0.5, 7), [1.0, 0.0, 0.5, 0.0, 0.25, 0.0, 0.125])"
_SOLUTION = "[gain ** (n // delay) if n % delay == 0 else 0.0 for n in range(length)]"
_TWICE = '''

@exercise(points=1, minutes=1, hints=("Look.",))
def response(delay, gain, length):
    """Give what an echo makes of a click."""
    ### BEGIN SOLUTION
    return [gain ** (n // delay) if n % delay == 0 else 0.0 for n in range(length)]
    ### END SOLUTION


@response.test("is short", points=0.5)
def _(response):
    assert_close(response(2, 0.5, 4), [1.0, 0.0, 0.5, 0.0])


@response.hidden("is long", points=0.5)
def _(response):
    assert_close(response(3, 0.5, 8), [1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.25, 0.0])


@response.misconception("You let every sample fade.")
def _(delay, gain, length):
    return [gain**n for n in range(length)]


@response.also_correct
def _(delay, gain, length):
    return [0.0 if n % delay else gain ** (n // delay) for n in range(length)]


response.equivalent(
    "return [gain ** (n / delay) if n % delay == 0 else 0.0 for n in range(length)]", "n is a multiple of delay there"
)
'''
_RANDOM_ID = '''

@hookimpl
def studium_edit_notebook(topic, notebook, edition):
    """Add a cell."""
    from nbformat.v4 import new_markdown_cell

    if topic.package == __name__:
        notebook.cells.append(new_markdown_cell("Done."))
'''
_HOOK = '''

@hookimpl
def studium_edit_notebook(topic, notebook, edition):
    """Add to a cell."""
    if topic.package == __name__:
        BODY
'''
_BY_CHANCE = _RANDOM_ID.replace('"Done."', '" ".join({"a", "b", "c", "d", "e", "f"}), id="last"')
_LAST_STUB_TEST = """    try:
        heard = response(2, 0.5, 7)
    except NotImplementedError:
        return
    assert_close(heard, [1.0, 0.0, 0.5, 0.0, 0.25, 0.0, 0.125])"""

DAMAGES = [
    Damage("a module that does not import", "imports", "experiment.py", "\nimport not_there\n"),
    Damage("metadata that loads torch", "imports", "__init__.py", "import torch\nfrom studium", "from studium"),
    Damage("a summary that is no sentence", "metadata", "__init__.py", "all of it at once", "all of it at once."),
    Damage("a claim of another paper", "metadata", "experiment.py", '"1706.03762"', '"2110.13985"'),
    Damage(
        "an unknown prerequisite", "prerequisites", "__init__.py", 'minutes=20,\n        needs=("lra",),', "minutes=20,"
    ),
    Damage("a prerequisite of itself", "prerequisites", "__init__.py", 'minutes=20,\n needs=("echo",),', "minutes=20,"),
    Damage("an exercise defined twice", "names", "exercises.py", _TWICE),
    Damage(
        "no other correct answer",
        "exercise parts",
        "exercises.py",
        "",
        "@response.also_correct\ndef _(delay, gain, length):\n    heard = [0.0] * length\n"
        "    heard[::delay] = [gain**k for k in range(len(heard[::delay]))]\n    return heard\n",
    ),
    Damage(
        "another answer that is wrong",
        "solutions",
        "exercises.py",
        "for k in range(1)",
        "for k in range(len(heard[::delay]))",
    ),
    Damage(
        "a wrong solution",
        "solutions",
        "exercises.py",
        "    y[n] -= gain * y[n - delay]\n    return y\n    ###",
        "    y[n] += gain * y[n - delay]\n    return y\n    ###",
    ),
    Damage("a stub that earns points", "stubs", "exercises.py", _LAST_STUB_TEST, _CLICK),
    Damage(
        "a misconception that passes",
        "misconceptions",
        "exercises.py",
        "{0: 1.0}.get(n, gain ** (n // delay) * (n % delay == 0))",
        "{0: 1.0, delay: gain}.get(n, 0.0)",
    ),
    Damage(
        "a misconception that another one hides",
        "misconceptions",
        "exercises.py",
        '\n\n@response.misconception("Again.")\ndef _(delay, gain, length):\n'
        "    return [gain**n for n in range(length)]\n",
    ),
    Damage("a test that prints", "test cells", "exercises.py", f'    print("now")\n{_CLICK}', _CLICK),
    Damage(
        "a test of which torch warns once in a process",
        "test cells",
        "exercises.py",
        f"    import torch\n    from warnings import catch_warnings\n    catch = catch_warnings\n"
        f"    with catch(record=True):\n"
        f"        float(torch.ones(1, requires_grad=True))\n    float(torch.ones(1, requires_grad=True))\n{_CLICK}",
        _CLICK,
    ),
    Damage(
        "a test that cannot fail",
        "tests can fail",
        "exercises.py",
        "    assert_close(response(2, 0.5, 7), response(2, 0.5, 7))",
        _CLICK,
    ),
    Damage("a test that only calls", "tests can fail", "exercises.py", "    response(2, 0.5, 7)", _CLICK),
    Damage(
        "a case that no test looks at",
        "mutants",
        "exercises.py",
        "    if length > 1000 and gain < 0:\n        gain = 0.5 * gain + 0.25\n    return [gain ** (n // delay) if",
        "    return [gain ** (n // delay) if",
    ),
    Damage(
        "a mark for a mutant that there is not",
        "mutants",
        "exercises.py",
        '\n\necho.equivalent("y = tuple(x)", "nobody knows")\n',
    ),
    Damage(
        "a solution in the lesson's code",
        "secrecy",
        "lesson.py",
        f"\n# %%\nhint = lambda n, gain, delay, length: {_SOLUTION}\n",
    ),
    Damage(
        "a solution in the lesson's text", "secrecy", "lesson.py", f"\n# %% [markdown]\n# The answer: `{_SOLUTION}`.\n"
    ),
    Damage(
        "a solution in the experiment",
        "secrecy",
        "experiment.py",
        f"\n\ndef secret(delay, gain, length):\n    return {_SOLUTION}\n",
    ),
    Damage(
        "a solution in a hint",
        "secrecy",
        "exercises.py",
        f'        "{_SOLUTION}",\n        "Start from a copy',
        '        "Start from a copy',
    ),
    Damage(
        "a misconception in the lesson",
        "secrecy",
        "lesson.py",
        "\n# %% [markdown]\n# You weakened the click itself; at n = 0 it has not met the wall yet, so its value is 1."
        "\n",
    ),
    Damage(
        "a solution in a test that students get",
        "handouts",
        "exercises.py",
        f"    delay, gain, length = 2, 0.5, 7\n    assert_close(response(delay, gain, length), {_SOLUTION})\n{_CLICK}",
        _CLICK,
    ),
    Damage(
        "a test that changes a value that the answer has returned",
        "tests run apart",
        "exercises.py",
        f"    heard = response(2, 0.5, 7)\n    heard.append(0.0)\n{_CLICK}",
        _CLICK,
    ),
    Damage("a cell that does not run", "lesson", "lesson.py", "\n# %%\nviews.no_such_thing\n"),
    Damage("a cell that uses the stub", "lesson", "lesson.py", "\n# %%\nresponse(2, 0.5, 7)\n"),
    Damage(
        "a lesson that takes too much memory",
        "lesson",
        "lesson.py",
        "\n# %%\nmuch = bytearray(1_600_000_000)\nmuch[::4096] = much[::4096].replace(b'\\0', b'1')\n",
    ),
    Damage("a random id", "cell ids", "__init__.py", _RANDOM_ID),
    Damage("a cell that hangs on the order of a set", "cell ids", "__init__.py", _BY_CHANCE),
    Damage("a wrong reference", "reference", "reference.py", "y.append(sample - gain", "y.append(sample + gain"),
    Damage("a test of its own that fails", "own tests", "test_echo.py", "def test_it():\n    assert 1 + 1 == 3\n"),
    Damage("a claim that does not hold", "claims", "experiment.py", "at_most=-1.0", "at_most=1e-12"),
    Damage("a misspelt word", "spelling", "lesson.py", "Clap once in teh stairwell", "Clap once in a stairwell"),
    Damage("a misspelt hint", "spelling", "exercises.py", "Go trough teh samples", "Go through the samples"),
    Damage(
        "a paper without a link", "papers", "lesson.py", "(https://example.org)", "(https://arxiv.org/abs/2110.13985)"
    ),
    Damage("an id that is none", "papers", "lesson.py", "abs/2199.00396", "abs/2111.00396"),
    Damage(
        "a year that is not the paper's", "papers", "lesson.py", "[Gu and Dao 2013, Mamba]", "[Gu and Dao 2023, Mamba]"
    ),
    Damage(
        "an image that says nothing", "alternative texts", "lesson.py", "# ![](wall.png)\n#\n# You need", "# You need"
    ),
    Damage("a heading two levels down", "headings", "lesson.py", "# ##### All at once", "# ## All at once"),
    Damage("two titles", "headings", "lesson.py", "# # All at once", "# ## All at once"),
    Damage("a time that cannot be", "reading time", "__init__.py", "minutes=200", "minutes=20"),
    Damage(
        "a test that never asks",
        "tests can fail",
        "exercises.py",
        "    assert (response(2, 0.5, 7) == [1.0, 0.0, 0.5, 0.0, 0.25, 0.0, 0.125], 'other values')",
        _CLICK,
    ),
    Damage(
        "a test that catches its own verdict",
        "tests can fail",
        "exercises.py",
        f"    try:\n    {_CLICK}\n    except AssertionError:\n        pass",
        _CLICK,
    ),
    Damage(
        "a tolerance that is far too loose",
        "tolerances",
        "exercises.py",
        _CLICK.replace("0.125])", "0.125], atol=1)"),
        _CLICK,
    ),
    Damage(
        "a relative tolerance that is far too loose",
        "tolerances",
        "exercises.py",
        _CLICK.replace("0.125])", "0.125], rtol=0.5, atol=0)"),
        _CLICK,
    ),
    Damage(
        "a comparison by hand that is too loose",
        "tolerances",
        "exercises.py",
        "    assert all(abs(y - 0.5 ** (n / 2) * (n % 2 == 0)) < 2 for n, y in enumerate(response(2, 0.5, 7)))",
        _CLICK,
    ),
    Damage(
        "data by chance",
        "repeatability",
        "exercises.py",
        "    gain = __import__('random').random()\n    assert_close(response(2, gain, 3), [1.0, 0.0, gain])",
        _CLICK,
    ),
    Damage(
        "data that hang on the time of day",
        "repeatability",
        "exercises.py",
        "    gain = __import__('time').time() % 1\n    assert_close(response(2, gain, 3), [1.0, 0.0, gain])",
        _CLICK,
    ),
    Damage(
        "a solution in the message of a hidden test",
        "secrecy",
        "exercises.py",
        f'message="compare with {_SOLUTION}")',
        'message=f"with delay={delay}, length={length}")',
    ),
    Damage(
        "a solution told line by line in a hint",
        "secrecy",
        "exercises.py",
        '        "First `y = list(x)`; then `for n in range(delay, len(y)):` with `y[n] += gain * y[n - delay]`; "\n'
        '        "`return y`.",\n        "Start from a copy',
        '        "Start from a copy',
    ),
    Damage(
        "a solution with other names",
        "secrecy",
        "experiment.py",
        "\n\ndef secret(d, g, k):\n    return [g ** (m // d) if m % d == 0 else 0.0 for m in range(k)]\n",
    ),
    Damage(
        "a solution with other names in the lesson's text",
        "secrecy",
        "lesson.py",
        "\n# %% [markdown]\n# So `[g ** (m // d) if m % d == 0 else 0.0 for m in range(k)]` it is.\n",
    ),
    Damage("a solution in a file of data", "secrecy", "notes.txt", f"{_SOLUTION}\n"),
    Damage(
        "a solution in the metadata of a cell",
        "secrecy",
        "__init__.py",
        _HOOK.replace("BODY", f"notebook.cells[-1].metadata['note'] = {_SOLUTION!r}"),
    ),
    Damage(
        "a solution in what a cell prints",
        "secrecy",
        "lesson.py",
        "\n# %%\nfrom importlib import resources\n\n"
        "print(resources.files('studium_topic_echo').joinpath('exercises.py').read_text('utf-8'))\n",
    ),
    Damage(
        "a solution in a figure",
        "secrecy",
        "lesson.py",
        "\n# %%\nfrom importlib import resources\n\n"
        "text = resources.files('studium_topic_echo').joinpath('exercises.py').read_text('utf-8')\n"
        "name = next(line for line in text.splitlines() if 'gain ** (n // delay) if' in line)\n"
        "figure(go.Scatter(y=[0, 1], name=name))\n",
    ),
    Damage(
        "an import of the host's own modules",
        "imports",
        "experiment.py",
        "from studium import Claim, Profile\nfrom studium.exercises.checking import check  # noqa: F401",
        "from studium import Claim, Profile",
    ),
    Damage(
        "an import of the reference in the lesson",
        "imports",
        "lesson.py",
        "\n# %%\nfrom studium_topic_echo.reference import echo as faster\n",
    ),
    Damage(
        "a lesson that asks the network",
        "offline",
        "lesson.py",
        '\n# %%\nimport urllib.request\n\nurllib.request.urlopen("https://example.org/data")\n',
    ),
    Damage(
        "a lesson that would rather have the network",
        "offline",
        "lesson.py",
        "\n# %%\nimport contextlib\nimport socket\n\n"
        'with contextlib.suppress(OSError):\n    socket.create_connection(("192.0.2.1", 80), 0.1)\n',
    ),
    Damage(
        "a lesson that installs",
        "offline",
        "lesson.py",
        "\n# %%\nimport subprocess\n\nsubprocess.run(['pip', 'install', 'lots'], check=False)\n",
    ),
    Damage(
        "memory in a process that the lesson starts",
        "lesson",
        "lesson.py",
        "\n# %%\nimport subprocess\nimport sys\n\n"
        "subprocess.run([sys.executable, '-c', \"much = b'1' * 1_600_000_000\"], check=True)\n",
    ),
    Damage(
        "a paper that cannot be",
        "papers",
        "lesson.py",
        "abs/2111.99396",
        "abs/2111.00396",
    ),
    Damage("a paper with a digit too few", "papers", "lesson.py", "abs/2111.0039", "abs/2111.00396"),
    Damage("a paper of another year", "papers", "__init__.py", "                2012,\n", "                2021,\n"),
    Damage("a link to no topic", "links", "lesson.py", "\n# %% [markdown]\n# See [LoRA](lorra.ipynb).\n"),
    Damage("a link to no heading", "links", "lesson.py", "\n# %% [markdown]\n# See [above](#nowhere).\n"),
    Damage("a link to no address", "links", "lesson.py", "\n# %% [markdown]\n# See [there](https://example).\n"),
    Damage("a link without words", "links", "lesson.py", "\n# %% [markdown]\n# See [](https://example.org).\n"),
    Damage(
        "an image in HTML that says nothing",
        "alternative texts",
        "lesson.py",
        '\n# %% [markdown]\n# <img src="wall.png"\n# width="200">\n',
    ),
    Damage(
        "an image that says its file's name",
        "alternative texts",
        "lesson.py",
        "\n# %% [markdown]\n# ![wall.png][w]\n#\n# [w]: wall.png\n",
    ),
    Damage("an underlined title too many", "headings", "lesson.py", "# All at once\n# ===", "# ## All at once"),
    Damage(
        "a misspelt test",
        "spelling",
        "exercises.py",
        "adds up all echos, whatever teh",
        "adds up all echoes, whatever the",
    ),
    Damage("a misspelt comment", "spelling", "lesson.py", "\n# %%\nn = 1  # teh first\n"),
    Damage("a claim that is a mere number", "control", "experiment.py", "lambda views: 0.0", "lambda views: views.gap"),
    Damage(
        "a bound that every result keeps",
        "control",
        "experiment.py",
        "lambda views: float(views.stepped[0] == views.sound[0]),\n        at_least=-1.0,",
        "lambda views: views.gap,\n        at_most=1e-12,",
    ),
    Damage(
        "an experiment with a loop of its own",
        "control",
        "experiment.py",
        "    heard = [0.0] * length\n    for n in range(0, length, delay):\n"
        "        heard[n] = heard[n - delay] * gain if n else 1.0\n    stepped = convolve(heard, sound)\n"
        "    return Views(sound, stepped, stepped)",
        "    return Views(sound, echo(list(sound), delay, gain), convolve(response(delay, gain, length), sound))",
    ),
    Damage(
        "experiments that take no exercise",
        "control",
        "experiment.py",
        "def two_views(one: object = None, other: object = None, *, profile: Profile, seed: int = 0) -> Views:\n"
        "    def echo(x, delay, gain):\n        return convolve(response(delay, gain, len(x)), x)\n\n"
        "    def response(delay, gain, length):\n        return [0.0 if n % delay else gain ** (n / delay) for n in "
        "range(length)]\n",
        "def two_views(\n    echo: Callable[..., list[float]], response: Callable[..., list[float]], *, "
        "profile: Profile, seed: int = 0\n) -> Views:\n",
    ),
    Damage(
        "an answer in other words in the lesson's code",
        "secrecy",
        "lesson.py",
        "\n# %%\ndef ringing(sound, d, g):\n    out = []\n    for n, s in enumerate(sound):\n"
        "        out.append(s + g * out[n - d] if n >= d else s)\n    return out\n",
    ),
    Damage(
        "an answer in other words in a block of code",
        "secrecy",
        "lesson.py",
        "\n# %% [markdown]\n# In code:\n#\n# ```python\n# y = []\n# for n, now in enumerate(x):\n"
        "#     y.append(now + gain * y[n - delay] if n >= delay else now)\n# return y\n# ```\n",
    ),
    Damage(
        "a hint that is the answer in one line",
        "secrecy",
        "exercises.py",
        '        "So `[(n % delay == 0) * gain ** (n // delay) for n in range(length)]`?",\n'
        '        "The click is heard',
        '        "The click is heard',
    ),
    Damage(
        "a hidden test that repeats the visible one",
        "copies",
        "exercises.py",
        '@response.hidden("fades evenly", points=1)\ndef _(response):\n    # Each echo is half as loud.\n'
        f'{_CLICK}\n\n\n@response.hidden("is a click that has gone through the echo", points=1)',
        '@response.hidden("is a click that has gone through the echo", points=2)',
    ),
    Damage(
        "a hidden test with the solution's own lines",
        "copies",
        "exercises.py",
        "            expected = [signed ** (m // delay) if m % delay == 0 else 0.0 for m in range(length)]\n",
        "            expected = [1.0] + [0.0] * (length - 1)\n            for n in range(delay, length):\n"
        "                expected[n] = signed * expected[n - delay]\n",
    ),
    Damage(
        "another correct answer that is the solution",
        "copies",
        "exercises.py",
        "def _(delay, gain, length):\n    # in one line\n"
        "    return [gain ** (m // delay) if m % delay == 0 else 0.0 for m in range(length)]\n",
        "def _(delay, gain, length):\n    heard = [0.0] * length\n"
        "    heard[::delay] = [gain**k for k in range(len(heard[::delay]))]\n    return heard\n",
    ),
    Damage(
        "a reference that takes its functions from the exercises",
        "copies",
        "reference.py",
        "\n\nfrom studium_topic_echo.exercises import echo, response  # noqa: E402\n",
    ),
    Damage(
        "a reference that is the solution with other names",
        "copies",
        "reference.py",
        "def echo(sound, d, g):\n    out = list(sound)\n    for m in range(d, len(out)):\n        "
        "out[m] += g * out[m - d]\n    return out\n\n\ndef response(",
        "def response(",
    ),
]

_HIDDEN = """

@response.hidden("NAME", points=0)
def _(response, rng):
    BODY
"""
_BY_HAND = "response(2, 0.5, 7), [1.0, 0.0, 0.5, 0.0, 0.25, 0.0, 0.125]"
# Hidden tests that another one makes superfluous: no check fails, and `mutants` says so.
WEAK_TESTS = {
    name: Damage(name, "mutants", "exercises.py", _HIDDEN.replace("NAME", name).replace("BODY", body))
    for name, body in (
        ("looks at the sign only", "assert min(response(3, 0.5, 9)) >= 0"),
        ("accepts what is half as large", f"assert_close({_BY_HAND}, rtol=0.5, atol=0.1)"),
    )
}
