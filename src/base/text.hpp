// Small text forms that every layer needs: JSON strings, ISO 8601 times, UTF-8.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace mpr {

// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z.
using TimePoint = std::chrono::sys_time<std::chrono::milliseconds>;

// Appends `text` as a JSON string, quotes included. Bytes above 0x7f pass unchanged, so the text
// must be UTF-8 for the outcome to be JSON.
void append_json_string(std::string& out, std::string_view text);

// Appends "2026-01-31T12:00:00.000Z" (RFC 3339, UTC, always three digits of milliseconds).
void append_iso8601(std::string& out, TimePoint time);
std::string to_iso8601(TimePoint time);

// Reads an RFC 3339 date-time: "T" or "t" or a space between date and time, 0 to 9 fractional
// digits (cut to milliseconds), "Z" or an offset. Anything else, or a date that does not exist, is
// nullopt.
std::optional<TimePoint> parse_iso8601(std::string_view text);

// Appends a decimal number.
void append_number(std::string& out, std::uint64_t value);

}  // namespace mpr
