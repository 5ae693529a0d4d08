-- For wrk: sends the lines of a file in turn, each "@@" in them replaced by an id of its own, and ends with one line of JSON.
-- Arguments: file, method, prefix of the ids.
local bodies, at, ids, prefix, fresh = {}, 0, 0, "", false

function init(args)
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
  wrk.method = args[2]
  wrk.headers["content-type"] = "application/json"
  prefix = args[3]
  fresh = bodies[1]:find("@@", 1, true) ~= nil
  if not fresh then
    for i, body in ipairs(bodies) do bodies[i] = wrk.format(nil, nil, nil, body) end
  end
end

local function new_id()
  ids = ids + 1
  return prefix .. ids
end

function request()
  at = at % #bodies + 1
  if not fresh then return bodies[at] end
  return wrk.format(nil, nil, nil, (bodies[at]:gsub("@@", new_id)))
end

function done(summary, latency, requests)
  local parts = {}
  for _, p in ipairs({1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9}) do
    parts[#parts + 1] = string.format('"p%g": %.4f', p, latency:percentile(p) / 1000)
  end
  parts[#parts + 1] = string.format('"mean": %.4f, "most": %.4f', latency.mean / 1000, latency.max / 1000)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "errors": %d, "latency_ms": {%s}}\n',
    summary.requests - e.status, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    table.concat(parts, ", ")))
end
