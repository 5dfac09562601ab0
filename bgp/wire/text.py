"""Text that peers send, made safe to show in logs, tables and terminals."""


def printable(text: str) -> str:
    r"""Return `text` with what is not printable as a backslash escape.

    RFC 9003 section 6: text with a line break could pass itself off as a further log message, and with
    control characters it could steer a terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
