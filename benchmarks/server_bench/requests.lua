-- The requests that wrk sends: wrk ... -s requests.lua URL -- KIND SERIES
--
--   keyed    the same 256 keys again and again, so that they are replays where somebody has sent them before
--   first    a new key each time
--   unkeyed  the same bytes under a field that nobody looks at
--
-- All are equally long and made in the same way, so that neither the load generator nor the parser makes a difference.
-- When all is done it prints one line of JSON.

local body = '{"amount":4200,"currency":"eur","source":"tok_visa"}'
local head = "POST /charge HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: wrk\r\nAccept: */*\r\n"
    .. "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\nContent-Type: application/json\r\n"
    .. "Content-Length: " .. #body .. "\r\n"
local count = 0
local period, before, after

function init(arguments)
    local kind, series = arguments[1], arguments[2]
    period = kind == "keyed" and 256 or 10000000000
    before = head .. (kind == "unkeyed" and "X-Client-Serial" or "Idempotency-Key") .. ': "' .. series .. "-"
    after = '"\r\n\r\n' .. body
end

function request()
    count = (count + 1) % period
    return before .. string.format("%010d", count) .. after
end

function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format('{"requests":%d,"seconds":%.6f,"failed":%d,"p50_us":%d,"p99_us":%d}\n', summary.requests,
        summary.duration / 1e6, failed, latency:percentile(50), latency:percentile(99)))
end
