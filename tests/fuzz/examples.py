"""Answers as appliances of each generation give them, written by hand: what mutations and the fuzzer start from."""

ENVELOPE = (
    b'{"job_id":"job-1","status":"in_progress","sync_type":"full","phase":"Transfer","percentage":41.5,'
    b'"current_operation":"Transferring Data","bytes_transferred":44560285696,"total_bytes":107374182400,'
    b'"throughput":{"current_mbps":99.5,"average_mbps":90,"peak_mbps":120,"last_update":"2026-03-02T14:00:00+02:00"},'
    b'"timing":{"start_time":"2026-03-02T13:30:00+02:00","last_update":"2026-03-02T14:00:00+02:00","eta_seconds":631},'
    b'"vm_info":{"name":"web","disk_size_gb":100},"phases":[],"errors":[],"last_error":null}'
)
ROWS = (
    b'{"job_id":"job-1","status":"completed","phase":"Transfer","percentage":58.3,"bytes_transferred":75161927680,'
    b'"total_bytes":128849018880,"timing":{"start_time":"2026-03-02T11:30:00Z"},"errors":[],"disk_progresses":['
    b'{"disk_id":"disk-2000","bytes_transferred":53687091200,"total_bytes":107374182400,"percent":50,"status":"Streaming"},'
    b'{"disk_id":"disk-2001","bytes_transferred":21474836480,"total_bytes":21474836480,"percent":100,"status":"Streaming"}]}'
)
OLDER = (
    b'{"job_id":"migration-vol-a","status":"failed","phase":"copying_data","percentage":20.2,"vm_info":{"disk_size_gb":18.57},'
    b'"timing":{"start_time":"0001-01-01T00:00:00Z"},"errors":[{"timestamp":"2026-03-02T12:00:00Z","phase":"copying_data",'
    b'"error_type":"system","message":"nbdcopy: read error","recoverable":true}]}'
)
RAW = (
    b'{"job_id":"job-1","stage":"Transfer","status":"Streaming","started_at":"2026-03-02T11:30:00Z",'
    b'"updated_at":"2026-03-02T12:00:00Z","aggregate":{"total_bytes":200,"bytes_transferred":50,"throughput_bps":3145728,'
    b'"percent":25},"cbt":{"type":"incremental"},"nbd":{},"disks":['
    b'{"id":"disk-2000","planned_bytes":100,"bytes_transferred":50}]}'
)
EXPORT = b'{"job_id":"migration-vol-b","status":"Succeeded","phase":"Finalize","bytes_transferred":9,"total_bytes":9}'
SHORT = b'{"job_id":"job-1","status":"running"}'
TEXTS = (
    b"job not found\n",
    b'{"error":"job not found"}',
    b"404 page not found\n",
    b"<html>",
    b"null",
    b"",
    b"[]",
    b"{}",
)
PERCENT_ONLY = b'{"job_id":"job-1","status":"running","phase":"copying_data","percentage":41.5,"bytes_transferred":0}'
KNOWN = (ENVELOPE, ROWS, OLDER, RAW, EXPORT, SHORT, PERCENT_ONLY)
ALL = (*KNOWN, *TEXTS)

TOKENS = (
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-1", b"250", b"0", b"9" * 4000, b"9223372036854775808"),
    *(b'"42"', b'""', b'"\\ud800"', b'"\\u0000\\u001b[31m"', b'"' + b"x" * 5000 + b'"', b"[", b"{", b'{"a":' * 3000),
    *(b"[" * 3000, b'"completed"', b'"Odd"', b'"0001-01-01T00:00:00Z"', b'"9999-12-31T23:59:59-12:00"'),
    *(
        b'"status":"Odd",',
        b'"percentage":-5,',
        b'"bytes_transferred":"7",',
        b'"disk_progresses":[null,{},{"disk_id":7}],',
    ),
    *(b"\xff\xfe", b"\xe2\x80\xae", b"\x00", b" trailing"),
)
