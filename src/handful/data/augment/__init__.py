"""Changes to an item that keep its label: more views of few examples."""
