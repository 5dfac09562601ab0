"""Plain functions as policies, with what the router must know of them.

Any callable from a Path to Attributes, to a Refusal that says why not, or to None, is a policy as it is.
`function` gives one a name, and lets it read the prefix:

    @function(reads_prefix=True)
    def no_defaults(path: Path, prefix: bytes) -> Attributes | None:
        return None if prefix[0] == 0 else path.attributes
"""

from collections.abc import Callable
from dataclasses import dataclass

from bgp.rib.path import Accepted, Answer, Path, Refusal


@dataclass(frozen=True, slots=True)
class Function:
    """A policy that is a function; it must depend on what it is given alone, for its answers are kept."""

    call: Callable[..., Answer]
    name: str
    reads_prefix: bool = False

    def __call__(self, path: Path, prefix: bytes | None = None) -> Accepted | Refusal:
        answer = self.call(path, prefix) if self.reads_prefix else self.call(path)
        if answer is None:
            return Refusal("policy", "RFC 4271 9.1.1", f'policy "{self.name}" refuses it')
        if isinstance(answer, Accepted | Refusal):
            return answer
        return Accepted(answer)


def function(*, name: str = "", reads_prefix: bool = False) -> Callable[[Callable[..., Answer]], Function]:
    """Make a policy of the function that is decorated."""

    def decorate(call: Callable[..., Answer]) -> Function:
        return Function(call, name or getattr(call, "__name__", "function"), reads_prefix)

    return decorate
