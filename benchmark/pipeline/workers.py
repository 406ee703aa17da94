"""Tasks -> their results in order, computed by processes that end with the command."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from data.errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")

STOPS = (signal.SIGINT, signal.SIGTERM)
AHEAD = 2
"""Tasks for each worker that are under way at a time, so that memory stays flat."""
POLL_S = 0.1


def map_in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Generator[Result, None, None]:
    """Yield what a function makes of each task, in the order of the tasks.

    Results should fit into 4 KiB: a process that is killed while it hands over half of a larger one
    leaves the others waiting for the rest.

    Args:
        function: what to do; picklable, as are tasks and results.
        tasks: what it is given.
        workers: number of processes; 1 does without any of them.

    Raises:
        InputError: a process was killed.
    """
    if workers <= 1:
        yield from map(function, tasks)
        return
    waiting = iter(tasks)
    running: deque[Future[Result]] = deque()
    try:
        with _held_signals() as received, _pool(workers) as pool:
            while True:
                # Ctrl-C goes to all processes of a terminal. One that is started with the signals
                # blocked does not print a traceback from the midst of its imports.
                mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
                for task in islice(waiting, AHEAD * workers - len(running)):
                    running.append(pool.submit(function, task))
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                if not running:
                    return
                while not wait([running[0]], timeout=POLL_S).done and not received:
                    if not multiprocessing.active_children():
                        raise BrokenProcessPool
                if received:
                    raise KeyboardInterrupt
                yield running.popleft().result()
    except BrokenProcessPool:
        raise InputError(
            "a process that decodes was killed, probably for want of memory; try --workers 1"
        ) from None


@contextmanager
def _held_signals() -> Iterator[list[int]]:
    """Note signals that stop a program, and let them act after the block.

    An exception that is raised in the midst of the executor's code leaves its locks taken, and the
    command waits for them for good.
    """
    received: list[int] = []
    handlers = {}
    # Elsewhere no handler is called, and none may be set.
    if threading.current_thread() is threading.main_thread():
        heard = [n for n in STOPS if signal.getsignal(n) != signal.SIG_IGN]
        handlers = {n: signal.signal(n, lambda number, _: received.append(number)) for n in heard}
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes, and kill them where the block is left early: what they do may take long."""
    before = multiprocessing.active_children()
    # spawn: forking a process that has threads (PyTorch, OpenCV) can dead-lock.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    except BaseException:
        for process in multiprocessing.active_children():
            if process not in before:
                process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command hears it, and ends its workers
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process once the one that started it has gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
