-- wrk script: random aligned ranges of one file. Arguments: file size, range size.
-- The request is put together once: formatting it anew each time would be a good part of what wrk
-- can do, and wrk is to measure the server.
local count, part, before, after
function init(args)
  part = tonumber(args[2])
  count = math.floor(tonumber(args[1]) / part)
  math.randomseed(os.time())
  wrk.headers["Range"] = "bytes=@"
  before, after = wrk.format():match("^(.*bytes=)@(.*)$")
end
function request()
  local first = math.random(0, count - 1) * part
  return before .. first .. "-" .. first + part - 1 .. after
end
