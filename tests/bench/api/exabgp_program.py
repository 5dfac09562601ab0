"""ExaBGP's text API as a program uses it, which ExaBGP has started; the standard library alone.

    python exabgp_program.py CASE ROUTES FILE

"one by one" waits for the answer to each command before it writes the next one; the others write all commands
and wait for no answer: a command for each route, or one for each next hop and 200 of its prefixes.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def commands(case: str, routes: int) -> Iterator[str]:
    prefixes = [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32" for number in range(routes)]
    if case != "many a line":
        for number, prefix in enumerate(prefixes):
            yield f"announce route {prefix} next-hop 198.51.100.{number % 100 + 1}\n"
        return
    for hop in range(100):
        own = prefixes[hop::100]
        for start in range(0, len(own), 200):
            yield (
                f"announce attributes next-hop 198.51.100.{hop + 1} "
                f"nlri {' '.join(own[start : start + 200])}\n"
            )


def answered() -> None:
    """Read the answer to a command."""
    while True:
        line = sys.stdin.readline()
        if not line:
            sys.exit("ExaBGP has gone")
        if "done" in line[:30]:
            return
        if "error" in line[:30]:
            sys.exit(f"refused: {line}")


def heard(routes: int) -> None:
    """Read until so many routes were announced."""
    count = 0
    while count < routes:
        event = json.loads(sys.stdin.readline())
        update = event.get("neighbor", {}).get("message", {}).get("update", {})
        for by_hop in update.get("announce", {}).values():
            for prefixes in by_hop.values():
                count += len(prefixes)


def main(case: str, routes: int, file: Path) -> None:
    while '"state": "up"' not in sys.stdin.readline():
        pass
    file.write_text("ready")
    time.sleep(0.5)
    lines = list(commands(case, routes)) if case != "watch" else []
    begun = time.monotonic()
    if case == "watch":
        heard(routes)
    elif case == "one by one":
        for line in lines:
            sys.stdout.write(line)
            sys.stdout.flush()
            answered()
    else:
        sys.stdout.writelines(lines)
        sys.stdout.flush()
    file.write_text(json.dumps({"begun": begun, "done": time.monotonic()}))
    for _ in sys.stdin:
        pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
