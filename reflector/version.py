"""Which version of Martlet this is."""

from importlib import metadata


def version() -> str:
    """Return the version that is installed."""
    try:
        return metadata.version("martlet")
    except metadata.PackageNotFoundError:
        return "(not installed)"
