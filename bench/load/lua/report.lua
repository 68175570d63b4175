-- One line of JSON at the end: wrk's own summary, in microseconds.
local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function done(summary, latency)
  local percentiles = {}
  for percentile in os.getenv("BENCH_PERCENTILES"):gmatch("[%d.]+") do
    percentiles[#percentiles + 1] = string.format('"p%s":%d', percentile, latency:percentile(tonumber(percentile)))
  end
  local unexpected, refused = 0, 0
  for _, thread in ipairs(threads) do
    unexpected = unexpected + (tonumber(thread:get("unexpected")) or 0)
    refused = refused + (tonumber(thread:get("refused")) or 0)
  end
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"micros":%d,"max":%d,"failed":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"unexpected":%d,"refused":%d,%s}\n',
    summary.requests, summary.duration, latency.max, errors.status, errors.connect, errors.read, errors.write,
    errors.timeout, unexpected, refused, table.concat(percentiles, ",")))
end
