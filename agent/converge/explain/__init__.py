"""`converge explain`: which file, layer or variable a value comes from."""
