"""Named ways to adapt a frozen or moving backbone to labels, as scikit-learn estimators."""
