-- wrk script: random aligned ranges of one file. Arguments: file size, range size.
local size, part
function init(args)
  size, part = tonumber(args[1]), tonumber(args[2])
  math.randomseed(os.time())
end
function request()
  local first = math.random(0, math.floor(size / part) - 1) * part
  wrk.headers["Range"] = "bytes=" .. first .. "-" .. first + part - 1
  return wrk.format()
end
