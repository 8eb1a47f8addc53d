"""What the kinds `user` and `group` share: the account files, and two ways of changing them.

Reading:    database.py (the four files), tables.py (one of them), passwords.py, defaults.py
Before:     obstacles.py, guards.py (what is refused)
Changing:   users.py (the order of the steps), ways.py (which of the two), commands.py (shadow-utils) or
            own.py (with editing.py and lock.py)
Home:       homes.py, tree.py
"""
