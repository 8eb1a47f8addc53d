"""What a run came to: as plain data, for people, as log lines, as metrics.

report.py         the report, plain data (docs/report.md)
output.py         the same on a terminal
output_file.py    what is asked for in a file
logline.py        the resident agent's log
metrics.py        counters, as Prometheus reads them
standing_text.py  `converge status`
"""
