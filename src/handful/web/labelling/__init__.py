"""The page to label a pool: what is asked next, answers that no kill loses, and what the model learns meanwhile."""
