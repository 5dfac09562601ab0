"""The project's own benchmarks: `make bench`, or `python -m bench` with `tests` on the path.

`micro` measures the parts, `ends` what peers see over sockets; neither knows any BGP of ours but through
what it measures: the load generator (`load`) is written from the RFCs alone, as the daemons beside us are
measured with it, too.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The network namespaces and the daemons are those of the interoperability tests.
sys.path.append(str(ROOT / "tests" / "interop"))
