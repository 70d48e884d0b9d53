"""Marking by hand in a gradebook in PostgreSQL: what holds in SQLite holds there. Needs a server's programs."""

from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("psycopg")

from tests.graders.marking.conftest import ESSAY, made
from tests.graders.test_postgresql import server  # noqa: F401 - a fixture

CLASS = tuple(f"s{number:02}" for number in range(12))


def test_people_who_mark_at_once_never_hold_the_same_answer_and_a_changed_item_marks_all_again(server):  # noqa: F811
    book = made(server, CLASS)
    [item] = book.desk().add(ESSAY, "names the rank", 2).items

    def work(person: str) -> list[str]:
        desk, done = book.desk(person), []
        while found := desk.next(ESSAY):
            done.append(found.answer)
            desk.save(found.answer, [item.id], None, person, found.stamp)
        return done

    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(work, ("tom", "eve", "kim", "lea")))
    answers = [answer for share in shares for answer in share]
    assert len(answers) == len(set(answers)) == len(CLASS)
    assert book.desk().change(item.id, "names the rank", 3).again == len(CLASS)
    assert {book.mark(name) for name in CLASS} == {(3, False)}
