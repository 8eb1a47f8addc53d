"""What the agent keeps between runs, in a private directory, and the lock of a run.

private.py       a directory that is nobody else's
store.py         files in it, old or new, none able to stop the agent
directory.py     the state directory: what is remembered there
lock.py          one run at a time
cache.py         the compiled catalog
fingerprints.py  what was read and found right
notes.py         what kinds remember
standing.py      how the container stands after all runs so far
image.py         what a build leaves in an image
"""
