"""How it fares in use: whether new rows are like the training rows, and what was promised against what is measured."""
