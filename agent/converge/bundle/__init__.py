"""Bundles: a profile's folder as one signed file, and who may sign it.

minisign.py   keys and signatures in minisign's format
statement.py  what a signature says besides: name, sequence, expiry
keyring.py    whose signatures count, and how the keys are changed
packing.py    a folder ⇄ one .tar.gz, within limits, never on the disk
check.py      is this bundle to be believed, and newer than what is here?
"""
