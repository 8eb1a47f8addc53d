"""The one blocking wait: timer, signals, the worker's end, file events, and who asks.

Nothing is done at a time: each wait ends with something that was waited for, and between two runs
there is nothing but the timer to wake up for.
"""

from __future__ import annotations

import os
import select

from converge.daemon import kernel, timer
from converge.daemon.child import Child, now
from converge.daemon.command import Command
from converge.daemon.control import Control
from converge.daemon.drift import Drift
from converge.daemon.options import Options
from converge.daemon.say import say
from converge.daemon.watcher import Watcher

_SIGNALS = (
    kernel.SIGTERM, kernel.SIGINT, kernel.SIGPWR, kernel.SIGHUP, kernel.SIGUSR1, kernel.SIGCHLD,
)  # fmt: skip

_LONGEST_PAUSE = 60.0  # seconds: what drifts while runs fail is put right this often, at least


class Daemon:
    """The supervisor. `run` returns when it was asked to stop."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.child: Child | None = None
        self.watcher = Watcher(self.say)
        self.wanted = "start" if options.run_now else ""  # why a whole run shall start now
        self.drift = Drift(events=options.events == "on", own=options.runtime)
        self.next_poll = 0.0
        self.failures = self.runs = self.crashes = 0
        self.last_end = ""
        self.command = Command(int(options.beside), int(options.ready))
        self.stopping = self.command.ended
        self.configure = False
        self.signals = kernel.signals(_SIGNALS)
        self.timer = kernel.timer()
        kernel.adopt_orphans()
        kernel.default_action(kernel.SIGCHLD)
        self.control = Control(self)
        self.due = timer.due(now(), options.interval, options.splay, 0)
        self.say("info", f"agent started, a run every {options.interval:g} s")

    def say(self, level: str, text: str) -> None:
        """Write a line to the log."""
        say(level, text, self.options.log_format, self.options.log_to)

    def run(self) -> None:
        """Wait and act until the end."""
        while not (self.stopping and self.child is None):
            self._start_what_is_due()
            kernel.arm(self.timer, self._next_moment())
            for fd in self._wait():
                self._act(fd)
            self._pass_time()
        self.watcher.stop()
        self.control.close()
        self.drift.watches.close()
        self.say("info", "agent stopped")

    def _wait(self) -> list[int]:
        waiting = select.poll()
        fds = [self.signals, self.timer, *self.control.fds()]
        if self.child and self.child.result >= 0:
            fds.append(self.child.result)
        if self.command.fd >= 0 and not self.stopping:
            fds.append(self.command.fd)
        for fd in [*fds, *self.drift.fds()]:
            waiting.register(fd, select.POLLIN)
        return [fd for fd, _ in waiting.poll()]

    def _next_moment(self) -> float:
        """Return the next time at which something is to be done, if nothing happens before."""
        moments = [self.control.next_deadline()]
        if self.child:
            moments.append(self.child.deadline)
        elif not self.control.paused:
            moments += [self.due, self.drift.settled(), self.drift.recalls()]
            moments.append(self.watcher.next_moment(self.options))
        moments.append(self.drift.reads_again())
        if self._polls():
            moments.append(self.next_poll)
        return min(moment for moment in [*moments, now() + 1e8] if moment is not None)

    def _act(self, fd: int) -> None:
        if fd == self.signals:
            for number in kernel.signal_numbers(fd):
                self._signal(number)
        elif fd == self.timer:
            try:
                os.read(fd, 8)
            except BlockingIOError:
                return
        elif self.child and fd == self.child.result:
            self.child.read()
        elif fd == self.command.fd:
            self.stop()
        elif fd in self.drift.fds():
            self.drift.read(look=self.child is None)
        else:
            self.control.ready(fd)

    def _pass_time(self) -> None:
        self.control.expire()
        self.control.look()
        if self.child and now() >= self.child.deadline:
            self.child.overdue()
        if self._polls() and now() >= self.next_poll:
            self.next_poll = now() + self.options.poll
            self.drift.watches.look_at_everything()
        if self.child is None:
            self.drift.find()

    def _polls(self) -> bool:
        return bool(self.drift.watches.trouble) and not self.control.paused

    def _signal(self, number: int) -> None:
        if number == kernel.SIGCHLD:
            self._reap()
        elif number == kernel.SIGUSR1:
            self.ask("trigger")
        elif number == kernel.SIGHUP:
            self.configure = True
        elif self.stopping and self.child:
            self.child.kill()
        else:
            self.stop()

    def stop(self) -> None:
        """Start no more runs, and end when the one under way has."""
        self.stopping = True
        if self.child:
            self.child.stop()

    def ask(self, reason: str) -> None:
        """Ask for a whole run, now or after the one that is under way."""
        self.wanted = reason

    def _start_what_is_due(self) -> None:
        if self.child or self.stopping:
            return
        if self.configure:
            self.configure = False
            self._start("configure", "")
        elif self.control.paused:
            self._rest()
        elif self.wanted:
            reason, self.wanted = self.wanted, ""
            self._start("run", reason)
        elif now() >= self.due:
            self._start("run", "timer")
        elif self.drift.paths and now() >= (self.drift.settled() or 0.0):
            self._start("run", "event", self.drift.touched())
        else:
            self.watcher.start(self.options)

    def _rest(self) -> None:
        """While paused: what is asked for is refused, and what drifts stays as it is."""
        if self.wanted:
            text = f"no run ({self.wanted}), as runs are paused: {self.control.paused}"
            self.say("warning", text)
            self.wanted = ""
        self.control.refuse()
        self.command.tell(0)
        self.drift.paths.clear()
        self.due = max(self.due, now())

    def _start(self, verb: str, reason: str, paths: tuple[str, ...] = ()) -> None:
        if verb == "run":
            self.drift.paths.clear()
            self.control.take_waiting()
        try:
            self.child = Child(self.options, verb, reason, paths)
        except OSError as error:
            self._failed(f"a worker cannot be started: {error.strerror}")

    def _reap(self) -> None:
        """Take the exit status of the worker, and of what its children left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self.child and pid == self.child.pid:
                child, self.child = self.child, None
                self._ended(child, os.waitstatus_to_exitcode(status))
                del child
                kernel.forget_freed_memory()
            elif pid == self.watcher.pid and self.watcher.ended(status, self.options):
                self.ask("source")

    def _ended(self, child: Child, status: int) -> None:
        answer = child.answer()
        if child.verb == "configure":
            self._configured(answer)
            return
        self.runs += 1
        if answer is None:
            self._failed(child.how_it_ended(status))
            return
        code, run, whole, failed, *records = answer
        self.last_end = ""
        self.drift.watches.update(records, whole=whole == "whole")
        self.drift.ran(child.paths, in_vain=failed == "idle")
        self._after(int(code), run, failed=failed == "failed")
        self.drift.find()

    def _after(self, code: int, run: str, *, failed: bool) -> None:
        """Set the time of the next run, and tell those who waited for this one."""
        self.failures = self.failures + 1 if failed else 0
        pause = min(2.0 ** (self.failures - 1), _LONGEST_PAUSE) if failed else 0.0
        self.drift.waits_until = now() + pause
        self.due = timer.due(now(), self.options.interval, self.options.splay, self.failures)
        self.control.tell(code, run)
        self.command.tell(code)

    def _failed(self, why: str) -> None:
        self.crashes += 1
        self.last_end = why
        self.say("error", why)
        self._after(1, "", failed=True)

    def _configured(self, answer: list[str] | None) -> None:
        """Take over the settings that a worker has read, or keep the old ones."""
        try:
            if answer is None or answer[0] != "0":
                raise ValueError
            new = Options(answer[2].encode(errors="surrogateescape"))
        except (ValueError, IndexError):
            self.say("error", "the new settings are wrong; the old ones stay in force")
            return
        if new.events != self.options.events:
            self.drift.watches.close()
            self.drift = Drift(events=new.events == "on", own=self.control.place.folder)
        self.options = new
        self.watcher.stop()
        self.control.reconfigure()
        self.say("info", f"settings read again, a run every {new.interval:g} s")
        self.ask("reload")
