"""`converge explain`: which file, layer or variable a value comes from.

explanation.py  what is told of one resource or one var, as plain data
provenance.py   which places set a var, and which names a template reads
text.py         the same for people
"""
