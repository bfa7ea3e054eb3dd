"""What is wanted of an item: one task per kind of target, each knowing what its targets mean."""
