"""The profile language: YAML files to a catalog of validated, linked and ordered resources.

Reading:    profile.py (files and includes), yamlfile.py (with yamltext.py, yamlbuild.py, scalars.py),
            places.py (where each value stands), plain.py (what plain data is)
Vars:       layers.py, merging.py, origins.py (which place sets what), assertions.py
Templates:  template.py, sandbox.py, bounds.py, template_errors.py, template_files.py
Resources:  compile.py (the way through it all), instances.py, compiler.py, common.py (attributes that
            every kind has), models.py and model_errors.py (validation), secret_references.py, protect.py
Order:      links.py (what goes before what), graph.py
For people: hints.py, reference.py (`converge kinds`), schema.py (for editors)
"""
