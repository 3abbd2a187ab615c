"""Every setting of the server, read in one place.

`Settings` holds the values and their defaults, `TABLE` says for each of them what may be given and what it
is for. A field's environment variable is its name in capitals after `TAMPERSCOPE_`, its command line option
is its name with dashes, and the nearer one wins:

    the default  <  TAMPERSCOPE_MAX_BYTES=1000000  <  --max-bytes 1000000

| variable                   | default     | what it is |
|----------------------------|-------------|------------|
| `TAMPERSCOPE_HOST`         | 127.0.0.1   | address to listen on |
| `TAMPERSCOPE_PORT`         | 5000        | port to listen on |
| `TAMPERSCOPE_MODEL`        | none        | bundle folder instead of the one that comes along |
| `TAMPERSCOPE_CORS_ORIGINS` | *           | web origins that may call `/segment` and `/classify` |
| `TAMPERSCOPE_MAX_BYTES`    | 52428800    | most bytes of an image file |
| `TAMPERSCOPE_MAX_PIXELS`   | 100000000   | most pixels of an image |
| `TAMPERSCOPE_PIXEL_BUDGET` | 4000000     | pixels above which an image is scaled down for the analysis |
| `TAMPERSCOPE_WORKERS`      | 1           | images analysed at the same time |
| `TAMPERSCOPE_QUEUE`        | 8           | images that may wait for a worker |
| `TAMPERSCOPE_TIMEOUT`      | 60          | seconds that an image may wait for a worker |
| `TAMPERSCOPE_DRAIN`        | 30          | seconds that requests, then images of jobs, get at a stop |
| `TAMPERSCOPE_THREADS`      | none        | CPU threads of one analysis instead of all cores |
| `TAMPERSCOPE_CACHE`        | the user's  | folder of compiled models; `none` compiles at each start |
| `TAMPERSCOPE_PRECISION`    | auto        | `f32` and `bf16` leave a bundle's 8-bit graph aside |
| `TAMPERSCOPE_EVIDENCE`     | on          | `off` lets the networks alone decide: faster, finds less |
| `TAMPERSCOPE_DATABASE`     | the user's  | URL of the database of analyses: SQLite or PostgreSQL |
| `TAMPERSCOPE_RETENTION`    | 90          | days that an analysis or an ended job is kept, or `none` |
| `TAMPERSCOPE_REDIS`        | none        | Redis that jobs go through to `tamperscope worker` processes |
| `TAMPERSCOPE_JOBS`         | 20          | unfinished jobs that one key may have |
| `TAMPERSCOPE_JOB_IMAGES`   | 1000        | most images of a job |
| `TAMPERSCOPE_JOB_BYTES`    | 268435456   | most bytes of a job's images together |
| `TAMPERSCOPE_JOB_LEASE`    | 60          | seconds after which a silent worker is taken for dead |
| `TAMPERSCOPE_METRICS_PORT` | none        | port on which a worker shows its figures to Prometheus |
| `TAMPERSCOPE_WEBHOOKS`     | public      | which addresses webhooks may have: `public`, `any`, `none` |
| `TAMPERSCOPE_KEYS`         | none        | file of API keys; without one nobody needs a key |
| `TAMPERSCOPE_RATE_LIMIT`   | none        | requests a minute from one key, or address without keys |
| `TAMPERSCOPE_TRUSTED_PROXY`| none        | address of the proxy whose `X-Forwarded-For` is believed |
| `TAMPERSCOPE_TUNNEL`       | none        | `ngrok` opens a public address |
| `TAMPERSCOPE_LOG_LEVEL`    | info        | least severe message that is logged |
| `TAMPERSCOPE_LOG_FORMAT`   | text        | `json` logs one object per line |
| `NGROK_TOKEN`              | none        | token of the ngrok account; `NGROK_AUTHTOKEN` does as well |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import platformdirs

from tamperscope.errors import SettingsError
from tamperscope.images import ImageLimits

if TYPE_CHECKING:
    from tamperscope.detector import Detector
    from tamperscope.jobs import JobLimits
    from tamperscope.store import Store

ANY_ORIGIN = "*"


def _users_database() -> str:
    return f"sqlite:///{platformdirs.user_data_path('tamperscope') / 'analyses.db'}"


@dataclass(frozen=True)
class Settings:
    """How the server runs; `Settings()` is what it does when nobody says anything."""

    host: str = "127.0.0.1"
    port: int = 5000
    model: Path | None = None
    cors_origins: tuple[str, ...] = (ANY_ORIGIN,)
    max_bytes: int = ImageLimits.bytes
    max_pixels: int = ImageLimits.pixels
    pixel_budget: int = 4_000_000
    workers: int = 1
    queue: int = 8
    timeout: int = 60
    drain: int = 30
    threads: int | None = None
    cache: Path | None = platformdirs.user_cache_path("tamperscope")  # noqa: RUF009
    precision: Literal["auto", "f32", "bf16"] = "auto"
    evidence: Literal["on", "off"] = "on"
    # It may hold a password.
    database: str = field(default_factory=_users_database, repr=False)
    retention: int | None = 90
    # It may hold a password as well.
    redis: str | None = field(default=None, repr=False)
    jobs: int = 20
    job_images: int = 1000
    job_bytes: int = 256 * 2**20
    job_lease: int = 60
    metrics_port: int | None = None
    webhooks: Literal["public", "any", "none"] = "public"
    keys: Path | None = None
    rate_limit: int | None = None
    trusted_proxy: str | None = None
    tunnel: str = "none"
    log_level: str = "info"
    log_format: str = "text"
    ngrok_token: str | None = field(default=None, repr=False)

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
                if environment.get(variable):
                    given[setting.name] = setting.parse(variable, environment[variable])
                    break
            option = (options or {}).get(setting.name)
            if option is not None:
                given[setting.name] = setting.parse(setting.option, option)
        return cls(**given)

    def load_detector(self, model: Path | None = None) -> Detector:
        """Return a detector under these settings, with the bundle `model` where one is given.

        Raises `BundleError` as `Detector.load` does.
        """
        # Here, because commands read settings before they know whether they need networks.
        from tamperscope.detector import Detector

        return Detector.load(
            model or self.model,
            limits=self.limits,
            pixel_budget=self.pixel_budget,
            threads=self.threads,
            cache=self.cache,
            precision=self.precision,
            use_evidence=self.evidence == "on",
        )

    def open_store(self) -> Store:
        """Return the store of analyses, its database brought up to date.

        Raises `SettingsError`, `MissingExtraError` or `StoreError` when the database cannot be used.
        """
        from tamperscope.store import Database, Store

        database = Database(self.database)
        database.migrate()
        return Store(database)

    @property
    def job_limits(self) -> JobLimits:
        """The limits that every job must keep."""
        from tamperscope.jobs import JobLimits

        return JobLimits(images=self.job_images, bytes=self.job_bytes, image_bytes=self.max_bytes)


@dataclass(frozen=True)
class Setting:
    """How one field of `Settings` is given from outside."""

    name: str
    help: str
    reader: Callable[[str], Any]
    """Makes the value of a text, or raises `ValueError` that says what is allowed."""
    secret_in: tuple[str, ...] = ()
    """Environment variables of a secret, which has no option: everybody on the machine sees those."""

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
            return ",".join(value)
        return None if value is None else str(value)

    def parse(self, origin: str, text: str) -> Any:
        """Return the value of a text; raises `SettingsError` that names its `origin`."""
        try:
            return self.reader(text.strip())
        except ValueError as allowed:
            raise SettingsError(f"{origin} is {text!r}, but it must be {allowed}.") from None


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


TABLE = (
    Setting("host", "Address to listen on; 0.0.0.0 opens it to the network.", str),
    Setting("port", "Port to listen on; 0 takes any free one.", _count(0, 65535)),
    Setting("model", "Folder of the bundle to serve, instead of the one that comes along.", Path),
    Setting(
        "cors_origins", "Web origins that may call /segment and /classify: '*', 'none' or a list.", _origins
    ),
    Setting("max_bytes", "Refuse image files with more bytes.", _count(1024, 2**40)),
    # Above, Pillow refuses by itself.
    Setting("max_pixels", "Refuse images with more pixels.", _count(1024, 178_000_000)),
    Setting("pixel_budget", "Scale images with more pixels down for the analysis.", _count(1024, 2**40)),
    Setting("workers", "Images analysed at the same time.", _count(1, 256)),
    Setting("queue", "Images that may wait for a worker; beyond, the answer is 503.", _count(0, 10_000)),
    Setting("timeout", "Seconds an image may wait for a worker; beyond, the answer is 503.", _count(1, 3600)),
    Setting(
        "drain",
        "Seconds that running requests get when the server is stopped, and images of jobs once more.",
        _count(1, 3600),
    ),
    Setting("threads", "CPU threads of one analysis, instead of all cores.", _count(1, 1024)),
    Setting("cache", "Folder of compiled models; 'none' compiles at each start.", _or_none(Path)),
    Setting(
        "precision",
        "Arithmetic: auto (8-bit integers where the bundle has such a graph, else f32), f32, or bf16.",
        _one_of("auto", "f32", "bf16"),
    ),
    Setting(
        "evidence",
        "Let copies and JPEG traces join mask and score: on, or off, which is faster and finds less.",
        _one_of("on", "off"),
    ),
    Setting(
        "database",
        "Database of analyses: sqlite:////folder/file.db or postgresql://user@host/name; "
        "give a password by the environment only.",
        str,
    ),
    Setting(
        "retention", "Days that an analysis or an ended job is kept, or 'none'.", _or_none(_count(1, 36_500))
    ),
    Setting(
        "redis",
        "Redis that jobs go through, such as redis://host:6379/0: the server leaves them to "
        "'tamperscope worker'; give a password by the environment only.",
        str,
    ),
    Setting(
        "jobs", "Unfinished jobs that one key may have; beyond, the answer is 429.", _count(1, 1_000_000)
    ),
    Setting("job_images", "Refuse jobs with more images.", _count(1, 60_000)),
    Setting("job_bytes", "Refuse jobs whose images have more bytes together.", _count(1024, 2**32 - 1)),
    Setting(
        "job_lease", "Seconds after which a worker that says nothing is taken for dead.", _count(2, 3600)
    ),
    Setting("metrics_port", "Port on which a worker shows its figures to Prometheus.", _count(1, 65535)),
    Setting(
        "webhooks",
        "Addresses that jobs' webhooks may have: public, any (also within private networks) or none.",
        _one_of("public", "any", "none"),
    ),
    Setting("keys", "File of API keys, made by: tamperscope keys create.", Path),
    Setting(
        "rate_limit",
        "Requests a minute from one key, or from one address without keys; beyond, the answer is 429.",
        _count(1, 100_000),
    ),
    Setting("trusted_proxy", "Address of the proxy whose X-Forwarded-For is believed.", str),
    Setting("tunnel", "Open a public address: ngrok or none.", _one_of("none", "ngrok")),
    Setting(
        "log_level",
        "Least severe message that is logged: debug, info, warning or error.",
        _one_of("debug", "info", "warning", "error"),
    ),
    Setting("log_format", "How lines are logged: text or json.", _one_of("text", "json")),
    Setting("ngrok_token", "Token of the ngrok account.", str, secret_in=("NGROK_TOKEN", "NGROK_AUTHTOKEN")),
)
