"""Public keys of ssh, and the file that lists them."""
