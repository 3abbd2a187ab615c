"""The package's version, where its own modules find it while the package itself is being imported."""

__version__ = "0.1.0"
