"""Character n-grams, counted and hashed: a backbone without weights, to which no language is foreign."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer
from torch import Tensor

from handful.backbones.base import Backbone, State, weights_fingerprint

SHORTEST, LONGEST = 2, 5
"""Characters of an n-gram; none reaches over the end of a word."""
WIDTH = 16_384
"""How many numbers the counts are hashed into; into half as many, news in Swahili and Yoruba lost a point, by a script
that is not committed."""
MOST = 20_000
"""Characters of a text that are read."""


class CharNgrams(Backbone):
    """How often each run of two to five characters stands in a text, as one plus the logarithm of its count."""

    modality = "text"
    search_depths = (0,)
    batch_items = 256
    counts = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.fingerprint = weights_fingerprint((), "char n-grams", SHORTEST, LONGEST, WIDTH, MOST)
        self._hashed = HashingVectorizer(
            analyzer="char_wb", ngram_range=(SHORTEST, LONGEST), n_features=WIDTH, alternate_sign=False, norm=None,
            dtype=np.float32,
        )  # fmt: skip

    def size(self, item: str) -> int:
        """The number of characters."""
        return max(1, len(item))

    def prepare(self, items: Sequence[str]) -> csr_matrix:
        """Counts (B, ``WIDTH``) of B texts; one of white space alone has none."""
        # Half a surrogate pair, as broken JSON brings it, is no text to the hasher.
        texts = [text[:MOST].encode("utf-8", "replace").decode("utf-8") for text in items]
        counts: csr_matrix = self._hashed.transform(texts)
        counts.data = 1 + np.log(counts.data)
        return counts

    def stem(self, batch: csr_matrix) -> State:
        """The counts as they are, (B, ``WIDTH``)."""
        return State(torch.from_numpy(batch.toarray()))

    def pool(self, state: State) -> Tensor:
        """The counts as they are, (B, ``WIDTH``)."""
        return state.x


def load(name: str, folder: Path | None = None) -> CharNgrams:
    """The backbone; it reads no file."""
    return CharNgrams(name)
