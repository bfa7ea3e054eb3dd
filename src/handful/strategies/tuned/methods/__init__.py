"""One way to move weights per file: a class with its name is all that a strategy needs to be known everywhere."""
