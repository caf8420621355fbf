-- Load for POST /api/projects: every request has its own Idempotency-Key, made of the run's prefix
-- and a counter, so no request of any warm-up, round or run is a replay of another.
-- The request text is joined by hand: wrk.format() would spend the load tool's core on header tables.
local prefix = os.getenv("LOAD_KEY_PREFIX")
local token = os.getenv("LOAD_TOKEN")
local path = os.getenv("LOAD_PATH")
local body = os.getenv("LOAD_BODY")
local counter = 0
local head, tail

function init()
  head = "POST " .. path .. " HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port .. "\r\nIdempotency-Key: " .. prefix
  tail = "\r\nContent-Type: application/json\r\nContent-Length: " .. #body .. "\r\n"
  if token and token ~= "" then
    tail = "\r\nAuthorization: Bearer " .. token .. tail
  end
  tail = tail .. "\r\n" .. body
end

function request()
  counter = counter + 1
  return head .. counter .. tail
end

function done(summary, latency)
  -- wrk counts a status above 399 as a status error; latencies are microseconds.
  io.write(string.format(
    'LOAD_RESULT {"requests":%d,"durationUs":%d,"non2xx":%d,"connectErrors":%d,"readErrors":%d,"writeErrors":%d,"timeouts":%d,"p50Us":%d,"p90Us":%d,"p99Us":%d,"p999Us":%d,"maxUs":%d,"meanUs":%.1f}\n',
    summary.requests, summary.duration, summary.errors.status, summary.errors.connect,
    summary.errors.read, summary.errors.write, summary.errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9),
    latency.max, latency.mean))
end
