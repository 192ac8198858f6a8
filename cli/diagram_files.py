"""The files that diagrams stand in: those of diagrams/, and documents with placeholders."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cli.common import fail
from cli.generated import difference, say
from fsm.render.formats import FORMATS, format_by_suffix, format_of
from fsm.render.placeholders import PlaceholderError, fill, pictures
from fsm.render.views import names, uncovered, view

FOLDER: Final = Path("diagrams")
_FILE_NAMES: Final = {name.replace(":", "-"): name for name in names()}
_WRITE: Final = "oma-fsm diagram --write"


def write(files: Iterable[Path]) -> None:
    """Bring the files up to date; without names all of them."""
    for file, content in _wanted(files):
        if difference(content, file):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            say(f"written: {file}")


def check(files: list[Path]) -> bool:
    """Say what is stale and how to mend it; True if nothing is. Without names also whether anything is left out."""
    stale = []
    for file, content in _wanted(files):
        if lines := difference(content, file):
            say("\n".join(lines))
            stale.append(file)
    problems = [] if files else [*_strays(), *_left_out()]
    if stale:
        command = " ".join([_WRITE, *map(str, files)])
        problems.append(f"{', '.join(map(str, stale))}: stale; mended by `{command}`")
    for problem in problems:
        say(problem)
    return not problems


def _wanted(files: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """Files and what should be in them."""
    named = list(files)
    for file in named or [*_kept(), *_documents()]:
        made = _made(file)
        yield from [(file, made)] if made is not None else _filled(file)


def _kept() -> list[Path]:
    if not FOLDER.is_dir():
        fail(f"there is no folder {FOLDER}/ here: run it where that folder is, or name the files")
    kept = [form.suffix for form in FORMATS.values() if form.kept]
    return [FOLDER / f"{stem}{suffix}" for stem in _FILE_NAMES for suffix in kept]


def _documents() -> list[Path]:
    """README and docs/, as far as they have placeholders to fill."""
    found = [*Path().glob("README*"), *Path("docs").rglob("*.md"), *Path("docs").rglob("*.rst")]
    return sorted(file for file in found if file.is_file())


def _made(file: Path) -> bytes | None:
    """What is in a file that is a diagram and nothing else; None for a document."""
    name = format_by_suffix(file.suffix)
    if name is None or (file.suffix in (".md", ".txt") and file.parent.name != FOLDER.name):
        return None
    if file.stem not in _FILE_NAMES:
        fail(f"{file}: no view has this name; known are {', '.join(_FILE_NAMES)}")
    return format_of(name).bytes(view(_FILE_NAMES[file.stem]))


def _filled(file: Path) -> Iterator[tuple[Path, bytes]]:
    try:
        text = file.read_bytes().decode()
        yield file, fill(text, str(file)).encode()
        for picture, content in pictures(text, str(file)).items():
            yield file.parent / picture, content
    except PlaceholderError as error:
        fail(str(error))
    except UnicodeDecodeError as error:
        fail(f"{file}: is not UTF-8 text ({error.reason} at byte {error.start})")


def _strays() -> Iterator[str]:
    made = {form.suffix for form in FORMATS.values()}
    for file in sorted(FOLDER.iterdir()):
        if file.suffix in made and file not in _kept():
            yield f"{file}: belongs to no view; delete it"


def _left_out() -> Iterator[str]:
    if missing := uncovered():
        yield f"no view shows {', '.join(missing)}: see fsm/render/views.py"
