"""The built-in kinds, one provider a file."""
