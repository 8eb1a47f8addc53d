"""Parts of a file: what `line`, `block`, `ini`, `json`, `yaml` and their like have in common."""
