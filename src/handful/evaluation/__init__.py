"""Which is better, and are we sure: metrics, intervals, protocols and the choice."""
