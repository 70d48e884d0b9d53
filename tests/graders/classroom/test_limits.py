"""How often somebody may ask: submissions in an hour, and tokens that fail."""

from datetime import UTC, datetime, timedelta

import pytest
from studium.classroom.client import ClassroomError
from studium_classroom.guesses import MOST_FAILED, Guesses
from studium_classroom.roles import Place, Role

from .test_submissions import A, C, change_course

PER_HOUR = "[classroom]\nsubmissions_per_hour = 2\n"


def test_more_submissions_in_an_hour_than_the_course_takes_are_refused_and_the_same_one_again_is_none(served, archive):
    change_course(served, '[[assignments]]\nname = "ps1"', f'{PER_HOUR}\n[[assignments]]\nname = "ps1"')
    ada = served.client("ada")
    receipts = [ada.submit(C, A, archive(total=f"# {number}")) for number in range(2)]
    with pytest.raises(ClassroomError, match="2 submissions of ps1 an hour are taken") as caught:
        ada.submit(C, A, archive(total="# 3"))
    assert caught.value.status == 429
    assert ada.submit(C, A, archive(total="# 1")) == receipts[1]
    assert served.client("bob").submit(C, A, archive(total="# 3")).attempt == 1
    kept = {path.name for path in served.classroom.blobs._folder.rglob("*") if path.is_file()}
    assert len(kept) == 3  # nothing of what was refused


def test_submissions_of_an_earlier_hour_count_no_more(served, archive):
    change_course(served, '[[assignments]]\nname = "ps1"', f'{PER_HOUR}\n[[assignments]]\nname = "ps1"')
    for number in range(2):
        earlier = datetime.now(UTC) - timedelta(minutes=61)
        served.classroom.submissions.take(C, A, "ada", archive(total=f"# {number}"), earlier, late=False)
    assert served.client("ada").submit(C, A, archive(total="# 3")).attempt == 3


def test_an_address_whose_tokens_fail_again_and_again_has_to_wait_and_a_token_that_worked_goes_on(served):
    assert served.ask("ada", "GET", "me").status_code == 200
    for number in range(MOST_FAILED):
        assert served.ask(f"guess-{number}", "GET", "me").status_code == 401
    answer = served.ask("one-more", "GET", "me")
    assert answer.status_code == 429
    assert answer.json()["message"].startswith("many tokens from your address have failed; wait a minute")
    assert served.ask("bob", "GET", "me").status_code == 429  # could be a guess as well
    assert served.ask("ada", "GET", "me").status_code == 200


def test_invitations_that_fail_count_as_tokens_do(served):
    secret = served.classroom.members.invite(C, "eve", Place(Role.STUDENT))
    for number in range(MOST_FAILED):
        with pytest.raises(ClassroomError, match="unknown, used or older"):
            served.client().join(f"guess-{number}")
    with pytest.raises(ClassroomError, match="many tokens from your address") as caught:
        served.client().join(secret)
    assert caught.value.status == 429


def test_an_old_token_that_a_client_sends_again_and_again_stops_nobody(served):
    for _ in range(3 * MOST_FAILED):
        assert served.ask("an-old-one", "GET", "me").status_code == 401
    assert served.ask("bob", "GET", "me").status_code == 200


def test_failures_are_forgotten_after_a_minute_and_are_those_of_one_address():
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for number in range(MOST_FAILED):
        guesses.failed("10.0.0.1", f"guess-{number}")
    assert not guesses.may_try("10.0.0.1", "next")
    assert guesses.may_try("10.0.0.2", "next")
    now[0] = 61.0
    assert guesses.may_try("10.0.0.1", "next")


def test_a_token_that_was_taken_away_is_trusted_no_longer():
    guesses = Guesses(lambda: 0.0)
    guesses.worked("token")
    guesses.failed("10.0.0.1", "token")
    for number in range(MOST_FAILED):
        guesses.failed("10.0.0.1", f"guess-{number}")
    assert not guesses.may_try("10.0.0.1", "token")
