"""How data arrive when not all of them are labelled: arms that learn from a pool beside the rows."""
