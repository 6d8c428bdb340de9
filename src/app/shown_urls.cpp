#include "app/shown_urls.hpp"

#include <algorithm>
#include <cctype>

#include "app/secret.hpp"

namespace mpr {

namespace {

bool is_plain(char c, std::string_view also) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || also.find(c) != std::string_view::npos;
}

bool all_plain(std::string_view text, std::string_view also) {
  return std::ranges::all_of(text, [&](char c) { return is_plain(c, also); });
}

// "host", "host:port", "[::1]:port".
bool is_address(std::string_view text) {
  const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const std::size_t colon = text.find(':', bracket);
  const std::string_view host = text.substr(0, colon);
  if (host.empty() || !all_plain(host, "-._[]:")) return false;
  if (colon == std::string_view::npos) return true;
  const std::string_view port = text.substr(colon + 1);
  return !port.empty() && port.size() <= 5 &&
         std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
}

bool are_addresses(std::string_view list) {
  while (true) {
    const std::size_t comma = list.find(',');
    if (!is_address(list.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string shown_url(std::string_view url) {
  const std::string hidden(Secret::kShown);
  url = trim(url);
  const std::size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos || !all_plain(url.substr(0, scheme_end), "+")) {
    return hidden;
  }
  std::string shown(url.substr(0, scheme_end + 3));
  std::string_view rest = url.substr(scheme_end + 3);
  const std::size_t at = rest.rfind('@');
  // A / or # before the last @ belongs to a password that nobody encoded.
  if (at != std::string_view::npos && rest.find_first_of("/?#") < at) return shown + hidden;
  if (at != std::string_view::npos) {
    shown += hidden + "@";
    rest.remove_prefix(at + 1);
  }
  const std::size_t behind = std::min(rest.find_first_of("/?#"), rest.size());
  if (!are_addresses(rest.substr(0, behind))) return shown + hidden;
  shown += rest.substr(0, behind);
  rest.remove_prefix(behind);
  const std::string_view path = rest.substr(0, rest.find_first_of("?#"));
  shown += all_plain(path, "/-_.") ? std::string(path) : "/" + hidden;
  if (path.size() < rest.size()) shown += "?" + hidden;
  return shown;
}

std::string shown_nodes(std::string_view nodes) {
  std::string shown;
  while (true) {
    const std::size_t comma = nodes.find(',');
    const std::string_view node = trim(nodes.substr(0, comma));
    const bool is_url = node.find("://") != std::string_view::npos;
    if (is_url) shown += shown_url(node);
    if (!is_url) shown += node.empty() || is_address(node) ? node : Secret::kShown;
    if (comma == std::string_view::npos) return shown;
    nodes.remove_prefix(comma + 1);
    shown += ',';
  }
}

}  // namespace mpr
