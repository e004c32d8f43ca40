"""What a job gets of a folder: code and studies, without data, history and secrets; and whether Ray accepts that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scmmlab.errors import ResourceError, SpecError
from scmmlab.execution.jobs.left_behind import ALWAYS, DATA
from scmmlab.execution.ray.private import package_limit, walk_package

MIB = 2**20
MOST_FILES = 50_000
_SHOWN = 3
_ZIP_BYTES_A_FILE = 30 + 46
"""Of a file's two headers in a zip, without its name, which both contain; Ray does not compress."""


@dataclass(frozen=True)
class WorkingDirectory:
    """A folder, as a job gets it."""

    folder: Path
    """The folder here."""
    excludes: tuple[str, ...]
    """Patterns of what is left behind, besides those of its `.gitignore` and `.rayignore`."""
    files: Mapping[str, int]
    """Relative path → bytes, of what is uploaded."""

    @property
    def package_bytes(self) -> int:
        """Size of the package that Ray makes of it."""
        return sum(_ZIP_BYTES_A_FILE + 2 * len(name.encode()) + size for name, size in self.files.items())

    def has(self, path: Path) -> bool:
        """Whether a file is uploaded."""
        try:
            return path.resolve().relative_to(self.folder).as_posix() in self.files
        except ValueError:
            return False

    def inside(self, path: Path) -> PurePosixPath | None:
        """Path of a file of this machine in the job's working directory; None where it is not uploaded."""
        return PurePosixPath(path.resolve().relative_to(self.folder)) if self.has(path) else None

    @property
    def python_path(self) -> str | None:
        """Where scmmlab's own code is, in a checkout; a job runs that instead of what is installed."""
        return "platform" if "platform/scmmlab/__init__.py" in self.files else None


def look_into(folder: Path) -> WorkingDirectory:
    """What a job would get of `folder`.

    Raises
    ------
    SpecError
        If it is not a folder.
    ResourceError
        If it is more than Ray accepts; the largest files are named.
    """
    if not folder.is_dir():
        raise SpecError(f"Invalid value for '--working-dir': there is no folder {folder}.")
    folder = folder.resolve()
    own = (folder / ".rayignore").is_file()
    excludes = ALWAYS if own else (*ALWAYS, *DATA)
    files: dict[str, int] = {}

    def add(path: Path) -> None:
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = path.stat().st_size
            if len(files) > MOST_FILES:
                raise ResourceError(
                    f"The working directory {folder} has more than {MOST_FILES:,} files that a job would get.",
                    hint=hint,
                )

    hint = (
        f"exclude them in {folder / '.rayignore'}, or use --working-dir with a smaller folder that has the study"
        if own
        else "use --working-dir with a smaller folder that has the study, or exclude files with a .rayignore here"
    )
    walk_package(folder, excludes, add)
    found, limit = WorkingDirectory(folder, excludes, files), package_limit()
    if found.package_bytes >= limit:
        largest = sorted(files.items(), key=lambda item: -item[1])[:_SHOWN]
        named = ", ".join(f"{name} ({size / MIB:,.0f} MiB)" for name, size in largest)
        raise ResourceError(
            f"The working directory {folder} has {found.package_bytes / MIB:,.0f} MiB that a job would get, and Ray "
            f"accepts {limit / MIB:.0f} MiB; the largest files are {named}.",
            hint=hint,
        )
    return found
