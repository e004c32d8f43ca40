"""Draws which packages import which, from the code itself, into architecture.md: ``make drawing``.

An arrow goes from a package to each that it imports, but for those that it reaches by way of another arrow. Rooms of
`execution` are drawn one by one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import grimp

PACKAGE = "scmmlab"
SPLIT = f"{PACKAGE}.execution"
PAGE = Path(__file__).with_name("architecture.md")
BETWEEN = re.compile(r"(?<=<!-- make drawing writes from here -->\n).*?(?=<!-- to here -->)", re.DOTALL)


def rooms_and_imports() -> tuple[dict[str, int], set[tuple[str, str]]]:
    """Packages with the number of their modules, and who imports whom."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    packages = {
        child
        for parent in (PACKAGE, SPLIT)
        for child in graph.find_children(parent)
        if child != SPLIT and (graph.find_children(child) or child == f"{PACKAGE}.errors")
    } | {SPLIT}

    def room(module: str) -> str | None:
        while module and module not in packages:
            module = module.rpartition(".")[0]
        return module or None

    sizes = dict.fromkeys(packages, 0)
    imports = set()
    for module in graph.modules:
        importer = room(module)
        if importer is None:
            continue
        sizes[importer] += 1
        for other in graph.find_modules_directly_imported_by(module):
            imported = room(other)
            if imported is not None and imported != importer:
                imports.add((importer, imported))
    return sizes, imports


def without_detours(imports: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows that no other path stands for; those of a cycle all stay."""
    below: dict[str, set[str]] = {}
    for importer, imported in imports:
        below.setdefault(importer, set()).add(imported)

    def reaches(start: str, end: str) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            for after in below.get(waiting.pop(), ()):
                if after == end:
                    return True
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        return False

    return {
        (importer, imported)
        for importer, imported in imports
        if not any(reaches(other, imported) and not reaches(other, importer) for other in below[importer] - {imported})
    }


def drawing() -> str:
    """The drawing in Mermaid's language."""
    sizes, imports = rooms_and_imports()

    def name(module: str) -> str:
        return module.removeprefix(f"{PACKAGE}.").replace(".", "_")

    def node(module: str) -> str:
        short = "run_study, progress, …" if module == SPLIT else module.rpartition(".")[2]
        return f'{name(module)}["{short} ({sizes[module]})"]'

    inside = sorted(module for module in sizes if module.startswith(SPLIT))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"    {node(module)}" for module in sorted(sizes) if module not in inside]
    lines += ["    subgraph execution_rooms [execution]", *(f"        {node(module)}" for module in inside), "    end"]
    lines += [f"    {name(one)} --> {name(other)}" for one, other in sorted(without_detours(imports))]
    return "\n".join([*lines, "```", ""])


def main() -> int:
    """Write the drawing into the page; with --check, say whether it is the one that is there."""
    page = PAGE.read_text(encoding="utf-8")
    drawn = BETWEEN.sub(lambda _: drawing(), page)
    if "--check" not in sys.argv:
        PAGE.write_text(drawn, encoding="utf-8")
    elif drawn != page:
        print(f"{PAGE.name} shows other imports than the code has. Hint: make drawing", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
