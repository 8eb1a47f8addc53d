"""What a run came to: as plain data, for people, as log lines, as metrics."""
