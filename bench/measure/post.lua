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

dofile(os.getenv("LOAD_REPORT"))
