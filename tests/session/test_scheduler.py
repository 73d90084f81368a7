"""Turns are taken in the order of asking."""

import threading

import pytest

from sam2_core.session.scheduler import Turns


def test_a_turn_goes_to_whoever_waited_longest() -> None:
    turns, order, asked = Turns(), [], threading.Semaphore(0)

    def take(name: int) -> None:
        asked.release()
        with turns:
            order.append(name)

    threads = [threading.Thread(target=take, args=(name,)) for name in range(5)]
    with turns:
        for place, thread in enumerate(threads):
            thread.start()
            asked.acquire()
            while len(turns._waiting) < place + 2:  # the holder and all that came before
                pass
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_whoever_asks_again_at_once_stands_behind_those_who_wait() -> None:
    turns, order = Turns(), []

    def take() -> None:
        with turns:
            order.append("other")

    thread = threading.Thread(target=take)
    with turns:
        thread.start()
        while len(turns._waiting) < 2:
            pass
    with turns:
        order.append("again")
    thread.join()
    assert order == ["other", "again"]


def test_an_error_gives_the_turn_back() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns:
        raise ZeroDivisionError
    with turns:
        pass


def test_work_that_can_wait_has_a_turn_only_where_nobody_else_wants_one() -> None:
    turns = Turns()
    with turns, turns.if_free() as free:
        assert not free
    with turns.if_free() as free:
        assert free
        with turns.if_free() as again:
            assert not again
    with turns:
        pass
