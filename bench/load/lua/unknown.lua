-- Asks about keys that were never issued, each only once: well-formed, with the right checksum. Arguments: a start for
-- them that no other run uses (35 characters base 62), the path, the status that every answer must have.
local bit = require("bit")
local ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
local band, bxor, rshift = bit.band, bit.bxor, bit.rshift

local crc_table = {}
for byte = 0, 255 do
  local crc = byte
  for _ = 1, 8 do
    crc = band(crc, 1) == 1 and bxor(rshift(crc, 1), 0xEDB88320) or rshift(crc, 1)
  end
  crc_table[byte] = crc
end

local function update(crc, text)
  for at = 1, #text do
    crc = bxor(crc_table[band(bxor(crc, text:byte(at)), 255)], rshift(crc, 8))
  end
  return crc
end

local function base62(value, characters)
  local text = ""
  for _ = 1, characters do
    local digit = value % 62
    text = ALPHABET:sub(digit + 1, digit + 1) .. text
    value = (value - digit) / 62
  end
  return text
end

local start, start_crc, head
local counter = 0
unexpected = 0
refused = 0

function init(args)
  start = "ks_live_" .. args[1]
  start_crc = update(-1, start)
  head = "GET " .. args[2] .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\nAuthorization: Bearer "
  expected = tonumber(args[3])
end

function request()
  counter = counter + 1
  local count = base62(counter, 8)
  local crc = bit.bnot(update(start_crc, count))
  if crc < 0 then crc = crc + 4294967296 end
  return head .. start .. count .. base62(crc, 6) .. "\r\n\r\n"
end

function response(status)
  if status == 503 then
    refused = refused + 1
  elseif status ~= expected then
    unexpected = unexpected + 1
  end
end

dofile(os.getenv("BENCH_LUA") .. "/report.lua")
