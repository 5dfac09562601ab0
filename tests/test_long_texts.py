"""Texts that are long, deep or strange cost what their length says, and are refused in one line of words."""

from types import SimpleNamespace
from typing import Any

import pytest

from bgp.policy import match
from bgp.policy.pattern import Pattern
from bgp.wire import aspath, community
from reflector.configuration.config import loads
from reflector.configuration.document import ConfigurationError

HEAD = '[router]\nasn = 64512\nrouter_id = "192.0.2.1"\n'
DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        (f"[decision]\nmaximum_paths_external = {DIGITS}\n", 5, "too long"),
        (f"[decision]\nmaximum_paths_external = 0x{'f' * 5000}\n", 5, "beyond 64 bits"),
        (f'[[policy.p.term]]\nmatch = {{med = "{DIGITS}-{DIGITS}"}}\n', 5, "or a range"),
        (f'[[network]]\nprefix = "10.0.0.0/8"\ncommunities = ["{DIGITS}:1"]\n', 6, "community"),
        (f'[[network]]\nprefix = "10.0.0.0/{DIGITS}"\n', 5, "no prefix"),
        ("a" + ".a" * 30000 + " = 1\n", 4, "more than 64 parts"),
        (f"[[policy.p.term]]\nmatch = {'{not = ' * 70}{{}}{'}' * 70}\n", 5, "nested too deeply"),
        (f"x = {'[' * 3000}{']' * 3000}\n", 1, "nested too deeply"),
        (f'[[neighbor]]\naddress = "{"x" * 100000}"\nasn = "any"\n', 5, "no IP address"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_configuration_is_refused_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loads(HEAD + text, "rr.toml")
    problem = next(each for each in caught.value.problems if told in str(each))
    assert problem.line == line
    assert all(str(each).isprintable() and len(str(each)) < 10000 for each in caught.value.problems)


def test_a_list_of_many_patterns_is_asked_one_after_the_other() -> None:
    """They were one within the other, too deep for Python from a thousand on."""
    many = [match.as_path(f"^{asn}$") for asn in range(1, 3000)]
    path: Any = SimpleNamespace(attributes=SimpleNamespace(as_path=aspath.parse_text("2999")))
    for joined in (match.either(*many), many[0] | many[1] | match.either(*many[2:])):
        assert joined.test(path) and hash(joined)
    chain = many[0]
    for each in many[1:]:
        chain = chain | each
    assert chain.test(path)
    assert not match.both(*many).test(path)
    words = ", ".join(f'"^{asn}$"' for asn in range(1, 3000))
    assert loads(f'{HEAD}[[policy.p.term]]\nmatch = {{as_path = [{words}]}}\nthen = "accept"\n')


@pytest.mark.parametrize(
    "text",
    ["(" * 5000 + "1" + ")" * 5000, "1" + "?" * 5000, "(){4096}{4096}2{4097}", "((1|2){4096}){4096}", DIGITS],
    ids=lambda text: text[:20],
)
def test_patterns_that_are_too_large_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write AS numbers|too large"):
        Pattern(text)


def test_repetitions_of_nothing_are_nothing() -> None:
    pattern = Pattern("^(){4096}(()*){4096}1{0}{4096}{4096}(|){3}5$")
    assert pattern.search(((5,),)) and not pattern.search(((4,),))


@pytest.mark.parametrize(
    "read", [aspath.parse_asn, aspath.parse_text, community.parse_community, community.parse_extended]
)
@pytest.mark.parametrize("text", [DIGITS, f"{DIGITS}:1", f"rt:{DIGITS}:1", f"rt:1:{DIGITS}", "\x1b[2J" * 500])
def test_words_of_any_length_are_refused_in_one_line(read: Any, text: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400
