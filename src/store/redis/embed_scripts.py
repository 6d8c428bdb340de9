#!/usr/bin/env python3
"""Writes the Lua scripts of the given files into a C++ header and source.

Run: embed_scripts.py HEADER SOURCE SCRIPT...
"""

import pathlib
import sys

HEADER = """// The scripts of src/store/redis/scripts, by the names of their files. Generated. Thread-safe.
#pragma once

#include <span>

#include "store/redis/request.hpp"

namespace mpr::redis::scripts {{

{declarations}
// All of them, for tests.
std::span<const Script* const> all();

}}  // namespace mpr::redis::scripts
"""

SOURCE = """#include "store/redis/scripts.hpp"

#include <vector>

namespace mpr::redis::scripts {{

{definitions}
std::span<const Script* const> all() {{
  static const std::vector<const Script*> scripts = {{{names}}};
  return scripts;
}}

}}  // namespace mpr::redis::scripts
"""

DEFINITION = """const Script& {name}() {{
  static const Script script("{name}", {literal});
  return script;
}}

"""


def literal(text: str) -> str:
    """A raw string literal, cut into pieces that every compiler takes."""
    assert ')lua"' not in text
    pieces = [text[i:i + 8000] for i in range(0, len(text), 8000)] or [""]
    return "\n".join(f'R"lua({piece})lua"' for piece in pieces)


def write(path: str, text: str) -> None:
    target = pathlib.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def main() -> None:
    header, source, *files = sys.argv[1:]
    scripts = {pathlib.Path(file).stem: pathlib.Path(file).read_text(encoding="utf-8")
               for file in sorted(files)}
    for name in scripts:
        if not name.isidentifier():
            sys.exit(f"{name}.lua: the name of a script has to be an identifier")
    write(header, HEADER.format(
        declarations="".join(f"const Script& {name}();\n" for name in scripts)))
    write(source, SOURCE.format(
        definitions="".join(DEFINITION.format(name=name, literal=literal(text))
                            for name, text in scripts.items()),
        names=", ".join(f"&{name}()" for name in scripts)))


main()
