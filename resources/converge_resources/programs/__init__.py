"""Programs that a profile declares: their words, and as whom they run."""
