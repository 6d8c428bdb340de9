#include "app/mongo_uri.hpp"

#include <algorithm>
#include <cctype>

namespace mpr {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  return out;
}

}  // namespace

std::string mongo_uri_option(std::string_view uri, std::string_view name) {
  // A password may hold a ? that nobody encoded, the host names may not.
  const std::size_t at = uri.rfind('@');
  std::size_t mark = uri.find('?', at == std::string_view::npos ? 0 : at);
  std::string value;
  while (mark != std::string_view::npos) {
    uri.remove_prefix(mark + 1);
    mark = uri.find_first_of("&;");
    const std::string_view option = uri.substr(0, mark);
    const std::size_t equals = option.find('=');
    if (equals == std::string_view::npos || lower(option.substr(0, equals)) != lower(name))
      continue;
    value = lower(option.substr(equals + 1));
  }
  return value;
}

std::string mongo_uri_database(std::string_view uri) {
  const std::size_t scheme = uri.find("://");
  if (scheme != std::string_view::npos) uri.remove_prefix(scheme + 3);
  const std::size_t at = uri.rfind('@');
  if (at != std::string_view::npos) uri.remove_prefix(at + 1);
  const std::size_t slash = uri.find('/');
  if (slash == std::string_view::npos) return "test";
  uri.remove_prefix(slash + 1);
  const std::string_view name = uri.substr(0, uri.find('?'));
  return name.empty() ? "test" : std::string(name);
}

}  // namespace mpr
