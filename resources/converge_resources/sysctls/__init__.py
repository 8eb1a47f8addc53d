"""Kernel parameters: their names, what may set them, and how."""
