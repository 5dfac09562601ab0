"""A configuration file in place of another one: whole or not at all, with the same owner and permissions.

The new file is there on disk, beside the old one, before anything else happens; to go over to it is one step.
"""

import contextlib
import errno
import os
import tempfile
from pathlib import Path


class Unsaved(OSError):
    """The file cannot be written; the text says why, and what to do."""


class Saving:
    """A new content of a file, until it is in force or let go."""

    def __init__(self, file: str, before: bytes, after: bytes) -> None:
        """Write the new content beside the file, which must hold the old one; raise Unsaved."""
        self._file = Path(file)
        self._before = before
        if self._file.is_symlink():
            remedy = "change it where it comes from, such as the config map, and reload"
            raise Unsaved(errno.ELOOP, f"{file} is a symbolic link and not written to; {remedy}")
        self._refuse_changed()
        try:
            self._temporary = self._written(after)
        except OSError as error:
            reason = error.strerror or str(error)
            remedy = "let the service's user write the file and its directory, or change the file by hand"
            raise Unsaved(error.errno, f"{file} cannot be written: {reason}; {remedy}") from None

    def _written(self, content: bytes) -> Path:
        status = self._file.stat()
        # Who may not write the file must not replace it either.
        os.close(os.open(self._file, os.O_WRONLY | os.O_CLOEXEC))
        descriptor, name = tempfile.mkstemp(prefix=f".{self._file.name}.", dir=self._file.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, status.st_uid, status.st_gid)
                os.fchmod(descriptor, status.st_mode & 0o7777)
                for each in os.listxattr(self._file):
                    # Access control lists and labels, as far as the file system has them.
                    with contextlib.suppress(OSError):
                        os.setxattr(descriptor, each, os.getxattr(self._file, each))
                os.fsync(descriptor)
        except BaseException:
            os.unlink(name)
            raise
        return Path(name)

    def _refuse_changed(self) -> None:
        try:
            changed = self._file.read_bytes() != self._before
        except OSError as error:
            reason = error.strerror or str(error)
            raise Unsaved(
                error.errno, f"{self._file} cannot be read: {reason}; nothing was written"
            ) from None
        if changed:
            what = f"{self._file} has changed meanwhile"
            raise Unsaved(errno.EBUSY, f"{what}; `reflector reload` first, or change it by hand")

    def finish(self) -> None:
        """Put the new content in the file's place; raise Unsaved where that has changed."""
        try:
            self._refuse_changed()
            os.replace(self._temporary, self._file)
        except OSError as error:
            self.cancel()
            if isinstance(error, Unsaved):
                raise
            raise Unsaved(error.errno, f"{self._file} cannot be written: {error.strerror}") from None
        directory = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def cancel(self) -> None:
        """Leave the file as it is."""
        with contextlib.suppress(OSError):
            self._temporary.unlink()
