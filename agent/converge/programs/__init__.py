"""Programs: the one place that runs them, those that outlive a run, signals to processes.

process.py  run to the end
launch.py   started to outlive the run, by keeper.py
pidfd.py    signals to the process that was meant
"""
