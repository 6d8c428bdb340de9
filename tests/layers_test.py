#!/usr/bin/env python3
"""Compares every #include under src/ and tools/ with the folder table in docs/architecture.md.

The table's rows read "| `folder`, `folder` | `folder`, ... |": who may include whom; "nothing" and
"everything" are words of their own. A folder may always include itself. Beyond the table: nothing
includes app, and stores never include each other (each is a folder of its own in the table).
Run: layers_test.py SOURCE_ROOT
"""

import pathlib
import re
import sys
import tempfile

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
ROW = re.compile(r"^\|([^|]+)\|([^|]+)\|\s*$")
NAME = re.compile(r"`([a-z_/]+)`")


# Headers that the build makes, named as they are included.
GENERATED = {"store/redis/scripts.hpp"}


def read_table(document: pathlib.Path) -> dict[str, set[str] | None]:
    """Folder -> folders it may include; None is every folder."""
    table: dict[str, set[str] | None] = {}
    inside = False
    for line in document.read_text(encoding="utf-8").splitlines():
        if line.startswith("| folder | may include |"):
            inside = True
            continue
        if inside and not line.startswith("|"):
            break
        row = ROW.match(line) if inside else None
        if not row or set(row.group(1).strip()) <= set("-: "):
            continue
        allowed = None if row.group(2).strip() == "everything" else set(NAME.findall(row.group(2)))
        for folder in NAME.findall(row.group(1)):
            table[folder] = allowed
    return table


def folder_of(path: str, table: dict[str, set[str] | None]) -> str | None:
    """The longest folder of the table that the path begins with."""
    found = [folder for folder in table if path.startswith(folder + "/")]
    return max(found, key=len) if found else None


def resolve(include: str, file: pathlib.Path, root: pathlib.Path) -> str | None:
    """The included file, named as the table names folders; None: not ours."""
    if include in GENERATED:
        return include
    for base in (root / "src", root, file.parent):
        target = (base / include).resolve()
        if target.is_file():
            for prefix in (root / "src", root):
                if target.is_relative_to(prefix):
                    return str(target.relative_to(prefix))
    return None


def violations(root: pathlib.Path) -> list[str]:
    table = read_table(root / "docs/architecture.md")
    wrong = []
    files = [p for top in ("src", "tools") for p in sorted((root / top).rglob("*"))
             if p.suffix in (".cpp", ".hpp", ".in")]
    if not table or not files:
        return [f"found {len(table)} folders in the table and {len(files)} source files"]
    for file in files:
        base = root / "src" if file.is_relative_to(root / "src") else root
        own = folder_of(str(file.relative_to(base)), table)
        if own is None:
            wrong.append(f"{file.relative_to(root)}: its folder is missing in the table")
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            include = INCLUDE.match(line)
            if not include:
                continue
            place = f"{file.relative_to(root)}:{number}"
            path = resolve(include.group(1), file, root)
            if path is None:
                wrong.append(f'{place}: "{include.group(1)}" is no file of this tree')
                continue
            other = folder_of(path, table)
            allowed = table[own]
            if other == own:
                continue
            if other is None:
                wrong.append(f"{place}: {path} lies in no folder of the table")
            elif other == "app":
                wrong.append(f"{place}: nothing may include app")
            elif allowed is not None and other not in allowed:
                wrong.append(f"{place}: {own} may not include {other} ({path})")
    return wrong


def check_itself() -> list[str]:
    """A tree with one violation of each kind: what is not found in it would not be found anywhere."""
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name).resolve()

        def write(path: str, text: str) -> None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")

        write("docs/architecture.md", "| folder | may include |\n|---|---|\n| `base` | nothing |\n"
              "| `store/a`, `store/b` | `base` |\n| `tools` | `base` |\n| `app` | everything |\n")
        write("src/base/text.hpp", "#include <string>\n")
        write("src/store/a/a.hpp", '#include "base/text.hpp"\n#include "store/b/b.hpp"\n')
        write("src/store/b/b.hpp", '#include "base/text.hpp"\n#include "app/main.hpp"\n')
        write("src/app/main.hpp", '#include "store/a/a.hpp"\n')
        write("src/lost/lost.hpp", "")
        write("tools/bench.cpp", '#include "base/gone.hpp"\n#include "store/a/a.hpp"\n')
        found = violations(root)
    expected = [
        "src/lost/lost.hpp: its folder is missing in the table",
        "src/store/a/a.hpp:2: store/a may not include store/b (store/b/b.hpp)",
        "src/store/b/b.hpp:2: nothing may include app",
        'tools/bench.cpp:1: "base/gone.hpp" is no file of this tree',
        "tools/bench.cpp:2: tools may not include store/a (store/a/a.hpp)",
    ]
    return [] if found == expected else ["this test finds the wrong things:", *found]


def main() -> int:
    wrong = check_itself() or violations(pathlib.Path(sys.argv[1]).resolve())
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
