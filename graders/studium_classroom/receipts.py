"""Receipts: what the server has of a submission, signed so nobody else can make or change one."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import msgspec
from studium.classroom.messages import Receipt


class Seal:
    """Signs receipts with the server's secret, a file that is created on first use."""

    def __init__(self, file: Path) -> None:
        self._secret = _secret(file)

    def signed(self, receipt: Receipt) -> Receipt:
        """Return the receipt with its signature."""
        return msgspec.structs.replace(receipt, signature=self._signature(receipt))

    def is_genuine(self, receipt: Receipt) -> bool:
        """Return whether this server issued the receipt and nobody changed it."""
        return hmac.compare_digest(self._signature(receipt).encode(), receipt.signature.encode())

    def _signature(self, receipt: Receipt) -> str:
        text = msgspec.json.encode(msgspec.structs.replace(receipt, signature=""))
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


def _secret(file: Path) -> bytes:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return file.read_bytes()
    with os.fdopen(descriptor, "wb") as made:
        made.write(secrets.token_bytes(32))
    return file.read_bytes()
