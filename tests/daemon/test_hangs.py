"""A worker that does not end: its deadline, and what is ended with it."""

from __future__ import annotations

import signal

import pytest

from daemon.supervisor import ORDERED, Held, alive, children, until

# Starts a child in its process group and one in a session of its own, and does not mind SIGTERM.
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: open("asked", "a").write("x"))
for own in (False, True):
    if os.fork() == 0:
        os.setsid() if own else None
        break
open("family", "a").write(f"{os.getpid()}\\n")
while True:
    time.sleep(60)
"""
FLOOD = "while True: os.write(3, bytes(1 << 16))"
DEAF_FLOOD = """
while True:
    try:
        os.write(3, bytes(1 << 16))
    except BrokenPipeError:
        pass
"""


def family(one) -> list[int]:
    """Return the three processes of a STUBBORN worker, once they are there."""
    file = one.folder / "family"
    until(lambda: file.exists() and len(file.read_text().split()) == 3)
    return [int(word) for word in file.read_text().split()]


@pytest.fixture
def stubborn(supervisor):
    """Return how to start a supervisor whose worker hangs, and the processes of that."""

    def start(**options):
        one = supervisor(ORDERED, **options)
        (one.folder / "order").write_text(STUBBORN)
        one.start()
        return one, family(one)

    return start


def test_past_its_deadline_it_is_asked_then_killed_with_all_it_started(stubborn):
    one, hanging = stubborn(deadline=0.3)
    until(lambda: not any(map(alive, hanging)))
    assert (one.folder / "asked").exists()
    until(lambda: "the worker was past its deadline and was ended" in one.log())
    assert one.status()["crashes"] == "1"
    assert one.order("os.write(3, b'0\\0id\\0whole\\0\\0end\\0')") == 0
    assert one.end() == 0


def test_a_stop_does_not_wait_for_it_for_ten_seconds(stubborn):
    one, hanging = stubborn()
    assert one.end(10.0) == 0
    assert (one.folder / "asked").exists()
    until(lambda: not any(map(alive, hanging)))
    assert "the worker was killed, as it did not stop when it was asked to" in one.log()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, signal.SIGPWR])
def test_the_second_request_to_stop_ends_it_at_once(stubborn, second):
    one, hanging = stubborn()
    one.signal(signal.SIGTERM)
    until((one.folder / "asked").exists)
    one.signal(second)
    assert one.process.wait(5.0) == 0  # of the eight seconds that one request gives it
    until(lambda: not any(map(alive, hanging)))  # the kernel takes its time for those below it


def test_one_that_was_stopped_by_a_signal(supervisor):
    one = supervisor(ORDERED, deadline=0.3)
    (one.folder / "order").write_text("os.kill(os.getpid(), 19)")
    one.start()
    until(lambda: "the worker was past its deadline and was ended" in one.log())
    assert not children(one.pid)


def test_one_that_never_ends_its_result(supervisor):
    one = supervisor(ORDERED).start()
    until(lambda: one.runs() == 1 and not children(one.pid))
    before = Held(one.pid)
    assert one.order(FLOOD) == 1
    assert "a result of more than 16777216 bytes" in one.status()["last_end"]
    assert Held(one.pid).resident < before.resident + 2048
    (one.folder / "order").write_text(DEAF_FLOOD)
    one.signal(signal.SIGUSR1)
    until(lambda: one.status()["busy"])
    for _ in range(100):  # it has time for others
        assert one.status()["busy"] == "trigger"
    assert one.end(10.0) == 0


def test_what_a_worker_leaves_behind_cannot_hold_it_up(supervisor):
    """A child that goes on writing to descriptor 3 when the worker has ended."""
    one = supervisor(ORDERED).start()
    code = f"if os.fork() == 0:\n    open('pid', 'w').write(str(os.getpid()))\n    {FLOOD}\n"
    code += "while not os.path.exists('pid'): pass\nos._exit(7)"
    assert one.order(code) == 1
    assert one.order("os.write(3, b'0\\0id\\0whole\\0\\0end\\0')") == 0
    until(lambda: not children(one.pid))
