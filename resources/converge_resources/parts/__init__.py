"""Parts of a file: what `line`, `block`, `ini`, `json`, `yaml` and their like have in common.

edits.py       the base of their specs and providers
edit_files.py  the files: read once, edited in order, written once
texts.py, lines.py, cuts.py, places.py, patterns.py   text, and where in it
ini_text.py, json_text.py, yaml_text.py               a grammar each (YAML: yaml_nodes.py, yaml_style.py)
data_keys.py, plain_data.py                           a value at a path, for `json` and `yaml`
secrets.py                                            secrets inside of a declared part
"""
