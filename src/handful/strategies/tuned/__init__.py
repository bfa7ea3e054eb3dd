"""Strategies that move weights: what each is, how it is fitted, held out, compared, searched and resumed."""
