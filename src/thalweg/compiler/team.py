"""Threads that stay awake for a moment after their work, so that the next piece finds them there.

Waking a thread that sleeps takes from twenty to several hundred microseconds, which is as long as many kernels run. A
helper of a team therefore looks for new work for about a millisecond before it sleeps, without the interpreter's
lock. Work is divided into parts, and whoever is free takes the next, so a helper that is late only does less. Work is a
Python function, or a list of calls of machine code, which helpers do without coming back to Python in between.

Where the team has a thread for every processor, helpers are kept off the one that the caller is on. The system likes to
wake a thread beside the one that woke it, and two threads that compute on one processor take turns for milliseconds
while another stands idle.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .interrupts import held
from .machine import address, kernel
from .turns import in_child

__all__ = ["HEAD", "ITEM", "Calls", "Team", "team_of"]

# How a list of calls lies in memory: its length and its start, then for each call the function, the table, how far it
# goes, in how many parts of what size; and on cache lines of their own what is taken and done.
HEAD, ITEM = 8, 24

_LOOKS = 1 << 20  # about a millisecond
_DELAY = 1 << 13


class _Job:
    """One piece of work: its parts, and what went wrong."""

    __slots__ = ("count", "errors", "following", "parts", "work")

    def __init__(self, work: Callable[[int, int], Any], count: int, parts: int) -> None:
        self.work = work
        self.count = count
        self.parts = parts
        self.following: Iterator[int] = iter(range(parts))
        self.errors: list[BaseException] = []


def _processor() -> Callable[[], int] | None:
    """Return the function that tells on which processor the calling thread is, where threads can be placed at all."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        return ctypes.PyDLL(None).sched_getcpu  # type: ignore[no-any-return]
    except (OSError, AttributeError, TypeError):
        return None


def _offer() -> int:
    """Return the address of the function that offers the processor to other threads, or 0."""
    try:
        return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
    except (OSError, AttributeError, TypeError):
        return 0


_NOTHING = _Job(lambda first, last: None, 0, 0)


class Calls:
    """A list of so many calls in memory, as the machine code of kernels/native.py reads it; whoever makes it fills `items`."""

    __slots__ = ("items", "memory", "table", "table_at")

    def __init__(self, count: int) -> None:
        memory = np.zeros(HEAD + ITEM * count + 8, np.int64)
        self.memory = memory[-(memory.ctypes.data // 8) % 8 :]  # from a cache line on
        self.memory[0] = count
        self.items = self.memory[HEAD : HEAD + ITEM * count].reshape(count, ITEM)
        self.table = np.array([0, self.memory.ctypes.data, 0])
        self.table_at = self.table.ctypes.data

    def alone(self, start: int) -> int:
        """Make the calls from `start` on without helpers; return where it ended."""
        return kernel("native", "walk")(self.table_at, start, 0)


class Team:
    """The calling thread and its helpers."""

    def __init__(self, helpers: int) -> None:
        self.walk, self.rest = kernel("native", "walk"), kernel("native", "rest")
        self.tell, self.reached = kernel("native", "tell"), kernel("native", "reached")
        self.size = helpers + 1
        self.pid = os.getpid()
        self.free = threading.Lock()  # held by the thread whose work is being done
        self.number = 0  # of the present job
        self.board = np.zeros(8, np.int64)  # where helpers see it: kernels/native.py
        self.board_at = self.board.ctypes.data
        self.finished = np.zeros(8 * self.size, np.int64)  # a cache line of each: parts done, the last job seen
        self.finished_at = self.finished.ctypes.data
        self.offer = _offer()
        self.held: dict[Calls, int] = {}  # lists that a helper may still look at, and the last job of each
        self.done = [0] * self.size
        self.expected = 0
        self.job = _NOTHING
        self.left = False  # nobody will call again
        self.busy = [False] * self.size
        self.asleep = [False] * self.size
        self.doors = [threading.Semaphore(0) for _ in range(self.size)]
        self.processor = _processor()
        allowed = os.sched_getaffinity(0) if self.processor is not None else set()
        self.allowed = allowed if 1 < len(allowed) <= self.size else set()
        self.avoided = -1  # the processor that the helpers are kept off
        self.helpers: list[threading.Thread] = []
        for k in range(1, self.size):
            helper = threading.Thread(target=self.help, args=(k,), name=f"thalweg-{k}", daemon=True)
            try:
                helper.start()
            except RuntimeError:  # the system allows no more threads: those that there are do the work
                break
            self.helpers.append(helper)

    def run(self, work: Callable[[int, int], Any], count: int, parts: int) -> None:
        """Call ``work(first, last)`` on parts of ``range(count)``, and wait for all of them."""
        with held():
            if self.left or not self.free.acquire(blocking=False):  # another thread, or work within work
                work(0, count)
            else:
                self.shared(work, count, parts)

    def shared(self, work: Callable[[int, int], Any], count: int, parts: int) -> None:
        """Do the work of :meth:`run`, in this thread's turn, which ends with it."""
        try:
            job = self.job = _Job(work, count, parts)
            self.expected += parts
            if self.allowed:
                self.make_way()
            self.number += 1
            self.tell(self.board_at, self.number, 0)
            self.wake()
            self.take(job, 0)
            self.finished[0] = self.done[0]
            while not self.reached(self.finished_at, self.size, self.expected):
                time.sleep(0)
                self.look_after()
        except BaseException:  # an interrupt: which parts are done is not known any more
            self.leave()
            raise
        finally:
            self.job = _NOTHING
            self.free.release()
        if job.errors:
            raise job.errors[0]

    def look_after(self) -> None:
        """Speak for helpers that have died; RuntimeError if one did in the middle of its part, which nobody else does."""
        for k, helper in enumerate(self.helpers, 1):
            if helper.is_alive():
                continue
            if self.busy[k]:
                raise RuntimeError(
                    "a thread of the compiler was ended while it worked; what it computed is incomplete."
                )
            self.finished[8 * k] = self.done[k]

    def make(self, calls: Calls, start: int) -> int:
        """Make the calls of a list from `start` on; return at which one it ended, their number if at none."""
        if self.left or not self.helpers or not self.free.acquire(blocking=False):
            return calls.alone(start)
        try:
            if self.allowed:
                self.make_way()
            self.wake()
            self.number += 1
            self.hold(calls)
            calls.table[0], calls.table[2] = self.board_at, self.offer
            return self.walk(calls.table_at, start, self.number)
        finally:
            self.free.release()

    def hold(self, calls: Calls) -> None:
        """Keep a list until every helper has seen its last job, or a later one."""
        if calls not in self.held and len(self.held) > 8:
            there = [k for k, helper in enumerate(self.helpers, 1) if helper.is_alive()]
            seen = min((int(self.finished[8 * k + 1]) for k in there), default=self.number)
            self.held = {some: job for some, job in self.held.items() if job > seen}
        self.held[calls] = self.number

    def wake(self) -> None:
        """Wake the helpers that sleep."""
        for k in range(1, self.size):
            if self.asleep[k]:
                self.doors[k].release()

    def make_way(self) -> None:
        """Keep the helpers off the processor that the caller is on now."""
        here = self.processor() if self.processor is not None else -1
        if here == self.avoided:
            return
        self.avoided = here
        for helper in self.helpers:
            if not helper.is_alive():
                continue
            with contextlib.suppress(OSError):  # it is gone, or the system does not allow it: then it is slower
                os.sched_setaffinity(helper.native_id or 0, self.allowed - {here})

    def take(self, job: _Job, k: int) -> None:
        """Do parts of a job as long as there are any."""
        for part in job.following:
            if not job.errors:
                try:
                    job.work(job.count * part // job.parts, job.count * (part + 1) // job.parts)
                except BaseException as error:
                    if k == 0 and not isinstance(error, Exception):
                        raise
                    job.errors.append(error)  # raised again by the caller; a helper that went would be waited for
            self.done[k] += 1

    def help(self, k: int) -> None:
        """Do parts of every job that comes, until the team is left."""
        walk = address("native", "walk")
        table = np.array([self.board_at, 0, self.offer, walk, self.finished_at + 64 * k, _LOOKS, _DELAY])
        at, seen = table.ctypes.data, 0
        while not self.left:
            job = self.rest(at, seen, self.done[k])
            if job <= 0:
                seen = -job
                self.asleep[k] = True
                if int(self.board[0]) == seen and not self.left:
                    self.doors[k].acquire()
                self.asleep[k] = False
                continue
            seen = job
            self.busy[k] = True
            self.take(self.job, k)
            self.busy[k] = False

    def leave(self) -> None:
        """Let the helpers go when they have done what they are at."""
        self.left = True
        self.job = _NOTHING
        if _present and _present[0] is self:
            _present.clear()
        for door in self.doors:
            door.release()
        while any(self.busy[k] and helper.is_alive() for k, helper in enumerate(self.helpers, 1)):
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(1e-3)

    def dismiss(self) -> None:
        """Let the helpers go, without waiting for them."""
        self.left = True
        for door in self.doors:
            door.release()


_present: list[Team] = []
_making = threading.Lock()
_over: list[bool] = []  # whether the interpreter is at its end


def _end() -> None:
    """Let the helpers go before the interpreter takes itself apart, with the machine code that they are in."""
    _over.append(True)
    for team in _present:
        team.dismiss()
        for helper in team.helpers:
            helper.join(1.0)


def _begin() -> None:
    """Forget, in a child of this process, the team whose helpers stayed in the parent."""
    global _making
    _present.clear()
    _making = threading.Lock()


atexit.register(_end)
in_child(_begin)


def team_of(size: int) -> Team | None:
    """Return the team of this process with so many threads, or None where there is none: one thread, or no Numba."""
    if size < 2 or _over:
        return None
    team = _present[0] if _present else None
    if team is not None and team.size == size and team.pid == os.getpid():
        return team
    with _making:
        team = _present[0] if _present else None
        if team is not None and team.size == size and team.pid == os.getpid():
            return team
        try:
            made = Team(size - 1)
        except ImportError:
            return None
        if team is not None and team.pid == made.pid:
            team.dismiss()
        _present[:] = [made]
    return made
