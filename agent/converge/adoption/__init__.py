"""`converge adopt`: live state, as a profile.

command.py   the command line
checking.py  what is declared has to be valid and in sync, or it is said why it cannot be
writing.py   the profile's text
"""
