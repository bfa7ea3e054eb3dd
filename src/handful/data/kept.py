"""Items that are gone, of which a model keeps what its backbones saw: known by their content, called as they were."""

from __future__ import annotations


class KeptItem(str):
    """What an item was called, a text as it stood or the name of a file, and its name by its content."""

    digest: str
    """What ``item_hash`` gave when the item was there."""

    def __new__(cls, called: str, digest: str) -> KeptItem:
        """Args: called: in messages and tables; digest: its name by its content."""
        made = super().__new__(cls, called)
        made.digest = digest
        return made

    def __reduce__(self) -> tuple[type[KeptItem], tuple[str, str]]:
        """For copies and pickles."""
        return KeptItem, (str(self), self.digest)
