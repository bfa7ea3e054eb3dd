"""Updates of a run: old rows and new ones are learned from together, and the two models compared."""
