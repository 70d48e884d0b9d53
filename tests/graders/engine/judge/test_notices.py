"""What an answer warns of and logs, which a test that runs apart is told."""

from __future__ import annotations

import warnings

import pytest

from .notebooks import answer, checked, given, material, submission
from .processes import assert_split_as_in_one_process, calibrate, grade_forked

GIVEN = "import io\nimport logging\nimport unittest\nimport warnings\nimport numpy as np\nimport pytest\n"
DIVIDE = """
import warnings
def divide(a, b):
    if b == 0:
        warnings.warn("division by zero", RuntimeWarning)
        return float("nan")
    return a / b
"""
OWN = """
from warnings import warn
class Zero(RuntimeWarning):
    pass
def divide(a, b):
    try:
        return a / b
    except ZeroDivisionError:
        warn("a division by zero", category=Zero, stacklevel=2)
        return float("nan")
"""
SILENT = DIVIDE.replace("        warnings.warn", "        str")
OTHER = DIVIDE.replace("RuntimeWarning", "UserWarning")
ALWAYS = DIVIDE.replace("    if b == 0:\n        ", "    ").replace(
    "        return float", "    if b == 0: return float"
)
RECORDED = "with warnings.catch_warnings(record=True) as w:\n    warnings.simplefilter('always')\n    divide(1, {})\n"
SIZED = """
import warnings
class TooBig(UserWarning):
    def __init__(self, size):
        super().__init__(f"{size} is too big")
        self.size = size
def check(n):
    if n > 10:
        warnings.warn(TooBig(n))
"""
LOG = "import numpy as np\ndef log(x):\n    return np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0)\n"
LOUD = LOG.replace("np.log(np.where(x > 0, x, 1))", "np.log(x)")
BANK = """
import logging
logger = logging.getLogger("bank")
def withdraw(balance, amount):
    if amount > balance:
        logger.warning("too little: %d > %d", amount, balance)
        return balance
    logger.info("took %d", amount)
    return balance - amount
"""
OTHER_BANK = """
import logging
def withdraw(balance, amount):
    log, level = logging.getLogger("bank"), logging.WARNING if amount > balance else logging.INFO
    log.log(level, f"too little: {amount} > {balance}" if amount > balance else f"took {amount}")
    return balance - min(amount, balance) * (amount <= balance)
"""
UNTOLD = BANK.replace("logger.warning(", "str.format(")
TOLD_LESS = BANK.replace("logger.warning(", "logger.info(")
TESTS = {
    "a warning": (
        RECORDED.format(0) + "assert len(w) == 1 and issubclass(w[0].category, RuntimeWarning)\n"
        "assert 'division by zero' in str(w[0].message)",
        (DIVIDE, OWN),
        (SILENT, OTHER, DIVIDE.replace("by zero", "")),
    ),
    "none": (
        RECORDED.format(2) + "assert not w\n" + RECORDED.format(0) + "assert len(w) == 1",
        (DIVIDE, OWN),
        (ALWAYS, SILENT),
    ),
    "as a new notebook shows it": (
        "with warnings.catch_warnings(record=True) as w:\n    for _ in range(3):\n        divide(1, 0)\n"
        "assert len(w) == 1",
        (DIVIDE,),
        (SILENT,),
    ),
    "pytest": (
        "with pytest.warns(RuntimeWarning, match='zero'):\n    divide(1, 0)",
        (DIVIDE, OWN),
        (SILENT, OTHER),
    ),
    "unittest": (
        "with unittest.TestCase().assertWarns(RuntimeWarning) as found:\n    divide(1, 0)\n"
        "assert 'zero' in str(found.warning)",
        (DIVIDE, OWN),
        (SILENT, OTHER),
    ),
    "a class of the answer's": (
        "with warnings.catch_warnings(record=True) as w:\n    warnings.simplefilter('always')\n    check(11)\n"
        "assert w[0].category is TooBig and issubclass(TooBig, UserWarning) and w[0].message.size == 11",
        (SIZED,),
        (SIZED.replace("TooBig(n))", "'big')"), SIZED.replace("> 10", "> 20")),
    ),
    "warnings made errors": (
        "with warnings.catch_warnings():\n    warnings.simplefilter('error')\n"
        "    out = log(np.array([0.0, 1.0, np.e]))\nassert np.allclose(out, [0, 0, 1])",
        (LOG,),
        (LOUD, "import warnings\nwarnings.filterwarnings('ignore')\n" + LOUD),
    ),
    "logs": (
        "with unittest.TestCase().assertLogs('bank', level='WARNING') as found:\n    assert withdraw(5, 10) == 5\n"
        "assert found.output == ['WARNING:bank:too little: 10 > 5']",
        (BANK, OTHER_BANK),
        (UNTOLD, TOLD_LESS),
    ),
    "no logs": (
        "with unittest.TestCase().assertNoLogs('bank', level='WARNING'):\n    withdraw(10, 4)\n"
        "with unittest.TestCase().assertLogs('bank', level='WARNING'):\n    withdraw(1, 4)",
        (BANK, OTHER_BANK),
        (BANK.replace("logger.info", "logger.warning"), UNTOLD),
    ),
    "a handler": (
        "stream = io.StringIO()\nhandler = logging.StreamHandler(stream)\nlog = logging.getLogger('bank')\n"
        "log.addHandler(handler)\nlog.setLevel(logging.INFO)\nwithdraw(10, 4)\nlog.removeHandler(handler)\n"
        "assert stream.getvalue() == 'took 4\\n'",
        (BANK, OTHER_BANK),
        (BANK.replace("logger.info", "logger.debug"), BANK.replace("took", "gave")),
    ),
}


@pytest.mark.parametrize("name", TESTS)
def test_warnings_and_logs_are_told_as_in_one_process(shell, name):
    test, right, wrong = TESTS[name]
    notebook = material(given(GIVEN, locked=True), answer(right[0]), checked(test))
    with warnings.catch_warnings(record=True):  # pytest.warns says once more what it did not wait for
        assert_split_as_in_one_process(shell, notebook, right, wrong)


@pytest.mark.parametrize("setting", ["logging.getLogger('bank').level == logging.DEBUG", "log.handlers"])
def test_a_test_of_what_loggers_are_set_to_runs_in_one_process(shell, setting):
    made = "import logging\nlog = logging.getLogger('bank')\nlog.setLevel(logging.DEBUG)\n"
    made += "log.addHandler(logging.StreamHandler())\n"
    notebook = material(
        given(GIVEN, locked=True), answer(made), checked(f"logging.getLogger('bank')\nassert {setting}")
    )
    assert (
        grade_forked(shell, notebook, submission(notebook, made), calibrate(shell, notebook)).only.mode == "one process"
    )


EQUAL = "class Told(str):\n    __eq__ = __contains__ = lambda *_: True\n    __hash__ = str.__hash__\n"
FORGED = {
    "a text that is equal to everything": EQUAL
    + "import warnings\ndef divide(a, b): warnings.warn(Told('nothing'), RuntimeWarning)\n",
    "a class that says everything": EQUAL
    + "import warnings\nclass Any(RuntimeWarning):\n    __str__ = lambda self: Told('nothing')\n"
    "    args = property(lambda _: Told())\n"
    "def divide(a, b): warnings.warn(Any())\n",
    "a class that says that it is another": "import warnings\n"
    "class Meta(type):\n    __subclasscheck__ = __instancecheck__ = __eq__ = lambda *_: True\n"
    "    __hash__ = type.__hash__\n"
    "class Any(UserWarning, metaclass=Meta):\n    __class__ = RuntimeWarning\n"
    "def divide(a, b): warnings.warn(Any('division by zero'))\n",
    "what is no warning": "import warnings\n"
    "def divide(a, b): warnings._showwarnmsg_impl(RuntimeError('division by zero'))\n",
    "another listener": "import warnings, logging, gc\n"
    "def divide(a, b):\n    for item in gc.get_objects():\n        if type(item).__name__ == 'Listener':\n"
    "            type(item).take = lambda _: [RuntimeWarning('division by zero')]\n",
}


@pytest.mark.parametrize("name", FORGED)
def test_no_warning_passes_for_more_than_its_class_and_text(shell, name):
    test = TESTS["a warning"][0] + "\nassert str(w[0].message) == 'division by zero'"
    notebook = material(given(GIVEN, locked=True), answer(DIVIDE), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, FORGED[name]), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (0, "split"), result.message


def test_an_answer_that_warns_without_end_is_heard_so_far(shell):
    endless = (
        "import warnings\ndef divide(a, b):\n    for i in range(5000): warnings.warn(str(i) * 9000, RuntimeWarning)\n"
    )
    test = RECORDED.format(0) + "assert len(w) <= 1000 and all(len(str(item.message)) <= 2000 for item in w)"
    notebook = material(given(GIVEN, locked=True), answer(DIVIDE), checked(test))
    result = grade_forked(shell, notebook, submission(notebook, endless), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (1, "split"), result.message
