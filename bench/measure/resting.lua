-- Each connection waits LOAD_PAUSE_MS after an answer before it sends the next request.
local pause = tonumber(os.getenv("LOAD_PAUSE_MS"))

function delay()
  return pause
end

dofile(os.getenv("LOAD_REPORT"))
