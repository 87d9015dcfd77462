"""What vhost-net uses of tun and tap is there for it as a module, and without them.

The kernels of this project have all three built in, where neither a missing export nor a missing
stub shows; a distribution's does not compile then. Nothing is built here: the sources are read, as
each prefix of the series leaves them.
"""

from __future__ import annotations

import re

import pytest
from kseries.series import Series
from kseries.session import KEY
from kseries.source import Source
from kseries.tree import patched_files

USER = "drivers/vhost/net.c"
# A header has what a driver offers, and behind #else what there is without the driver.
OFFERS = {
    "include/linux/if_tun.h": "drivers/net/tun.c",
    "include/linux/if_tap.h": "drivers/net/tap.c",
}
_OF_DRIVERS = re.compile(r"CONFIG_(TUN|TAP|MACVTAP|IPVTAP)\b")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for stock and for each prefix that changes one of the files."""
    session = metafunc.config.stash.get(KEY, None)
    prefixes = session.series.changing([USER, *OFFERS, *OFFERS.values()]) if session else []
    metafunc.parametrize("prefix", [0, *prefixes], ids=lambda k: f"prefix-{k}")


def test_exports(kernel_tree: Source, kernel_series: Series, prefix: int) -> None:
    changed = patched_files(kernel_tree.root, kernel_series.prefix(prefix))

    def text(name: str) -> str:
        content = changed.get(name)
        return (content.data if content else (kernel_tree.root / name).read_bytes()).decode()

    asked = _OF_DRIVERS.search(text(USER))
    assert not asked, f"{USER} asks for {asked and asked[0]}: the headers know"
    called = set(re.findall(r"\b((?:tun|tap)_\w+)\(", text(USER)))
    used = set(re.findall(r"\b(?:tun|tap)_\w+", text(USER)))
    offered = 0
    for header, driver in OFFERS.items():
        with_driver, without = _halves(text(header))
        for name in sorted(used & set(_functions(with_driver))):
            offered += 1
            if not _is_inline(name, with_driver):
                export = rf"^EXPORT_SYMBOL(_GPL)?\({name}\);"
                only_if = _conditions(text(driver), export)
                assert set(only_if) <= {"#if IS_ENABLED(CONFIG_VHOST_NET)"}, (
                    f"{driver} has {name}() only with {', '.join(only_if)}, and {USER} always"
                )
                assert re.search(export, text(driver), re.M), (
                    f"{driver} does not export {name}(): with CONFIG_VHOST_NET=m it is missing"
                )
            assert _is_inline(name, without), (
                f"{header} has no static inline {name}() for a kernel without {driver}"
            )
            assert _returns(name, without) == _returns(name, with_driver), (
                f"{header}: without {driver} {name}() returns something else"
            )
            assert _arguments(name, without) == _arguments(name, with_driver), (
                f"{header}: without {driver} {name}() takes other arguments"
            )
            assert not _says_yes(name, without), (
                f"{header}: without {driver} {name}() says that a file is one of its"
            )
            called.discard(name)
        if kernel_series.patches and prefix == len(kernel_series.patches):
            raw = set(re.findall(r"\bstruct ptr_ring \*(\w+)\(", with_driver)) - used
            assert not raw, f"{driver} still gives its ring to whoever wakes nobody: {raw}"
    assert offered, f"{USER} calls nothing of {', '.join(OFFERS)}: is this the right tree?"
    assert not called, f"{USER} calls what no header offers: {', '.join(sorted(called))}"


def _halves(header: str) -> tuple[str, str]:
    """Return what a header says with its driver, and what without."""
    parts = r"^(#if[^\n]*CONFIG_(?:TUN|TAP)\b[^\n]*)\n(.*?)^#else\b(.*?)^#endif"
    found = re.search(parts, header, re.M | re.S)
    assert found, "no #if CONFIG_... with its #else in the header"
    assert re.search(r"IS_ENABLED\(|defined\(CONFIG_\w+_MODULE\)", found[1]), (
        f"{found[1]}: not so where the driver is a module"
    )
    driver = _OF_DRIVERS.search(found[1])
    assert driver
    others = set(re.findall(r"CONFIG_\w+", found[1])) - {driver[0], f"{driver[0]}_MODULE"}
    assert not others, f"{found[1]}: the driver needs no {', '.join(others)}"
    return found[2], found[3]


def _functions(text: str) -> list[str]:
    return re.findall(r"\b(\w+)\((?!\*)", text)


def _is_inline(name: str, text: str) -> bool:
    return bool(re.search(rf"^static inline [^;{{}}]*\b{name}\(", text, re.M))


def _arguments(name: str, text: str) -> list[str]:
    """Return the types of what a function takes, as its first mention in a header has them."""
    found = re.search(rf"\b{name}\(((?:[^()]|\([^()]*\))*)\)", text)
    assert found, name
    arguments = re.split(r",(?![^()]*\))", found[1])
    # A name is the last word, or the one that is called.
    bare = (re.sub(r"(?<=[\s*])\w+$|(?<=\(\*)\w+(?=\))", "", one.strip()) for one in arguments)
    return [re.sub(r"\s+", "", one) for one in bare]


def _returns(name: str, text: str) -> str:
    """Return the type of what a function returns."""
    found = re.search(rf"^(?:static inline )?([\w ]+[ *]+){name}\(", text, re.M)
    assert found, name
    return "".join(found[1].split())


def _conditions(source: str, wanted: str) -> list[str]:
    """Return the #if lines that the first match of `wanted` is in."""
    inside: list[str] = []
    for line in source.splitlines():
        if re.match(r"#\s*if", line):
            inside.append(line)
        elif re.match(r"#\s*el", line):
            inside[-1] = line
        elif re.match(r"#\s*endif", line):
            inside.pop()
        elif re.search(wanted, line):
            return inside
    return []


def _says_yes(name: str, text: str) -> bool:
    """Whether a stub that asks something answers with yes."""
    body = re.search(rf"^static inline bool {name}\([^)]*\)\s*{{(.*?)^}}", text, re.M | re.S)
    return body is not None and not re.search(r"return (false|0);", body[1])
