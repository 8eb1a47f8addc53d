"""Bundles: a profile's folder as one signed file, who may sign it, and which one is in force.

command.py    `converge bundle`, run where bundles are made
packing.py    a folder ⇄ one .tar.gz, within limits, never on the disk
minisign.py   keys and signatures in minisign's format
statement.py  what a signature says besides: name, sequence, expiry
moments.py    points in time, as a statement and a roll-out write them
keyring.py    whose signatures count, and how the keys are changed
check.py      is this bundle to be believed, and newer than what is here?
rollout.py    who takes it, and when
identity.py   what tells this container from another, for its roll-outs
intake.py     what a source brings is believed, kept, and taken at its time
in_force.py   the newest that is believed, else the last good one
memory.py     what an agent remembers of a source
"""
