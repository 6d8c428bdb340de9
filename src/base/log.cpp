#include "base/log.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>

#include "base/text.hpp"

namespace mpr::log {

namespace {

std::atomic<Level> least_level{Level::info};
std::atomic<Format> line_format{Format::text};
std::atomic<Sink> line_sink{nullptr};
std::mutex write_mutex;

// Whether a field's text could be mistaken for something else in a line of name=value pairs.
bool needs_quotes(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == 0x7f || c == '"' || c == '\\' || c == '=') return true;
  }
  return text.empty();
}

void append_text(std::string& line, Level level, std::string_view sentence,
                 std::initializer_list<Field> fields) {
  line += ' ';
  const std::string_view name = to_string(level);
  line += name;
  line.append(6 - name.size(), ' ');
  line += sentence;
  for (const Field& field : fields) {
    line += ' ';
    line += field.name;
    line += '=';
    if (field.quoted && needs_quotes(field.text)) {
      append_json_string(line, field.text);
    } else {
      line += field.text;
    }
  }
  line += '\n';
}

void append_json(std::string& line, Level level, std::string_view sentence,
                 std::initializer_list<Field> fields) {
  line += "\",\"level\":\"";
  line += to_string(level);
  line += "\",\"message\":";
  append_json_string(line, sentence);
  for (const Field& field : fields) {
    line += ',';
    append_json_string(line, field.name);
    line += ':';
    if (field.quoted) {
      append_json_string(line, field.text);
    } else {
      line += field.text;
    }
  }
  line += "}\n";
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) {
  if (name == "debug" || name == "verbose") return Level::debug;
  if (name == "info" || name == "log") return Level::info;
  if (name == "warn") return Level::warn;
  if (name == "error" || name == "fatal") return Level::error;
  return std::nullopt;
}

std::string_view to_string(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
  }
  return "error";
}

void configure(Level least, Format format) {
  least_level = least;
  line_format = format;
}

bool enabled(Level level) { return level >= least_level.load(std::memory_order_relaxed); }

void set_sink(Sink sink) { line_sink = sink; }

void write(Level level, std::string_view sentence, std::initializer_list<Field> fields) {
  std::string line;
  line.reserve(256);
  const bool json = line_format.load(std::memory_order_relaxed) == Format::json;
  if (json) line += "{\"time\":\"";
  append_iso8601(line, std::chrono::time_point_cast<std::chrono::milliseconds>(
                           std::chrono::system_clock::now()));
  if (json) {
    append_json(line, level, sentence, fields);
  } else {
    append_text(line, level, sentence, fields);
  }
  std::lock_guard lock(write_mutex);
  if (const Sink sink = line_sink.load()) {
    sink(line);
  } else {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  }
}

}  // namespace mpr::log
