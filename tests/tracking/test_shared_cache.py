"""Memory that several owners share."""

from __future__ import annotations

import threading

from sam2_core.model import ImageFeatures
from sam2_core.tracking.features import FrameFeatures
from sam2_core.tracking.shared_cache import SharedCache
from tests.tracking.toys import toy_clip, toy_model

ONE, OTHER = object(), object()


def test_what_was_used_longest_ago_goes_first_whosesoever_it_is() -> None:
    cache = SharedCache[str](30)
    cache.keep(ONE, 1, "a", 10)
    cache.keep(OTHER, 1, "b", 10)
    cache.keep(ONE, 2, "c", 10)
    assert cache.get(ONE, 1) == "a"
    cache.keep(OTHER, 2, "d", 10)
    assert cache.sizes(ONE) == {2: 10, 1: 10}
    assert cache.sizes(OTHER) == {2: 10}
    assert cache.get(OTHER, 1) is None
    assert cache.nbytes == 30


def test_the_last_stays_however_large_and_so_does_what_takes_nothing() -> None:
    cache = SharedCache[str](30)
    cache.keep(ONE, 1, "nothing", 0)
    cache.keep(ONE, 2, "small", 20)
    cache.keep(OTHER, 1, "large", 100)
    assert (cache.sizes(ONE), cache.sizes(OTHER)) == ({1: 0}, {1: 100})
    cache.keep(OTHER, 2, "small", 20)
    assert cache.sizes(OTHER) == {2: 20}


def test_a_value_in_place_of_another_counts_once() -> None:
    cache = SharedCache[str](30)
    cache.keep(ONE, 1, "a", 20)
    cache.keep(ONE, 1, "b", 25)
    assert (cache.get(ONE, 1), cache.nbytes) == ("b", 25)
    cache.drop(ONE, 1)
    cache.drop(ONE, 1)
    assert cache.nbytes == 0


def test_whoever_leaves_gives_all_back() -> None:
    cache = SharedCache[str](100)
    for number in range(3):
        cache.keep(ONE, number, "a", 10)
        cache.keep(OTHER, number, "b", 10)
    assert cache.share(ONE) == 50
    cache.drop_all(ONE)
    assert (cache.nbytes, cache.sizes(ONE), cache.share(OTHER)) == (30, {}, 100)
    assert cache.share(ONE) == 50  # which would be one of two again


def test_many_threads_keep_the_count() -> None:
    cache = SharedCache[int](500)

    def work(owner: object) -> None:
        for number in range(2000):
            cache.keep(owner, number % 70, number, number % 13)
            cache.get(owner, (number * 7) % 70)

    threads = [threading.Thread(target=work, args=(object(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.nbytes == sum(nbytes for _, nbytes in cache._kept.values()) <= 500


def test_each_of_two_videos_is_encoded_ahead_within_its_share() -> None:
    largest = FrameFeatures(toy_model(), toy_clip(1))[0].nbytes
    cache = SharedCache[ImageFeatures](12 * largest)
    one, other = (FrameFeatures(toy_model(), toy_clip(20), cache) for _ in range(2))
    other[0]
    count = 0
    while (missing := one.missing_near(5)) is not None:
        one[missing]
        count += 1
    assert count == 5  # frames 3 to 7
    assert other.missing_near(0) == 1  # and nothing of its own was pushed out
    one.forget()
    assert cache.nbytes == largest
