"""Text that others write, made safe to show in logs, tables, terminals and errors."""


def printable(text: str) -> str:
    r"""Return `text` with what is not printable as a backslash escape.

    RFC 9003 section 6: text with a line break could pass itself off as a further log message, and with
    control characters it could steer a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(text: str, most: int = 80) -> str:
    """Return `text` in quotes, printable, and cut where it is long: as an error names what it is about."""
    return repr(text if len(text) <= most else f"{text[:most]}...")
