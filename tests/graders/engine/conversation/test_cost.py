"""How much of the engine one call goes through, on the judge's side."""

import sys

_MOST = 90
SOURCE = "def f(values):\n    return [2 * value for value in values]"


def test_a_call_goes_through_few_functions_of_the_engine(make_student):
    function = make_student(SOURCE, recording=False, known=True, objects={"f"}).get("f")
    function([1.0])
    there, back = [], []

    def profile(frame, event, _):
        if event == "call" and "studium_graders/engine" in frame.f_code.co_filename:
            has_sent = any(name == "receive" for _, name in there)
            (back if has_sent else there).append((frame.f_code.co_filename, frame.f_code.co_name))

    sys.setprofile(profile)
    try:
        function([1.0])
    finally:
        sys.setprofile(None)
    functions = set(there) | set(back)
    assert len(functions) <= _MOST, f"{len(functions)} functions: {len(there)} calls there, {len(back)} back"
    assert len(there) <= 120
