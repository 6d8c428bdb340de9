#!/usr/bin/env python3
"""Finds every code block of docs/cpp-client.md, line by line, in a file of examples/cpp, which is
compiled with everything else. Run: cpp_client_page_test.py SOURCE_ROOT
"""

import pathlib
import re
import sys


def main() -> None:
    root = pathlib.Path(sys.argv[1])
    page = (root / "docs/cpp-client.md").read_text(encoding="utf-8")
    files = {file.name: file.read_text(encoding="utf-8")
             for file in (root / "examples/cpp").iterdir()}
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    if not blocks or page.count("```") != 2 * len(blocks):
        sys.exit(f"found {len(blocks)} code blocks between {page.count('```')} fences")
    for block in blocks:
        if not any(block in text for text in files.values()):
            sys.exit(f"in none of {', '.join(sorted(files))}:\n{block}")


if __name__ == "__main__":
    main()
