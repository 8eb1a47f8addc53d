"""What is there, as each kind would declare it (converge.declared), one family of kinds a file."""
