"""Every setting of the server, read in one place.

The fields of `Settings` are the table: name, default, environment variable, accepted values and help.
The environment variable of a field is its name in capitals after `TAMPERSCOPE_`, the command line option
its name with dashes, so nothing is listed twice:

    from the default  <  TAMPERSCOPE_MAX_BYTES=1000000  <  --max-bytes 1000000

Secrets are the exception: they come from the environment only, because a command line is visible to
every user of the machine.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tamperscope.errors import SettingsError
from tamperscope.images import ImageLimits

ANY_ORIGIN = "*"


def _text(value: str) -> str:
    return value


def _count(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", value) or not lowest <= int(value) <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return int(value)

    return parse


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return value.lower()

    return parse


def _origins(value: str) -> tuple[str, ...]:
    if value.lower() == "none":
        return ()
    origins = tuple(origin.strip().rstrip("/") for origin in value.split(","))
    # An origin is compared as it stands; anything with a path or a pattern in it could never match.
    if origins != (ANY_ORIGIN,) and not all(re.fullmatch(r"https?://[^/*?#\s]+", o) for o in origins):
        raise ValueError("'*', 'none', or origins such as https://news.example,http://localhost:3000")
    return origins


def _setting(default: Any, parse: Callable[[str], Any], help: str, *, secret_in: tuple[str, ...] = ()) -> Any:
    metadata = {"parse": parse, "help": help, "secret_in": secret_in}
    return dataclasses.field(default=default, metadata=metadata, repr=not secret_in)


@dataclass(frozen=True)
class Settings:
    """How the server runs; `Settings()` is what it does when nobody says anything."""

    host: str = _setting("127.0.0.1", _text, "Address to listen on; 0.0.0.0 opens it to the network.")
    port: int = _setting(5000, _count(0, 65535), "Port to listen on; 0 takes any free one.")
    model: Path | None = _setting(None, Path, "Bundle folder; without it, the bundle that comes along.")
    cors_origins: tuple[str, ...] = _setting(
        (ANY_ORIGIN,), _origins, "Web origins that may call /segment and /classify: '*', 'none' or a comma list."
    )
    max_bytes: int = _setting(
        ImageLimits.bytes, _count(1024, 2**40), "Refuse image files with more bytes than this."
    )
    max_pixels: int = _setting(
        ImageLimits.pixels, _count(1024, 2**40), "Refuse images with more pixels than this."
    )
    pixel_budget: int = _setting(
        4_000_000, _count(1024, 2**40), "Analyse at most this many pixels; larger images are scaled down."
    )
    workers: int = _setting(1, _count(1, 256), "Images analysed at the same time.")
    queue: int = _setting(8, _count(0, 10_000), "Images that may wait for a worker; beyond, the answer is 503.")
    threads: int | None = _setting(None, _count(1, 1024), "CPU threads of one analysis; without it, all cores.")
    tunnel: str = _setting("none", _one_of("none", "ngrok"), "Public address: 'ngrok' or 'none'.")
    log_level: str = _setting(
        "info", _one_of("debug", "info", "warning", "error"), "Least severe message that is logged."
    )
    ngrok_token: str | None = _setting(
        None, _text, "Token of the ngrok account.", secret_in=("NGROK_TOKEN", "NGROK_AUTHTOKEN")
    )

    @property
    def limits(self) -> ImageLimits:
        """The limits that every uploaded image must keep."""
        return ImageLimits(bytes=self.max_bytes, pixels=self.max_pixels)

    @classmethod
    def read(cls, environment: Mapping[str, str], options: Mapping[str, str | None] | None = None) -> Settings:
        """Return the settings of an environment, overridden by command line options.

        `options` maps field names to the text given for them, or None where the option was left out. An
        empty environment variable counts as left out.

        Raises `SettingsError` that names the variable or option, what was found and what is allowed.
        """
        given: dict[str, Any] = {}
        for name, setting in table().items():
            for variable in setting.variables:
                if environment.get(variable):
                    given[name] = setting.parse(variable, environment[variable])
                    break
            option = (options or {}).get(name)
            if option is not None:
                given[name] = setting.parse(setting.option, option)
        return cls(**given)


@dataclass(frozen=True)
class Setting:
    """One row of the table of settings."""

    name: str
    default: Any
    help: str
    secret_in: tuple[str, ...]
    _parse: Callable[[str], Any]

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that set it, the first one that is set wins."""
        return self.secret_in or (f"TAMPERSCOPE_{self.name.upper()}",)

    @property
    def option(self) -> str:
        """The command line option that sets it."""
        return "--" + self.name.replace("_", "-")

    def parse(self, origin: str, value: str) -> Any:
        """Return the value of a text; raises `SettingsError` that names its `origin`."""
        try:
            return self._parse(value.strip())
        except ValueError as error:
            raise SettingsError(f"{origin} is {value!r}, but it must be {error}.") from None


def table() -> dict[str, Setting]:
    """Return every setting by field name, in the order of the fields."""
    return {
        field.name: Setting(
            name=field.name,
            default=field.default,
            help=field.metadata["help"],
            secret_in=field.metadata["secret_in"],
            _parse=field.metadata["parse"],
        )
        for field in dataclasses.fields(Settings)
    }
