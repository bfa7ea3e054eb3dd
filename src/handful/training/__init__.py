"""How weights move: one loop, objectives that say what is minimised, tuners that say which weights may move."""
