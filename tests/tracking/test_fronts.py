"""Where news about an object have yet to spread, by table."""

from __future__ import annotations

from sam2_core.tracking.fronts import Front, Fronts, Stretch, Visit, passed, said

BOTH = Stretch((1, -1), 0, 9)


def ways(fronts: Fronts) -> set[tuple[int, int]]:
    return {(front.frame, front.step) for front in fronts}


def walk(fronts: Fronts, stretch: Stretch = BOTH, end: tuple[int, int] | None = None) -> list[tuple[int, int]]:
    """Every frame-step until nothing is left; the sweep ends at the one named."""
    visited = []
    while (visit := stretch.next_visit({1: fronts})) is not None:
        visited.append((visit.frame, visit.step))
        fronts = passed(fronts, visit.frame, visit.step, ended=visited[-1] == end)
    return visited


def test_news_go_outward_from_what_was_said() -> None:
    assert ways(said((), 4)) == {(4, 1), (3, -1)}
    assert walk(said((), 4)) == [(f, 1) for f in range(4, 10)] + [(f, -1) for f in (3, 2, 1, 0)]


def test_saying_more_on_a_frame_begins_there_anew() -> None:
    fronts = said(passed(said((), 4), 4, 1, ended=False), 5)
    assert Front(5, 1, 5) in fronts
    assert len(fronts) == 3


def test_a_sweep_takes_later_news_along() -> None:
    fronts = said(said((), 2), 6)
    assert walk(fronts) == [(f, 1) for f in range(2, 10)] + [(f, -1) for f in range(5, -1, -1)]


def test_a_sweep_that_has_met_old_masks_leaves_the_rest_to_the_next_front() -> None:
    fronts = said(said((), 2), 7)
    assert walk(fronts, Stretch((1,), 0, 9), end=(4, 1)) == [(2, 1), (3, 1), (4, 1), (7, 1), (8, 1), (9, 1)]


def test_a_front_remembers_where_it_began() -> None:
    fronts = said((), 2)
    for frame in range(2, 12):
        fronts = passed(fronts, frame, 1, ended=False)
    (front,) = (each for each in fronts if each.step == 1)
    assert (front.frame, front.origin) == (12, 2)
    assert list(front.behind) == [6, 7, 8, 9, 10, 11]
    assert list(Front(4, 1, 2).behind) == [2, 3]
    assert list(Front(4, -1, 6).behind) == [6, 5]
    assert list(Front(4, 1, 4).behind) == []


def test_objects_join_when_the_sweep_reaches_them() -> None:
    fronts = {1: said((), 2), 2: said((), 4)}
    seen = []
    while (visit := Stretch((1,), 0, 5).next_visit(fronts)) is not None:
        seen.append((visit.frame, tuple(visit.fronts)))
        fronts = {k: passed(f, visit.frame, 1, ended=False) if k in visit.fronts else f for k, f in fronts.items()}
    assert seen == [(2, (1,)), (3, (1,)), (4, (1, 2)), (5, (1, 2))]


def test_a_range_is_entered_at_its_edge() -> None:
    stretch = Stretch((1, -1), 5, 7)
    entered = stretch.enter(said((), 2))
    assert walk(entered, stretch) == [(5, 1), (6, 1), (7, 1)]
    backward = stretch.enter(said((), 9))
    assert walk(backward, stretch) == [(7, -1), (6, -1), (5, -1)]
    assert stretch.enter(said((), 6)) == said((), 6)


def test_what_remains() -> None:
    fronts = {1: said((), 4), 2: said((), 6)}
    assert BOTH.remaining(fronts) == 6 + 6
    assert BOTH.remaining({}) == 0
    assert BOTH.next_visit({1: passed(said((), 0), 0, 1, ended=True)}) is None
    assert BOTH.next_visit({1: said((), 0)}) == Visit(0, 1, {1: Front(0, 1, 0)})
