"""`python -m bench [NAME]...`: run benchmarks; without a name, all of them.

`python -m bench NAME --help` tells the options of one; they are handed on when one name is given.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench


def main() -> None:
    """Run the named benchmarks, or list them with --list."""
    known = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))
    first_option = next((place for place, word in enumerate(sys.argv) if word.startswith("-")), len(sys.argv))
    names, options = sys.argv[1:first_option] or known, sys.argv[first_option:]
    if "--list" in options:
        print("\n".join(known))
        return
    if unknown := set(names) - set(known):
        sys.exit(f"no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if options and len(names) > 1:
        sys.exit(f"options belong to one benchmark: python -m bench NAME {' '.join(options)}")
    for name in names:
        print(f"\n== {name}")
        importlib.import_module(f"bench.{name}").main(options)


if __name__ == "__main__":
    main()
