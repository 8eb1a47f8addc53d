"""Files: paths that nobody else can move, the one writer, backups, the journal.

Paths:    paths.py, walk.py (links on the way), trust.py (who could have changed what is read)
Reading:  regular.py, digests.py
Writing:  writer.py (the one writer), atomic.py (its primitives), in_place.py, staging.py (what is no
          file), attributes.py and modes.py, removal.py, together.py (fsync(2) of many)
Undoing:  backup.py, no_backups.py (in an image that is built), journal.py
"""
