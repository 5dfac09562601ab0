"""ExaBGP's other half: `scribe.py HEARD SAY` writes what it is told to HEARD, and says what is added to SAY.

Run by ExaBGP, which tells it of messages on standard input and obeys its standard output.
"""

import select
import sys


def main(heard: str, say: str) -> None:
    with open(say, "rb", buffering=0) as commands, open(heard, "ab", buffering=0) as account:
        unfinished = b""
        while True:
            if select.select([sys.stdin], [], [], 0.05)[0]:
                told = sys.stdin.buffer.raw.read(1 << 16)  # type: ignore[attr-defined]
                if not told:
                    return
                account.write(told)
            unfinished += commands.read()
            complete, newline, unfinished = unfinished.rpartition(b"\n")
            if newline:
                sys.stdout.buffer.write(complete + newline)
                sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
