"""What the agent keeps between runs, in a private directory, and the lock of a run."""
