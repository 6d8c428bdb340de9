// Structured log lines on standard error: a sentence and fields, as text or as JSON, one write per
// line. Any thread may log. Fields carry ids and figures, never payloads, tokens or keys.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace mpr::log {

enum class Level { debug, info, warn, error };
enum class Format { text, json };

struct Field {
  std::string_view name;
  std::string text;
  bool quoted = true;  // false: a number or true/false, written bare in JSON

  Field(std::string_view n, std::string_view v) : name(n), text(v) {}
  Field(std::string_view n, const char* v) : name(n), text(v) {}
  Field(std::string_view n, const std::string& v) : name(n), text(v) {}
  Field(std::string_view n, bool v) : name(n), text(v ? "true" : "false"), quoted(false) {}
  template <class N>
    requires((std::integral<N> && !std::same_as<N, bool>) || std::floating_point<N>)
  Field(std::string_view n, N v) : name(n), text(std::to_string(v)), quoted(false) {}
};

// "debug", "info", "warn" or "error"; also the existing service's "log" (info), "verbose" (debug)
// and "fatal" (error). Anything else is nullopt.
std::optional<Level> parse_level(std::string_view name);
std::string_view to_string(Level level);

// Sets what is written and how; meant for start-up, callable at any time.
void configure(Level least, Format format);
bool enabled(Level level);

// Replaces standard error as the destination (a test's buffer); nullptr restores it. The sink is
// called with one complete line, newline included, under the log's own lock.
using Sink = void (*)(std::string_view line);
void set_sink(Sink sink);

void write(Level level, std::string_view sentence, std::initializer_list<Field> fields = {});

inline void debug(std::string_view s, std::initializer_list<Field> f = {}) {
  if (enabled(Level::debug)) write(Level::debug, s, f);
}
inline void info(std::string_view s, std::initializer_list<Field> f = {}) {
  if (enabled(Level::info)) write(Level::info, s, f);
}
inline void warn(std::string_view s, std::initializer_list<Field> f = {}) {
  if (enabled(Level::warn)) write(Level::warn, s, f);
}
inline void error(std::string_view s, std::initializer_list<Field> f = {}) {
  if (enabled(Level::error)) write(Level::error, s, f);
}

}  // namespace mpr::log
