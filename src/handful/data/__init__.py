"""What the user has: files and lists in, a Dataset out."""
