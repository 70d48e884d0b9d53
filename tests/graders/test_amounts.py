"""Amounts of more time: what is read, what is written, and how far a due date moves."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studium.errors import UsageError
from studium_graders.course.amounts import Amount, passing

BERLIN = ZoneInfo("Europe/Berlin")
UNITS = {"%": ["%"], "days": ["day", "days", "Days"], "hours": ["hour", "hours"], "minutes": ["minute", "minutes"]}
MOST = {"%": 500, "days": 366, "hours": 24 * 366, "minutes": 9999}


@st.composite
def written_amounts(draw: st.DrawFn) -> tuple[str, Amount]:
    """A text as people write it, and the amount that it means."""
    unit = draw(st.sampled_from(sorted(UNITS)))
    number = draw(st.integers(0, 100 * MOST[unit])) / 100
    digits = f"{number:.2f}" if draw(st.booleans()) else f"{number:.6g}"
    digits = digits.replace(".", draw(st.sampled_from(".,")))
    word, plus, gap = (
        draw(st.sampled_from(UNITS[unit])),
        draw(st.sampled_from(["", "+", "+ "])),
        draw(st.sampled_from(["", " "])),
    )
    return f"{plus}{digits}{gap}{word}", Amount(number, unit)


@given(written_amounts())
def test_an_amount_means_the_same_however_it_is_written_and_is_read_back_as_it_is_shown(pair):
    text, amount = pair
    assert Amount.read(text) == amount
    assert Amount.read(str(amount)) == amount


@given(st.text(max_size=12) | st.text("+-0123456789.,% daysh", max_size=12))
def test_any_other_text_gets_a_sentence_and_never_a_negative_amount(text):
    said = ""
    try:
        assert Amount.read(text).number >= 0
    except UsageError as error:
        said = str(error)
    assert not said or said.startswith("more time needs a number and a unit, such as '+25 %'")


def test_what_is_no_amount_is_refused():
    for text in ("", "25", "-25 %", "501 %", "367 days", "+2 weeks", "2 days 3 hours", "١ day", "1e2 %"):
        with pytest.raises(UsageError, match="at most 500 % or 366 days"):
            Amount.read(text)


@given(
    written_amounts(),
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    st.timedeltas(timedelta(), timedelta(90)),
)
def test_more_time_is_never_less_and_a_percentage_is_within_a_minute_of_exact(pair, due, before):
    amount = pair[1]
    due = due.replace(tzinfo=BERLIN)
    opens = (due.astimezone(UTC) - before).astimezone(BERLIN)
    later = amount.later(due, opens)
    assert later is not None
    assert later >= timedelta()
    if amount.unit == "%":
        exact = before * amount.number / 100
        assert exact - timedelta(microseconds=2) <= later < exact + timedelta(minutes=1, microseconds=2)


def test_a_percentage_counts_from_the_opening_and_is_unknown_without_one():
    opens, due = (datetime(2026, 6, day, 23, 59, tzinfo=BERLIN) for day in (1, 9))
    assert Amount(25, "%").later(due, opens) == timedelta(days=2)
    assert Amount(25, "%").later(due, None) is None
    assert Amount(25, "%").later(opens, due) == timedelta()  # it opens after it is due


def test_two_days_end_at_the_same_time_on_the_clock_when_clocks_change():
    due = datetime(2026, 10, 24, 23, 59, tzinfo=BERLIN)
    assert Amount(2, "days").later(due, None) == timedelta(hours=49)
    assert Amount(48, "hours").later(due, None) == timedelta(hours=48)
    assert passing(due, datetime(2026, 10, 25, 23, 59, tzinfo=BERLIN)) == timedelta(hours=25)
