"""Helpers that stay awake: every part once, errors and interrupts, work within work, other sizes, other threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from thalweg.compiler import team as module
from thalweg.compiler.team import Team, team_of


@pytest.fixture
def team() -> Iterator[Team]:
    made = Team(2)
    yield made
    made.leave()


def test_every_part_is_done_once(team: Team) -> None:
    done = np.zeros(1000, np.int64)
    for count, parts in ((1000, 3), (1000, 12), (7, 7), (1, 1), (10, 4)):
        done[:] = 0

        def work(first: int, last: int) -> None:
            done[first:last] += 1

        for _ in range(50):
            team.run(work, count, parts)
        assert (done[:count] == 50).all()
        assert not done[count:].any()


def test_an_error_is_raised_and_the_team_goes_on(team: Team) -> None:
    def fails(first: int, last: int) -> None:
        raise ValueError(f"part {first}")

    with pytest.raises(ValueError, match="part"):
        team.run(fails, 9, 9)
    seen: list[int] = []
    team.run(lambda first, last: seen.extend(range(first, last)), 9, 9)
    assert sorted(seen) == list(range(9))


def test_an_interrupt_lets_the_helpers_go(team: Team) -> None:
    def interrupted(first: int, last: int) -> None:
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt

    def again_and_again() -> None:
        for _ in range(1000):
            team.run(interrupted, 30, 30)

    with pytest.raises(KeyboardInterrupt):
        again_and_again()
    seen: list[int] = []
    team.run(lambda first, last: seen.extend(range(first, last)), 5, 5)
    assert seen == [0, 1, 2, 3, 4]
    assert team.left
    assert not any(team.busy)
    assert not team.free.locked()


def test_what_a_helper_raises_is_raised_by_the_caller_whatever_it_is(team: Team) -> None:
    raised = 0
    for _ in range(200):
        begun = threading.Barrier(3, timeout=30)

        def leaves(first: int, last: int, begun: threading.Barrier = begun) -> None:
            begun.wait()  # each of the three has a part
            if threading.current_thread() is not threading.main_thread():
                raise SystemExit

        with pytest.raises(SystemExit):
            team.run(leaves, 3, 3)
        raised += 1
    seen: list[int] = []
    team.run(lambda first, last: seen.extend(range(first, last)), 9, 9)
    assert (raised, sorted(seen)) == (200, list(range(9)))


def test_helpers_are_kept_off_the_callers_processor(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[set[int]] = []
    here = [4]
    monkeypatch.setattr(module.os, "sched_setaffinity", lambda thread, cpus: placed.append(set(cpus)), raising=False)
    monkeypatch.setattr(team, "processor", lambda: here[0])
    monkeypatch.setattr(team, "allowed", {3, 4})
    monkeypatch.setattr(team, "avoided", -1)
    for at in (4, 4, 3, 3, 4):
        here[0] = at
        team.run(lambda first, last: None, 3, 3)
    helpers = team.size - 1
    assert placed == [{3}] * helpers + [{4}] * helpers + [{3}] * helpers


def test_work_within_work_is_done_by_who_asks(team: Team) -> None:
    done = np.zeros(6, np.int64)

    def inner(first: int, last: int) -> None:
        done[first:last] += 1

    team.run(lambda first, last: team.run(inner, 6, 3), 4, 4)
    assert (done == 4).all()


def test_two_threads_may_ask_at_once(team: Team) -> None:
    done = np.zeros((2, 100), np.int64)

    def ask(k: int) -> None:
        def work(first: int, last: int) -> None:
            done[k, first:last] += 1

        for _ in range(200):
            team.run(work, 100, 3)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (done == 200).all()


def test_sleeping_helpers_are_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOKS", 1)
    team = Team(2)
    seen: list[int] = []
    for _ in range(20):
        team.run(lambda first, last: seen.append(first), 6, 6)
    team.leave()
    assert len(seen) == 120


def test_another_size_is_another_team() -> None:
    two, three = team_of(2), team_of(3)
    assert two is not None
    assert three is not None
    assert (two.size, three.size) == (2, 3)
    assert two.left
    assert team_of(3) is three
