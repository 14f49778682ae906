"""Encryption of what people said, by AES-GCM with 256-bit keys. Knows nothing of what is encrypted.

A sealed record is the key's id (4 bytes), a random nonce (12) and the ciphertext with its tag (16 more). The id
comes from the key and tells nothing about it; it is authenticated with the record. Nonces are random: a key is
good for some 4 billion records, then it should be changed.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

_ID, _NONCE, _KEY = 4, 12, 32


class CannotOpen(Exception):
    """What was sealed cannot be opened. The text says why, and nothing of it."""


class BadKey(ValueError):
    """A text that is no key. The error does not show it."""


class Keyring:
    """Some keys, each 32 bytes in Base64: the first one seals, all of them open."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises `BadKey`."""
        # A start without keys need not pay for it.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        decoded = [decode_key(key) for key in keys]
        self._ciphers = {_id_of(key): AESGCM(key) for key in decoded}
        self._first = _id_of(decoded[0])
        self._refusals = (InvalidTag, ValueError)

    @property
    def ids(self) -> list[str]:
        """The names of the keys, the first one's first. They are no secret."""
        return [name.hex() for name in self._ciphers]

    def seal(self, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return self._first + nonce + self._ciphers[self._first].encrypt(nonce, plain, self._first)

    def open(self, sealed: bytes) -> bytes:
        """Raises `CannotOpen`."""
        name, nonce = sealed[:_ID], sealed[_ID : _ID + _NONCE]
        if (cipher := self._ciphers.get(name)) is None:
            raise CannotOpen(f"the key {name.hex()} is not among redis.encryption_keys")
        try:
            return cipher.decrypt(nonce, sealed[_ID + _NONCE :], name)
        except self._refusals:
            raise CannotOpen("it is damaged") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether the first key has sealed it."""
        return sealed.startswith(self._first)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.ids)})"


def decode_key(key: str) -> bytes:
    """The bytes of a key. Raises `BadKey`."""
    try:
        decoded = base64.b64decode(key.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != _KEY:
        raise BadKey("an encryption key is 32 random bytes in Base64: openssl rand -base64 32")
    return decoded


def _id_of(key: bytes) -> bytes:
    return hashlib.sha256(b"trialogue key id" + key).digest()[:_ID]
