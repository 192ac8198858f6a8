"""Real programs that draw: Graphviz, and Mermaid in a browser without a screen."""

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oma-fsm"
MERMAID: Final = CACHE / "mermaid-12.3.0" / "mermaid.min.js"  # put there by .ci/pictures
SECONDS: Final = 60  # for a program to end
_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_PAGE: Final = """\
<!doctype html><meta charset="utf-8"><div id="room"></div><pre id="found"></pre>
<script src="MERMAID"></script><script>
mermaid.initialize({startOnLoad: false, securityLevel: "strict"});
const count = (at, what) => at.querySelectorAll(what).length;
const seen = async (text, n) => {
  try {
    const room = document.getElementById("room");
    room.innerHTML = (await mermaid.render("picture" + n, text)).svg;
    const labels = [...room.querySelectorAll(".edgeLabel p, g.edgeLabel text")].map(e => e.innerText || e.textContent);
    return {nodes: count(room, "g.node"), groups: count(room, "g.statediagram-cluster"),
            arrows: count(room, "path.transition"), scripts: count(room, "script, a, img, iframe"),
            labels: labels, text: room.textContent, error: null};
  } catch (error) { return {error: String(error)}; }
};
(async () => {
  const found = [];
  for (const [n, text] of TEXTS.entries()) found.push(await seen(text, n));
  document.getElementById("room").remove();
  document.getElementById("found").textContent = JSON.stringify(found);
})();
</script>"""


def no_programs() -> dict[str, str]:
    """What there is no program for, with why."""
    needs = {"dot": shutil.which("dot"), "chromium": shutil.which("chromium"), "mermaid": MERMAID.is_file()}
    return {name: "not installed: run .ci/pictures" for name, there in needs.items() if not there}


@dataclass(frozen=True)
class Seen:
    """What Mermaid drew: `labels` are those of the arrows, `text` is all text. An `error`: it drew nothing."""

    error: str | None
    nodes: int = 0
    groups: int = 0
    arrows: int = 0
    scripts: int = 0
    labels: tuple[str, ...] = ()
    text: str = ""


def mermaid_draws(texts: list[str]) -> list[Seen]:
    """Each text drawn by Mermaid in Chromium. AssertionError if the page came to nothing."""
    with TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        given = json.dumps(texts).replace("<", "\\u003c")  # a label must not end the script
        page.write_text(_PAGE.replace("MERMAID", MERMAID.as_uri()).replace("TEXTS", given), encoding="utf-8")
        # Virtual time: the page is looked at once nothing is left to be done in it.
        command = [
            "chromium",
            *_FLAGS,
            f"--user-data-dir={folder}/profile",
            "--virtual-time-budget=60000",
            "--dump-dom",
        ]
        ran = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=SECONDS, check=False)
    found = re.search(r'<pre id="found">(.+?)</pre>', ran.stdout, re.DOTALL)
    assert found, f"the page shows nothing: {ran.stdout[-500:]} {ran.stderr[-500:]}"
    return [Seen(**_labelled(one)) for one in json.loads(html.unescape(found[1]))]


def _labelled(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"labels": tuple(found.get("labels", ()))}


def graphviz_draws(text: str) -> dict[str, Any]:
    """The graph as Graphviz laid it out. AssertionError if it complains of anything."""
    command = ["dot", "-Tjson"]
    ran = subprocess.run(command, input=text.encode(), capture_output=True, timeout=SECONDS, check=False)
    assert (ran.returncode, ran.stderr.decode()) == (0, "")
    laid_out: dict[str, Any] = json.loads(ran.stdout)
    return laid_out
