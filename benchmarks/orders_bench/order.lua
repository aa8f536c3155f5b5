-- An order with a key of its own for each request, or always the same with `-- same` behind the address. Key and time
-- are signed, so the signatures were made beforehand: ORDER_SIGNATURES has a line for each, and they are good for five
-- minutes.
local body = '{"user_id":"ada","item":"green tea","amount":2}'
local fields = { ["Content-Type"] = "application/json" }
local lines = {}
local number = 0
local same = false

function init(arguments)
    same = arguments[1] == "same"
    for key, time, signature in io.open(os.getenv("ORDER_SIGNATURES")):read("*a"):gmatch("(%S+) (%S+) (%S+)") do
        lines[#lines + 1] = { key, time, signature }
    end
end

function request()
    number = number + 1
    local line = lines[same and 1 or number]
    if line == nil then error("more orders than signatures: give orders_bench/run fewer seconds") end
    fields["Idempotency-Key"], fields["X-Timestamp"], fields["X-Signature"] = line[1], line[2], line[3]
    return wrk.format("POST", "/orders", fields, body)
end

function done(summary, latency)
    local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
    io.write(string.format("rate %.0f p50 %.2f p99 %.2f failed %d\n", summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
