"""What we start from: pre-trained models behind one contract; the only door to model libraries."""
