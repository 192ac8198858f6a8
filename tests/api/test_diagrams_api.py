"""Pictures over REST: media types, the policy's own numbers, and what is not there."""

import sys
from collections.abc import Callable

import pytest
from api_stage import ANNA, API, JOBS, Stage

from fsm.policy import RecoveryPolicy
from fsm.render import png
from fsm.render.formats import FORMATS
from fsm.render.views import names, view

Play = Callable[..., None]


async def picture(on: Stage, path: str, **query: str) -> tuple[str, str]:
    """Media type and text."""
    answer = await on.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.headers["content-type"], answer.text


def test_every_view_is_drawn_in_every_format_with_its_media_type(play: Play) -> None:
    async def story(on: Stage) -> None:
        listed = await on.get(f"{API}/diagrams")
        assert listed == {"views": list(names()), "formats": list(FORMATS)}
        for name in listed["views"]:
            for form in listed["formats"]:
                if form == "png":  # pixels; the next test has one
                    continue
                kind, text = await picture(on, f"{API}/diagrams/{name}", format=form)
                assert kind.split(";")[0] == FORMATS[form].media_type
                assert text.encode() == FORMATS[form].bytes(view(name))
        assert (await picture(on, f"{API}/diagrams/machine"))[0] == "text/vnd.mermaid; charset=utf-8"

    play(story)


def test_a_view_shows_the_limits_of_the_service_and_not_the_defaults(play: Play) -> None:
    async def story(on: Stage) -> None:
        _, text = await picture(on, f"{API}/diagrams/recovery", format="ascii")
        assert ">= 7m, >= 3 like answers" in " ".join(text.split())
        assert text.encode() == FORMATS["ascii"].bytes(view("recovery", RecoveryPolicy(unreachable_after="7m")))  # type: ignore[arg-type]

    play(story, unreachable_after="7m")


def test_the_path_of_a_job_names_who_did_what(play: Play) -> None:
    async def story(on: Stage) -> None:
        job_id = await on.create()
        on.clock.advance(90)
        await on.fire(job_id, "attach")
        on.clock.advance(45)
        await on.fire(job_id, "fail", ANNA)
        _, text = await picture(on, f"{JOBS}/{job_id}/diagram", format="ascii")
        assert "3. attaching --> failed (manual)" in text
        assert f"operator anna: {ANNA['reason']}, 2026-03-02 12:02:15Z" in text
        assert "initializing  (setup)\n    1m 30s\n" in text
        assert "* failed  (ended, now)" in text

    play(story)


def test_the_fleet_counts_jobs_and_moves(play: Play) -> None:
    async def story(on: Stage) -> None:
        for vm in ("web-01", "web-02", "web-03"):
            job_id = await on.create(vm)
            on.clock.advance(10)
            await on.fire(job_id, "attach")
        await on.fire(job_id, "fail", ANNA)
        kind, text = await picture(on, f"{API}/diagrams/fleet", format="ascii")
        assert kind == "text/plain; charset=utf-8"
        assert "3 jobs; 7 moves counted." in text
        assert "attaching  (setup)\n    2 jobs\n    stays 0s (median)\n" in text
        assert "initializing  (setup)\n    0 jobs\n    stays 10s (median)\n" in text

    play(story)


def test_what_is_not_there_is_404_and_an_unknown_format_422(play: Play) -> None:
    async def story(on: Stage) -> None:
        assert (await on.get(f"{JOBS}/job-0/diagram", 404))["message"] == "no job 'job-0'"
        assert (await on.get(f"{API}/diagrams/machina", 404))["message"] == "no diagram view 'machina'"
        assert (await on.get(f"{API}/diagrams/state:gone", 404))["error"] == "not_found"
        wrong = await on.get(f"{API}/diagrams/machine", 422, format="pdf")
        assert "no format 'pdf'; known are mermaid, dot" in wrong["message"]
        assert (await on.get(f"{API}/diagrams/fleet", 422, format="pdf"))["fields"][0]["field"] == "query.format"

    play(story)


def test_a_machine_that_cannot_draw_a_png_says_what_to_install(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    png._has_fonts.cache_clear()

    async def story(on: Stage) -> None:
        answer = await on.http.get(f"{API}/diagrams/machine", params={"format": "png"})
        assert (answer.status_code, answer.json()["error"]) == (501, "cannot_draw")
        assert "pip install 'oma-fsm[png]'" in answer.json()["message"]

    play(story)
    png._has_fonts.cache_clear()
