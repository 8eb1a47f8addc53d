"""Mounts: their options, their lines in fstab, and how they are made."""
