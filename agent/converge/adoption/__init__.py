"""`converge adopt`: live state, as a profile.

command.py   the command line
fallback.py  how a kind that cannot list what is there is asked all the same
checking.py  what is declared has to be valid and in sync, or it is said why it cannot be
sources.py   contents that do not fit into the profile, as files beside it
writing.py   the profile's text
"""
