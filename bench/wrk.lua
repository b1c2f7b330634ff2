-- Sends prepared requests in turn. Wherever a body holds the mark, a number of its own is put: no two requests are about
-- the same correspondence. "#####" (as many as it has digits) stands for a subject's number, another one in each request.
-- Arguments: a file with one "path<TAB>body" a line, the key, a header line to add (or "-"), and for subjects: the first
-- number, how many there are, the step from one to the next (which ends where it began when all have come), and how many
-- steps were taken before.
local mark = "@@@@@@@@@@@@"
local parts, count, sent, number = {}, 0, 0, 0
local first, span, step, taken = 0, 0, 1, 0

local function split(text)
  local pieces, from = {}, 1
  while true do
    local at, last = text:find(mark, from, true)
    if not at then break end
    pieces[#pieces + 1] = text:sub(from, at - 1)
    from = last + 1
  end
  pieces[#pieces + 1] = text:sub(from)
  return pieces
end

function init(arguments)
  local headers = { ["Content-Type"] = "application/json" }
  if arguments[2] and arguments[2] ~= "" then headers["Authorization"] = "Bearer " .. arguments[2] end
  local name, value = (arguments[3] or "-"):match("^([^:]+): (.+)$")
  if name then headers[name] = value end
  local version = headers["HTTP-Version"] -- no field: the version of the request line
  headers["HTTP-Version"] = nil
  for line in io.lines(arguments[1]) do
    local path, body = line:match("^([^\t]*)\t(.*)$")
    count = count + 1
    local whole = wrk.format("POST", path, headers, body)
    if version then whole = whole:gsub(" HTTP/1.1", " HTTP/" .. version, 1) end
    parts[count] = split(whole)
  end
  number = os.time() * 4096 % 0x7fffffff
  first, span = tonumber(arguments[4] or "0"), tonumber(arguments[5] or "0")
  step, taken = tonumber(arguments[6] or "1"), tonumber(arguments[7] or "0")
end

function request()
  sent = sent % count + 1
  number = number + 1
  local pieces = parts[sent]
  if #pieces == 1 then return pieces[1] end
  local text = table.concat(pieces, string.format("%012x", number))
  if span > 0 then
    text = text:gsub("#+", tostring(first + taken * step % span))
    taken = taken + 1
  end
  return text
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"errors":%d,"not_2xx":%d,"p50":%.3f,"p99":%.3f,"longest":%.3f}\n',
    summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
