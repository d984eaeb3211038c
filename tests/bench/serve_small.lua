-- wrk script: one small file after the other, at random, below the given path. Argument: how many.
local count
function init(args)
  count = tonumber(args[1])
  math.randomseed(os.time())
end
function request()
  return wrk.format("GET", wrk.path .. "f" .. math.random(0, count - 1))
end
