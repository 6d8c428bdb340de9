#include "app/config_file.hpp"

namespace mpr {

namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// The value without its comment and quotes.
std::string value_of(std::string_view text) {
  text = trimmed(text);
  if (!text.empty() && (text.front() == '"' || text.front() == '\'')) {
    const std::size_t end = text.find(text.front(), 1);
    if (end != std::string_view::npos) {
      const std::string_view rest = trimmed(text.substr(end + 1));
      if (rest.empty() || rest.front() == '#') return std::string(text.substr(1, end - 1));
    }
  }
  for (std::size_t hash = text.find('#'); hash != std::string_view::npos;
       hash = text.find('#', hash + 1)) {
    if (hash == 0 || kBlank.contains(text[hash - 1]))
      return std::string(trimmed(text.substr(0, hash)));
  }
  return std::string(text);
}

}  // namespace

ConfigFile parse_config_file(std::string_view text) {
  ConfigFile file;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    const std::size_t equals = line.find('=');
    const std::string_view key = trimmed(line.substr(0, equals));
    if (equals == std::string_view::npos || key.empty() ||
        key.find_first_of(kBlank) != std::string_view::npos) {
      file.bad_lines.push_back(number);
      continue;
    }
    file.entries.push_back({std::string(key), value_of(line.substr(equals + 1)), number});
  }
  return file;
}

}  // namespace mpr
