"""API keys: created by `tamperscope keys create`, stored as digests in one JSON file.

{"keys": [{"name": "newsroom", "id": "key-3f...", "sha256": "...", "admin": false, "created": "2026-01-31",
           "expires": "2027-01-31"}]}

A key has 256 random bits. It cannot be guessed from its digest, so a plain SHA-256 is enough where a password
would need a slow hash. Analyses and jobs belong to the key's id, which no other key ever gets; a name may be
used again after its key was revoked.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from tamperscope.errors import SettingsError

PREFIX = "tsk_"
"""Lets secret scanners and people recognise a key."""


class Key(BaseModel):
    """One entry of the keys file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    id: str | None = None
    """None in files of versions that knew keys by their names."""
    sha256: str
    admin: bool = False
    """Whether it may call `/admin`."""
    created: datetime.date
    expires: datetime.date | None = None
    """The last day on which it is valid, in UTC."""

    @property
    def owner(self) -> str:
        """Who owns what is stored for this key."""
        return self.id or self.name


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[Key, ...] = ()


def utc_today() -> datetime.date:
    """Return the date in UTC, in which keys are created and expire."""
    return datetime.datetime.now(datetime.UTC).date()


class KeyRing:
    """The keys of one file."""

    def __init__(self, keys: Iterable[Key], today: Callable[[], datetime.date] = utc_today) -> None:
        self._keys = tuple(keys)
        self._today = today

    @classmethod
    def read(cls, path: Path) -> KeyRing:
        """Read a keys file; raises `SettingsError` when it is missing or invalid."""
        return cls(_read(path).keys)

    def find(self, key: str) -> Key | None:
        """Return the entry of a valid key, or None; takes the same time for every wrong key."""
        digest = _digest(key)
        found = None
        for known in self._keys:
            if hmac.compare_digest(known.sha256, digest):
                found = known
        if found and found.expires and found.expires < self._today():
            return None
        return found


def create_key(
    path: Path, name: str, *, admin: bool, today: datetime.date, expires: datetime.date | None = None
) -> str:
    """Add a key to a keys file, creating the file if it is missing, and return the key.

    The key is not stored and cannot be shown again.

    Raises `SettingsError` when the name is taken or the file cannot be read or written.
    """
    file = _read(path) if path.exists() else _File()
    if any(known.name == name for known in file.keys):
        raise SettingsError(f"{path} already has a key named {name!r}; choose another name.")
    key = PREFIX + secrets.token_urlsafe(32)
    entry = Key(
        name=name,
        id=f"key-{secrets.token_hex(8)}",
        sha256=_digest(key),
        admin=admin,
        created=today,
        expires=expires,
    )
    _write(path, _File(keys=(*file.keys, entry)))
    return key


def list_keys(path: Path) -> tuple[Key, ...]:
    """Return the entries of a keys file; raises `SettingsError` when it cannot be read."""
    return _read(path).keys


def revoke_key(path: Path, name: str) -> Key:
    """Remove a key from a keys file and return it; what is stored for it stays out of reach of other keys.

    Raises `SettingsError` when there is no key of that name, or the file cannot be read or written.
    """
    keys = _read(path).keys
    revoked = next((known for known in keys if known.name == name), None)
    if revoked is None:
        raise SettingsError(f"{path} has no key named {name!r}; see: tamperscope keys list.")
    _write(path, _File(keys=tuple(known for known in keys if known.name != name)))
    return revoked


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _read(path: Path) -> _File:
    try:
        return _File.model_validate_json(path.read_bytes())
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SettingsError(
            f"The keys file {path} cannot be read: {reason}. Create one with: tamperscope keys create."
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{path} is not a keys file: {place} {first['msg']}.".replace("  ", " ")
        ) from None


def _write(path: Path, file: _File) -> None:
    # Replaced as a whole, so that a server never reads a half-written file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as text:  # noqa: PTH123
            text.write(file.model_dump_json(indent=2) + "\n")
        temporary.replace(path)
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SettingsError(f"The keys file {path} cannot be written: {reason}.") from None
