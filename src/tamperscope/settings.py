"""Every setting of the server and of the command line, in one table.

Each field of `Settings` says what may be given, its default, and what it is for. Its environment variable is
its name in capitals after `TAMPERSCOPE_`, its command line option its name with dashes, and the nearer one
wins:

    the default  <  TAMPERSCOPE_MAX_BYTES=1000000  <  --max-bytes 1000000

A setting that may hold a password can also come from a file, which the variable with `_FILE` after its name
gives: `TAMPERSCOPE_DATABASE_FILE=/run/secrets/database`. Containers get their secrets as such files.

`make docs` writes the table in `docs/guides/operations.md` from here.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import platformdirs

from tamperscope.errors import SettingsError
from tamperscope.images import ImageLimits
from tamperscope.languages import ENGLISH, LANGUAGES
from tamperscope.method import DetectorOptions, DeviceName, Precision
from tamperscope.report import CPU

ANY_ORIGIN = ANY_HOST = "*"
_LONGEST_SECRET = 4096


@dataclass(frozen=True)
class Setting:
    """How one field of `Settings` is given from outside."""

    name: str
    help: str
    reader: Callable[[str], Any]
    """Makes the value of a text, or raises `ValueError` that says what is allowed."""
    secret: bool = False
    """Whether it may hold a password."""
    secret_in: tuple[str, ...] = ()
    """Environment variables of a secret. It has no option, because everyone on the machine can read those."""
    shown_default: str | None = None
    """The default in words, where its text differs from machine to machine."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that set it; the first that is there wins."""
        return self.secret_in or (f"TAMPERSCOPE_{self.name.upper()}",)

    @property
    def option(self) -> str:
        """The command line option that sets it."""
        return "--" + self.name.replace("_", "-")

    @property
    def default(self) -> str | None:
        """The text that would give the default value, None where there is none."""
        value = getattr(Settings(), self.name)
        if isinstance(value, tuple):
            return ",".join(value) or "none"
        return None if value is None else str(value)

    def parse(self, origin: str, text: str) -> Any:
        """Return the value of a text; raises `SettingsError` that names its `origin`."""
        try:
            return self.reader(text.strip())
        except ValueError as allowed:
            raise SettingsError(f"{origin} is {text!r}, but it must be {allowed}.") from None


def _setting(
    default: Any,
    help: str,
    reader: Callable[[str], Any],
    *,
    factory: bool = False,
    shown_default: str | None = None,
    secret: bool = False,
    secret_in: tuple[str, ...] = (),
) -> Any:
    """Return a field of `Settings`; a `secret` may hold a password and stays out of its text."""
    secret = secret or bool(secret_in)
    described = {
        "help": help,
        "reader": reader,
        "secret": secret,
        "secret_in": secret_in,
        "shown_default": shown_default,
    }
    if factory:
        return field(default_factory=default, repr=not secret, metadata=described)
    return field(default=default, repr=not secret, metadata=described)


def _count(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text) or not lowest <= int(text) <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return int(text)

    return read


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.lower() == "none" else read(text)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return text.lower()

    return read


def _origins(text: str) -> tuple[str, ...]:
    if text.lower() == "none":
        return ()
    origins = tuple(origin.strip().rstrip("/") for origin in text.split(","))
    # Browsers send scheme, host and port alone: anything with a path or a pattern in it never matches.
    if origins != (ANY_ORIGIN,) and not all(re.fullmatch(r"https?://[\w.-]+(:\d+)?", o) for o in origins):
        raise ValueError("'*', 'none', or origins such as https://news.example,http://localhost:3000")
    return origins


def _hosts(text: str) -> tuple[str, ...]:
    if text.lower() == "none":
        return ()
    hosts = tuple(host.strip().lower() for host in text.split(","))
    if hosts != (ANY_HOST,) and not all(
        re.fullmatch(r"\.?[\w-]+(\.[\w-]+)*", host, re.ASCII) for host in hosts
    ):
        raise ValueError("'*', 'none', or host names such as tamperscope.example,.news.example")
    return hosts


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("one IP address, such as 10.0.0.2") from None


def _users_cache() -> Path:
    return platformdirs.user_cache_path("tamperscope")


def _users_database() -> str:
    return f"sqlite:///{platformdirs.user_data_path('tamperscope') / 'analyses.db'}"


@dataclass(frozen=True)
class Settings:
    """How the server runs; `Settings()` holds the defaults."""

    host: str = _setting(
        "127.0.0.1", "Address to listen on; 0.0.0.0 accepts connections from the network.", str
    )
    port: int = _setting(5000, "Port to listen on; 0 picks a free one.", _count(0, 65535))
    hosts: tuple[str, ...] = _setting(
        (),
        "Host names of this server besides localhost, --host, its IP addresses and the tunnel's: a list, in "
        "which .news.example stands for every name below it, or '*' for any.",
        _hosts,
    )
    model: Path | None = _setting(None, "Bundle folder to use in place of the default model.", Path)
    cors_origins: tuple[str, ...] = _setting(
        (ANY_ORIGIN,), "Web origins that may call /segment and /classify: '*', 'none' or a list.", _origins
    )
    max_bytes: int = _setting(ImageLimits.bytes, "Largest image file in bytes.", _count(1024, 2**40))
    # Pillow refuses more by itself.
    max_pixels: int = _setting(ImageLimits.pixels, "Most pixels of an image.", _count(1024, 178_000_000))
    pixel_budget: int = _setting(
        DetectorOptions.pixel_budget,
        "Images with more pixels are scaled down to this many for the networks.",
        _count(1024, 2**40),
    )
    spool: int = _setting(
        2**30,
        "Most bytes of unfinished uploads and unread answers in the temporary folder; beyond that the answer "
        "is 503.",
        _count(2**20, 2**40),
    )
    workers: int = _setting(1, "Images analysed at the same time.", _count(1, 256))
    queue: int = _setting(
        8, "Images that may wait for a worker; beyond that the answer is 503.", _count(0, 10_000)
    )
    timeout: int = _setting(
        60, "Seconds an image may wait for a worker; beyond that the answer is 503.", _count(1, 3600)
    )
    deadline: int = _setting(
        120,
        "Seconds that decoding, analysing and drawing an answer may take together; beyond that it is 422.",
        _count(1, 600),
    )
    drain: int = _setting(
        30,
        "Seconds that running requests get to finish when the server stops; job images then get "
        "the same again.",
        _count(1, 3600),
    )
    threads: int | None = _setting(
        None, "CPU threads of one analysis; all cores by default.", _count(1, 1024)
    )
    cache: Path | None = _setting(
        _users_cache,
        "Folder of compiled models; 'none' compiles them at every start.",
        _or_none(Path),
        factory=True,
        shown_default="the user's cache folder",
    )
    precision: Precision = _setting(
        "auto",
        "Arithmetic: auto (8-bit integers where the bundle has such a graph, else f32), f32, or bf16.",
        _one_of("auto", "f32", "bf16"),
    )
    device: DeviceName = _setting(
        CPU,
        "Where the networks run: cpu; auto (the best accelerator, or else cpu); gpu; npu; or one kind of "
        "accelerator: cuda, tensorrt, coreml, directml or openvino-gpu.",
        _one_of(*get_args(DeviceName)),
    )
    evidence: Literal["on", "off"] = _setting(
        "on",
        "Whether copies and JPEG traces join mask and score: on, or off, which is faster and finds less.",
        _one_of("on", "off"),
    )
    language: str = _setting(
        ENGLISH,
        "Language of the reports that commands write, and of the page where a browser asks for no other: "
        f"{', '.join(LANGUAGES)}.",
        _one_of(*LANGUAGES),
    )
    c2pa_trust: Path | None = _setting(
        None,
        "File of the authorities whose signers of Content Credentials are trusted, PEM, such as the official "
        "C2PA trust list; without one no signer is.",
        Path,
    )
    database: str = _setting(
        _users_database,
        "Database of analyses: sqlite:////folder/file.db or postgresql://user@host/name. "
        "Pass a password through the environment, or in a file that TAMPERSCOPE_DATABASE_FILE names.",
        str,
        factory=True,
        shown_default="a file in the user's data folder",
        secret=True,
    )
    retention: int | None = _setting(
        90, "Days to keep an analysis or a finished job, or 'none'.", _or_none(_count(1, 36_500))
    )
    quota: int | None = _setting(
        10 * 2**30,
        "Most bytes of stored analyses per key, or of all callers together without keys, or 'none'; beyond "
        "that the answer is 507.",
        _or_none(_count(2**20, 2**48)),
    )
    redis: str | None = _setting(
        None,
        "Redis that carries jobs to 'tamperscope worker' processes and counts requests for the rate limit, "
        "such as redis://host:6379/0. "
        "Pass a password through the environment, or in a file that TAMPERSCOPE_REDIS_FILE names.",
        str,
        secret=True,
    )
    jobs: int = _setting(20, "Unfinished jobs per key; beyond that the answer is 429.", _count(1, 1_000_000))
    job_images: int = _setting(1000, "Most images in one job.", _count(1, 60_000))
    job_bytes: int = _setting(
        256 * 2**20, "Most bytes of one job's images together.", _count(1024, 2**32 - 1)
    )
    job_lease: int = _setting(
        60, "Seconds without a sign of life after which a worker is assumed dead.", _count(2, 3600)
    )
    metrics_port: int | None = _setting(
        None, "Port on which a worker serves its Prometheus metrics.", _count(1, 65535)
    )
    webhooks: Literal["public", "any", "none"] = _setting(
        "public",
        "Addresses that webhooks may have: public, any (private networks too) or none.",
        _one_of("public", "any", "none"),
    )
    keys: Path | None = _setting(
        None, "File of API keys, made by 'tamperscope keys create'; without one no key is needed.", Path
    )
    signing_key: Path | None = _setting(
        None,
        "File of the key that signs reports, made by 'tamperscope keys create NAME --signing'; without one "
        "reports are not signed.",
        Path,
    )
    rate_limit: int | None = _setting(
        None,
        "Requests per minute from one key, or from one address without keys, to all servers with the same "
        "Redis or else to each one; beyond that the answer is 429.",
        _count(1, 100_000),
    )
    trusted_proxy: str | None = _setting(
        None, "IP address of the proxy whose X-Forwarded-For is trusted.", _address
    )
    tunnel: str = _setting("none", "Open a public address: ngrok or none.", _one_of("none", "ngrok"))
    log_level: str = _setting(
        "info",
        "Least severe message to log: debug, info, warning or error.",
        _one_of("debug", "info", "warning", "error"),
    )
    log_format: str = _setting(
        "text", "Log format: text, or json for one object per line.", _one_of("text", "json")
    )
    ngrok_token: str | None = _setting(
        None, "Token of the ngrok account.", str, secret_in=("NGROK_TOKEN", "NGROK_AUTHTOKEN")
    )

    @property
    def limits(self) -> ImageLimits:
        """The limits that every uploaded image must keep."""
        return ImageLimits(bytes=self.max_bytes, pixels=self.max_pixels)

    @classmethod
    def read(
        cls, environment: Mapping[str, str], options: Mapping[str, str | None] | None = None
    ) -> Settings:
        """Return the settings of an environment, overridden by command line options.

        `options` maps field names to the text given for them, or None where the option was left out. An
        empty environment variable counts as left out.

        Raises `SettingsError` that names the variable or option, what was found and what is allowed.
        """
        given: dict[str, Any] = {}
        for setting in TABLE:
            for variable in setting.variables:
                text = environment.get(variable)
                if setting.secret:
                    text = _from_file(environment, variable) or text
                if text:
                    given[setting.name] = setting.parse(variable, text)
                    break
            option = (options or {}).get(setting.name)
            if option is not None:
                given[setting.name] = setting.parse(setting.option, option)
        return cls(**given)

    @property
    def detector_options(self) -> DetectorOptions:
        """How images are analysed; raises `SettingsError` when the trust list cannot be read."""
        return DetectorOptions(
            limits=self.limits,
            pixel_budget=self.pixel_budget,
            precision=self.precision,
            device=self.device,
            use_evidence=self.evidence == "on",
            trust_list=self.c2pa_trust.name if self.c2pa_trust else "",
            trust_anchors=_certificates(self.c2pa_trust) if self.c2pa_trust else "",
            threads=self.threads,
            cache=self.cache,
        )


def _from_file(environment: Mapping[str, str], variable: str) -> str | None:
    """Return the text of the file that the variable with `_FILE` names, None if it names none."""
    pointer = variable + "_FILE"
    name = environment.get(pointer)
    if not name:
        return None
    if environment.get(variable):
        raise SettingsError(f"Both {variable} and {pointer} are set. Set one of them.")
    try:
        with Path(name).open(encoding="utf-8") as file:
            text = file.read(_LONGEST_SECRET + 1).strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text or len(text) > _LONGEST_SECRET:
        raise SettingsError(
            f"{pointer} is {name!r}, but it must be a readable text file of 1 to {_LONGEST_SECRET} "
            "characters."
        )
    return text


def _certificates(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise SettingsError(
            f"The C2PA trust list {path} cannot be read; name a file of certificates in PEM form."
        )
    return text


TABLE = tuple(Setting(each.name, **each.metadata) for each in dataclasses.fields(Settings))
"""Every setting, in the order of the documentation."""
