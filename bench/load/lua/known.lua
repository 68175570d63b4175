-- Asks about the keys of a file, one after another, over and over. Arguments: the file, the path.
local requests = {}
local at = 0

function init(args)
  for key in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", args[2], { ["Authorization"] = "Bearer " .. key })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

dofile(os.getenv("BENCH_LUA") .. "/report.lua")
