"""How often somebody may ask: submissions in an hour, and tokens that fail."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from studium.classroom.client import ClassroomError
from studium.classroom.messages import CheckAnswer, CheckedExercise, CheckRequest
from studium_classroom import handed_in
from studium_classroom.guesses import MOST_FAILED, Guesses
from studium_classroom.jobs.forms import CheckDone
from studium_classroom.refusals import TooManyError
from studium_classroom.roles import Person, Place, Role

from .test_submissions import A, C, change_course

PER_HOUR = "[classroom]\nsubmissions_per_hour = 2\n"


def test_more_submissions_in_an_hour_than_the_course_takes_are_refused_and_the_same_one_again_is_none(served, archive):
    change_course(served, '[[assignments]]\nname = "ps1"', f'{PER_HOUR}\n[[assignments]]\nname = "ps1"')
    ada = served.client("ada")
    receipts = [ada.submit(C, A, archive(total=f"# {number}")) for number in range(2)]
    with pytest.raises(ClassroomError, match="2 submissions of ps1 an hour are accepted") as caught:
        ada.submit(C, A, archive(total="# 3"))
    assert caught.value.status == 429
    assert ada.submit(C, A, archive(total="# 1")) == receipts[1]
    assert served.client("bob").submit(C, A, archive(total="# 3")).attempt == 1
    kept = {path.name for path in served.classroom.blobs._folder.rglob("*") if path.is_file()}
    assert len(kept) == 3  # nothing of what was refused


def at_once(number, work):
    """What ``work`` gives for 0, 1, … in as many threads, which begin together; None where too many were sent."""
    barrier = threading.Barrier(number)

    def one(k):
        barrier.wait()
        with suppress(TooManyError, ClassroomError):
            return work(k)

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(one, range(number)))


def test_of_many_submissions_at_once_as_many_are_taken_as_an_hour_has_room_for(served, archive):
    change_course(
        served,
        '[[assignments]]\nname = "ps1"',
        '[classroom]\nsubmissions_per_hour = 6\n\n[[assignments]]\nname = "ps1"',
    )
    archives = [archive(total=f"# {number}") for number in range(11)]
    classroom, ada = served.classroom, Person("ada", {C: Place(Role.STUDENT)})

    def taken(k):
        return classroom.take(classroom.courses[C], ada, A, archives[k], datetime.now(UTC)).attempt

    assert sorted(filter(None, at_once(11, taken))) == [1, 2, 3, 4, 5, 6]
    clients = [served.client("bob") for _ in archives]
    sent = at_once(11, lambda k: clients[k].submit(C, A, archives[k]).attempt)
    assert sorted(filter(None, sent)) == [1, 2, 3, 4, 5, 6]


def test_an_archive_is_not_unpacked_where_the_hour_is_used_up_nor_the_newest_one_again(served, archive, monkeypatch):
    change_course(served, '[[assignments]]\nname = "ps1"', f'{PER_HOUR}\n[[assignments]]\nname = "ps1"')
    ada = served.client("ada")
    receipts = [ada.submit(C, A, archive(total=f"# {number}")) for number in range(2)]

    def unpack(_):
        raise AssertionError("it was unpacked")

    monkeypatch.setattr(handed_in, "unpack", unpack)
    with pytest.raises(ClassroomError, match="2 submissions of ps1 an hour are accepted"):
        ada.submit(C, A, archive(total="# 3"))
    assert ada.submit(C, A, archive(total="# 1")) == receipts[1]
    assert [line.action for line in served.classroom.audit.of(C)] == ["submit", "submit"]


def test_one_archive_of_a_student_is_unpacked_at_a_time_and_nobody_else_waits_for_it(served, archive, monkeypatch):
    unpack, together = handed_in.unpack, []
    archives, bobs = [archive(total=f"# {number}") for number in range(4)], archive(total="# bob's own")
    turn, met, come = threading.Lock(), threading.Barrier(2), threading.Event()

    def noted(content):
        if content in (archives[0], bobs):
            met.wait(60)  # one of ada's and bob's are under way at the same time
        if content != bobs:
            together.append(not turn.acquire(timeout=0))
            come.set() if together[-1] else come.wait(0.2)  # for another one to come, where it is let in
            turn.release() if turn.locked() else None
        return unpack(content)

    monkeypatch.setattr(handed_in, "unpack", noted)
    clients = [*(served.client("ada") for _ in archives), served.client("bob")]
    sent = at_once(5, lambda k: clients[k].submit(C, A, [*archives, bobs][k]).attempt)
    assert sorted(sent) == [1, 1, 2, 3, 4]
    assert together == [False] * 4


def test_submissions_of_an_earlier_hour_count_no_more(served, archive):
    change_course(served, '[[assignments]]\nname = "ps1"', f'{PER_HOUR}\n[[assignments]]\nname = "ps1"')
    for number in range(2):
        earlier = datetime.now(UTC) - timedelta(minutes=61)
        served.classroom.submissions.take(C, A, "ada", archive(total=f"# {number}"), earlier, late=False)
    assert served.client("ada").submit(C, A, archive(total="# 3")).attempt == 3


def test_a_check_ends_once_it_is_counted_so_that_of_many_at_once_no_more_run_than_an_hour_has_room_for(
    served, monkeypatch
):
    limit = "[classroom]\nchecks_per_hour = 1\n"
    change_course(served, '[[assignments]]\nname = "ps1"', f'{limit}\n[[assignments]]\nname = "ps1"')
    classroom, ada = served.classroom, Person("ada", {C: Place(Role.STUDENT)})
    note, begun, goes_on = classroom.checks.note, threading.Event(), threading.Event()

    class Checker:
        async def check(self, job):
            return CheckDone(CheckAnswer("counting", [CheckedExercise("total", "right")]))

    def noted(*values):
        begun.set()
        goes_on.wait(60)
        note(*values)

    monkeypatch.setattr(classroom, "_checker", Checker())
    monkeypatch.setattr(classroom.checks, "note", noted)

    def check():
        return classroom.check(classroom.courses[C], ada, A, CheckRequest("counting", "{}"))

    async def many():
        first = asyncio.create_task(check())
        await asyncio.to_thread(begun.wait, 60)
        with pytest.raises(TooManyError, match="only one check at a time is allowed"):
            await check()
        goes_on.set()
        assert (await first).checks_left == 0
        with pytest.raises(TooManyError, match="1 checks of ps1 an hour are allowed, and you have used them up"):
            await check()

    asyncio.run(many())


def test_an_address_whose_tokens_fail_again_and_again_has_to_wait_and_a_token_that_worked_goes_on(served):
    assert served.ask("ada", "GET", "me").status_code == 200
    for number in range(MOST_FAILED):
        assert served.ask(f"guess-{number}", "GET", "me").status_code == 401
    answer = served.ask("one-more", "GET", "me")
    assert answer.status_code == 429
    assert answer.json()["message"].startswith("too many tokens from your address have failed; wait a minute")
    assert served.ask("bob", "GET", "me").status_code == 429  # could be a guess as well
    assert served.ask("ada", "GET", "me").status_code == 200


def test_invitations_that_fail_count_as_tokens_do(served):
    secret = served.classroom.members.invite(C, "eve", Place(Role.STUDENT))
    for number in range(MOST_FAILED):
        with pytest.raises(ClassroomError, match="unknown, used or older"):
            served.client().join(f"guess-{number}")
    with pytest.raises(ClassroomError, match="too many tokens from your address") as caught:
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
