"""What lives at a path: files, directories, trees, their owners and contents."""
