-- An order with a key of its own for each request, or always the same with `-- same` behind the address. The body is
-- always the same, and with it the signature, which comes from the environment.
local body = '{"user_id":"ada","item":"green tea","amount":2}'
local fields = { ["Content-Type"] = "application/json", ["X-Signature"] = os.getenv("ORDER_SIGNATURE") }
local run = os.getenv("ORDER_RUN")
local threads = 0
local number = 0
local same = false

function setup(thread)
    threads = threads + 1
    thread:set("id", threads)
end

function init(arguments)
    same = arguments[1] == "same"
end

function request()
    number = number + 1
    fields["Idempotency-Key"] = same and "the-same" or run .. "-" .. id .. "-" .. number
    return wrk.format("POST", "/orders", fields, body)
end

function done(summary, latency)
    local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
    io.write(string.format("rate %.0f p50 %.2f p99 %.2f failed %d\n", summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
