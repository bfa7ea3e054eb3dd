"""What leaves: bundles and model cards."""
