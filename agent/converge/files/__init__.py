"""Files: paths that nobody else can move, the one writer, backups, the journal."""
