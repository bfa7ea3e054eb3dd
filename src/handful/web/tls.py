"""TLS from files that the user has: who a server proves to be, and whom it or a client believes."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from handful.errors import OptionError


@dataclass(frozen=True)
class Tls:
    """Files in PEM by which one side of a connection proves who it is, and knows the other."""

    certificate: str | None = None
    """The file of its own certificate."""
    key: str | None = None
    """The file of the key of its certificate."""
    trusted: str | None = None
    """The file of the certificates that it believes: of those who signed the other side's, or these themselves."""

    def server(self) -> ssl.SSLContext | None:
        """How a server speaks; None where it has no certificate, and speaks plainly.

        Where certificates are trusted, whoever connects has to prove to have one that these signed.

        Raises:
            OptionError: a file is missing or is none of the kind, or one is given without the other.
        """
        self._check_pair()
        if self.certificate is None:
            if self.trusted is not None:
                raise OptionError("--trust must come with --certificate and --key, got none. Add them.")
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._load(context)
        if self.trusted is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self) -> ssl.SSLContext:
        """How a client speaks: it believes what it trusts alone, or, where nothing is said, what the machine trusts.

        Raises:
            OptionError: as ``server``.
        """
        self._check_pair()
        if self.trusted is None:
            context = ssl.create_default_context()
        else:  # what the machine trusts is not trusted beside it
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._load(context)
        return context

    def _check_pair(self) -> None:
        if (self.certificate is None) != (self.key is None):
            there, lacking = ("--certificate", "--key") if self.key is None else ("--key", "--certificate")
            raise OptionError(f"{there} must come with {lacking}, got one of the two. Add the other.")

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
            if self.trusted is not None:
                context.load_verify_locations(self.trusted)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            files = ", ".join(file for file in (self.certificate, self.key, self.trusted) if file is not None)
            raise OptionError(
                f"--certificate, --key and --trust must be files in PEM that belong together, got {files} "
                f"({error}). Correct them."
            ) from error
