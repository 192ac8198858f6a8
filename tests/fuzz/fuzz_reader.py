"""Coverage-guided fuzzing of the way from bytes to decision: `./run python tests/fuzz/fuzz_reader.py FOLDER`.

FOLDER keeps what was found; it is filled with the examples first. Any option of libFuzzer may follow, for instance
`-runs=100000` or `-max_total_time=600`. An input is: one byte for the job, one for each status, then up to three
bodies, each ended by `BETWEEN`. A crash is written to a file of which the path, given in place of FOLDER, replays it.
"""

import random
import re
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vma", "fsm"], enable_loader_override=False):
    from examples import ALL, TOKENS
    from whole_path import JOBS, STATUSES, Heard, decide_and_check

BETWEEN = b"\n--\n"
BODIES = 3
VALUE = re.compile(rb'(?<=:)\s*("[^"]*"|-?[0-9.]+|true|null|\[\]|\{\})')


def unpack(data: bytes) -> Heard:
    """What an input of the fuzzer stands for; every input stands for something."""
    head, body = data[: BODIES + 1].ljust(BODIES + 1, b"\0"), data[BODIES + 1 :]
    bodies = (body.split(BETWEEN, BODIES - 1) * BODIES)[:BODIES]
    statuses = [STATUSES[byte % len(STATUSES)] for byte in head[1:]]
    return Heard(head[0] % len(JOBS), tuple(zip(statuses, bodies, strict=True)))


def one(data: bytes) -> None:
    """One run of the fuzzer."""
    decide_and_check(unpack(data))


def bend(data: bytes, longest: int, seed: int) -> bytes:
    """Half of the time one JSON value gives way to a token; otherwise, and then too, libFuzzer changes bytes."""
    chance = random.Random(seed)
    found = list(VALUE.finditer(data))
    if not found or chance.random() < 0.5:
        return bytes(atheris.Mutate(data, longest))
    value, token = chance.choice(found), chance.choice(TOKENS)
    bent = data[: value.start()] + token + data[value.end() :]
    return bent[:longest] if chance.random() < 0.7 else bytes(atheris.Mutate(bent[:longest], longest))


def fill(folder: Path) -> None:
    """The examples, about every job, as a corpus to start from; and a dictionary of what to put in."""
    folder.mkdir(parents=True, exist_ok=True)
    for n, body in enumerate(ALL):
        for job in range(len(JOBS)):
            (folder / f"example-{n}-{job}").write_bytes(bytes((job, 0, 0, 0)) + body + BETWEEN + ALL[n - 1])


def dictionary(path: Path) -> Path:
    """The tokens as libFuzzer reads them."""
    path.write_text("\n".join('"' + "".join(f"\\x{b:02x}" for b in token[:60]) + '"' for token in TOKENS) + "\n")
    return path


def main(arguments: list[str]) -> None:
    """Fuzz until an option says that it is enough, or replay a file."""
    corpus = Path(arguments[1])
    options = arguments[2:]
    if not corpus.is_file():
        fill(corpus)
        options.append(f"-dict={dictionary(corpus.with_name(corpus.name + '.dict'))}")
    atheris.Setup([arguments[0], str(corpus), "-max_len=8192", "-timeout=20", *options], one, custom_mutator=bend)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
