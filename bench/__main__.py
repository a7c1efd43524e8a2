"""`python -m bench [NAME]...`: run benchmarks; without a name, all of them."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench


def main() -> None:
    """Run the named benchmarks, or list them with --list."""
    known = sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))
    names = [name for name in sys.argv[1:] if not name.startswith("-")] or known
    if "--list" in sys.argv:
        print("\n".join(known))
        return
    if unknown := set(names) - set(known):
        sys.exit(f"no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in names:
        print(f"\n== {name}")
        importlib.import_module(f"bench.{name}").main([])


if __name__ == "__main__":
    main()
