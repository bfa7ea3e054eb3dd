"""What is wrong with the data: a Dataset in, Findings out."""
