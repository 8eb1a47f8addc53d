"""The profile language: YAML files to a catalog of validated, linked and ordered resources."""
