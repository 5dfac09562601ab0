"""A process that takes orders: JSON lines to its standard input, and to each a line of answer."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Self


class Orders:
    """The process of `command`, which is there for as long as the `with`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=None if environment is None else {**os.environ, **environment},
        )

    def tell(self, do: str, **order: object) -> dict[str, Any]:
        """Give an order; return the answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps({"do": do, **order}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that takes orders is gone")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
