"""The resident agent's supervisor: one small process that waits, and starts a worker for each run.

It imports nothing of the rest of converge (an import contract holds that), and nothing of the
standard library that it can do without: what it imports, it holds in memory for ever.

    options.py   what it is told at its start
    place.py     its private directory, and the lock that makes it the only one
    loop.py      the one blocking wait, and what each thing waited for leads to
    timer.py     when the next run is due
    watches.py   which paths are watched, and which of them look different now
    prints.py    what a path looks like, as one number
    drift.py     what has drifted, and when to act on it
    child.py     the worker's process
    watcher.py   the process that waits for news at the source of a profile
    command.py   the command that it was left beside
    control.py   who may ask for what
    server.py    the control socket and the metrics endpoint
    say.py       its own log lines
    kernel.py    inotify, timerfd, signalfd, prctl
"""
