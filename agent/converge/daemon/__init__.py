"""The resident agent's supervisor: one small process that waits, and starts a worker for each run.

It imports nothing of the rest of converge (an import contract holds that), and nothing of the
standard library that it can do without: what it imports, it holds in memory for ever.

    loop.py      the one blocking wait, and what each thing waited for leads to
    timer.py     when the next run is due
    drift.py     what has drifted, and when to act on it
    watches.py   which paths are watched, and which of them look different now
    child.py     the worker's process
    command.py   the command that it was left beside
    server.py    the control socket and the metrics endpoint
    kernel.py    inotify, timerfd, signalfd, prctl
    options.py   what it is told at its start
    prints.py    what a path looks like, as one number
"""
