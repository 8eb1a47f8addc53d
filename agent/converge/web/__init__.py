"""HTTP(S), with a deadline that holds whatever the server does.

fetch.py        the one place that fetches anything
transfer.py     receiving at a deadline
http_answer.py  what makes an answer usable
weblink.py      which addresses are accepted
"""
