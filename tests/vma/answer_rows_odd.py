"""The rest of the table: not found and unreachable in all their forms, garbage, keys, times, words and generations."""

from answer_rows import LOST
from answer_table import case, job

RUNS, OURS = "in_progress 40/100", "completed 100/100"

# 8: "not found" also arrives with status 200
NOT_FOUND = [
    case("F2 not found as text, with 200", job(heard="5m"), {"a": "200 text not found", "job": "200 text not found"},
         "not_found -> failed/inferred", *LOST),
    case("F2 not found as JSON, with 200", job(), {"a": "200 json not found"}, "not_found -> stays"),
    case("F2 not found that calls itself an error is no failure", job(key="job"),
         {"job": "200 not found, dressed as an error"}, "not_found -> stays"),
    case("F3 a VM of that name runs", job(), {"a": 'running 1/100 with={"vm_info":{"name":"job+not+found"}}'},
         "running -> stays"),
    case("not found about another job is no answer", job(), {"a": "200 another job not found"},
         "unintelligible -> stays"),
]  # fmt: skip

# 9: unreachable has many faces, and none says anything about the job
UNREACHABLE = [
    *(case(f"unreachable: {face}", job(heard="5m", percent=40.0), {"a": face, "job": face}, "unreachable -> stays",
           *LOST,
           asked="a", percent=40.0)
      for face in ("refused", "no such host", "timed out", "reset", "closed at once", "502", "503", "504")),
    case("for 30 min", job(heard="30m"), {"a": "refused"}, "unreachable -> failed/inferred", *LOST),
    case("for 30 min, of which our process heard a second", job(heard="30m"), {"a": "refused"}, "unreachable -> stays",
         "1s"),
    case("for 29:59", job(heard="1799s"), {"a": "refused"}, "unreachable -> stays", *LOST),
    case("an inferred failure is not unmade", job("failed", ending="inferred"), {"a": "refused"},
         "unreachable -> stays"),
    case("one disk runs, the other cannot be asked", job("replicating", "ab"), {"a": RUNS, "b": "reset"},
         "running -> stays"),
    case("one disk done, the other cannot be asked", job("replicating", "ab"), {"a": OURS, "b": "reset"},
         "unreachable -> stays"),
    case("one disk failed, the other cannot be asked", job("replicating", "ab"), {"a": "failed 5/100", "b": "reset"},
         "unreachable -> stays"),
    case("the export is absent, and then nobody answers", job(heard="31m"), {"job": "timed out"},
         "unreachable -> stays"),
    case("every disk was proven before", job("replicating", "ab", proven="ab"), {"job": "refused"},
         "completed -> completed/confirmed", asked="job"),
]  # fmt: skip

# 10 and 13: not every 404 is "job not found", and garbage is not evidence
ALL_GARBLED = ("404 wrong url", "404 html", "404 empty", "200 null", "200 empty", "200 html", "200 list",
               "200 percentage only", "200 no job id", "200 other job", "200 cut", "301", "405", "500",
               "500 not found")  # fmt: skip
GARBAGE = [
    *(case(f"F4 F5 F12 F13 garbage: {body}", job(heard="5m", percent=40.0, bytes_transferred=7),
           {"a": body, "job": body},
           "unintelligible -> stays", *LOST, percent=40.0, asked="a job")
      for body in ALL_GARBLED),
    case("F6 an endless body", job(key="job"), {"job": "completed 100/100 endless", "a": "404"},
         "unintelligible -> stays"),
    case("garbage under one key, absence under the other", job(heard="5m"), {"a": "404 wrong url"},
         "unintelligible -> stays", *LOST),
    case("garbage for 29:59", job(), {"a": "500"}, "unintelligible -> stays", "1799s"),
    case("garbage for 30 min", job(), {"a": "500"}, "unintelligible -> stays !unintelligible", "30m"),
    case("garbage in set-up ends nothing", job("attaching"), {"a": "404 html"}, "unintelligible -> stays"),
    case("garbage unmakes no inference", job("completed", ending="inferred"), {"a": "200 cut"},
         "unintelligible -> stays"),
    case("garbage under the export, the job's own end", job(), {"a": "500", "job": OURS},
         "completed -> completed/confirmed"),
    case("one disk done, garbage about the other", job("replicating", "ab"), {"a": OURS, "b": "200 null"},
         "unintelligible -> stays"),
    case("one disk failed, garbage about the other", job("replicating", "ab"), {"a": "failed 1/100", "b": "200 null"},
         "unintelligible -> stays"),
    case("one disk runs, garbage about the other", job("replicating", "ab"), {"a": RUNS, "b": "404 html"},
         "running -> stays"),
    case("F16 401 is no verdict", job(heard="5m"), {"a": "401"}, "unintelligible -> stays", asked="a", refused=True),
    case("F16 403 is none", job("replicating", "ab"), {"a": "404", "b": "403"}, "unintelligible -> stays",
         refused=True),
    case("F15 429 is none", job(heard="5m"), {"a": "429"}, "unintelligible -> stays", asked="a", retry_after=7.0),
]  # fmt: skip

# 11: which key answers
ASKED = [
    case("the job's id answered last: it is asked alone", job("replicating", "ab", key="job"), {"job": RUNS},
         "running -> stays", asked="job", answering_key="job"),
    case("the export answered last, now the job's id does", job(key="export"), {"job": RUNS}, "running -> stays",
         asked="a job", answering_key="job"),
    case("the job's id answered last, now an export does", job(key="job"), {"a": RUNS}, "running -> stays",
         asked="job a", answering_key="export"),
    case("all disks proven: only the job's id is asked", job("replicating", "ab", proven="ab"),
         {"a": "failed 1/100", "b": "in_progress 1/20"}, "completed -> completed/confirmed", asked="job"),
    case("all disks proven, and the copy cleans up", job("replicating", "ab", proven="ab"),
         {"job": "in_progress/Cleanup 120/120"}, "running -> stays", asked="job"),
    case("in set-up exports are asked too, for the baseline", job("attaching", key="job"),
         {"job": "Queued/Discover", "a": "completed 100/100 run=7d"}, "running -> replicating", asked="job a"),
    case("disks unknown: only the job's id is asked", job(disks=""), {"a": RUNS}, "not_found -> stays", asked="job"),
]  # fmt: skip

# 12: times
TIMES = [
    case("a start with another offset, within the job", job(),
         {"a": "completed 100/100 start=2026-11-23T17:00:01+05:30"},
         "completed -> completed/confirmed"),
    case("a start with another offset, before the job", job(),
         {"a": "completed 100/100 start=2026-11-23T16:29:59+05:30"},
         "not_found -> stays"),
    case("a start in the year 1 under the job's own id", job(key="job"),
         {"job": "completed 100/100 start=0001-01-01T00:00:00Z"}, "completed -> completed/confirmed"),
    case("a start after the answer", job(), {"a": "completed 100/100 start=2026-11-23T13:00:00Z"},
         "completed -> completed/confirmed"),
    case("a start that is no time", job(), {"a": "completed 100/100 start=soon"}, "not_found -> stays"),
]  # fmt: skip

# words and generations
WORDS = [
    case("F7 COMPLETED", job(), {"a": "COMPLETED 100/100"}, "completed -> completed/confirmed", words=("COMPLETED",)),
    case("a phase that says completed is no end", job(), {"a": "in_progress/Completed 99/100"}, "running -> stays"),
    case("a phase that says error is none", job(), {"a": "running/error 99/100"}, "running -> stays"),
    case("F8 an unknown word in a known phase runs", job(percent=40.0), {"a": "Throttled/Transfer 41/100"},
         "running -> stays", percent=41.0),
    case("F8 an unknown word in the phase Completed", job(), {"a": "Finished/Completed 100/100"},
         "unintelligible -> stays", words=("Finished",)),
    case("F8 an unknown word is no step back", job(percent=40.0), {"a": "Odd/Odd 1/100"}, "unintelligible -> stays",
         percent=40.0),
    case("F8 an unknown word under one key, the end under the other", job(), {"a": "Odd/Odd", "job": OURS},
         "completed -> completed/confirmed"),
    case("Queued while bytes move", job(), {"a": "Queued/Discover 4/100"}, "running -> stays", percent=4.0),
    case("spaces and letter case", job(), {"a": "FAILED/Creating+Snapshot 1/100"}, "failed -> failed/confirmed"),
    case("a snapshot counts no percentage", job(percent=0.0), {"a": "Snapshotting/Snapshot 10%"}, "running -> stays",
         percent=0.0),
    case("raw model: streaming", job(key="job"), {"job": "Streaming/Transfer 40/100 gen=raw"}, "running -> stays",
         percent=40.0),
    case("raw model: one disk of two full", job("replicating", "ab", key="job"),
         {"job": "Succeeded/Transfer 100/120 gen=raw rows=a:100/100,b:0/20"}, "running -> stays"),
    case("raw model: both disks full", job("replicating", "ab", key="job"),
         {"job": "Completed/Completed 120/120 gen=raw rows=a:100/100,b:20/20"}, "completed -> completed/confirmed"),
    case("raw model: failed", job(key="job"), {"job": "Error/Error 1/100 gen=raw"}, "failed -> failed/confirmed"),
    case("raw model: last week's end", job(), {"a": "Succeeded/Completed 100/100 gen=raw run=7d"},
         "not_found -> stays"),
]  # fmt: skip
