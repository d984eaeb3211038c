-- wrk script: one small file after the other, at random, below the given path. Argument: how many.
-- The request is put together once, as for ranges.
local count, before, after
function init(args)
  count = tonumber(args[1])
  math.randomseed(os.time())
  before, after = wrk.format("GET", wrk.path .. "@"):match("^(.-)@(.*)$")
end
function request()
  return before .. "f" .. math.random(0, count - 1) .. after
end
