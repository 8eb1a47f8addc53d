"""Programs: the one place that runs them, those that outlive a run, signals to processes."""
