"""`converge fleet`: who is converged, stale, failed or drifting, from the reports that agents send.

command.py  the command line
members.py  what is told of one container, and how it stands
reading.py  members from a directory of reports, or from Prometheus
table.py    for a terminal
page.py     one HTML file, with nothing fetched from elsewhere
"""
