"""Jobs are spread over their interval by a hash of their ids, however many were asked at once at a start."""

import zlib
from typing import Final

_STEPS: Final = 1 << 32


def until_phase(job_id: str, now: float, pause: float) -> float:
    """Seconds until the job's own moment within every `pause`: more than none, at most `pause`.

    `now`: seconds of a monotonic clock. An answer that was late does not move the moments after it.
    """
    phase = pause * zlib.crc32(job_id.encode()) / _STEPS
    return pause - (now - phase) % pause if pause > 0 else 0.0
