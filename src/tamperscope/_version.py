"""The package version, in a module that can be imported while the package itself is still loading."""

__version__ = "0.1.0"
