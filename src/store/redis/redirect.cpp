#include "store/redis/redirect.hpp"

#include <charconv>

#include "store/redis/slot.hpp"

namespace mpr::redis {

namespace {

template <class Number>
bool parse(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

// "3999 127.0.0.1:6381", the host may be an IPv6 address without brackets, a name or empty.
Redirect parse_target(Redirect::Kind kind, std::string_view rest) {
  Redirect out;
  const std::size_t space = rest.find(' ');
  if (space == std::string_view::npos) return out;
  const std::string_view address = rest.substr(space + 1);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return out;
  std::uint16_t slot = 0;
  if (!parse(rest.substr(0, space), slot) || slot >= kSlots) return out;
  if (!parse(address.substr(colon + 1), out.address.port) || out.address.port == 0) return out;
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "?") host = {};  // the node does not know a name of its own
  out.address.host = host;
  out.slot = slot;
  out.kind = kind;
  return out;
}

}  // namespace

Redirect redirect_of(std::string_view error) {
  const std::size_t space = error.find(' ');
  const std::string_view code = error.substr(0, space);
  const std::string_view rest =
      space == std::string_view::npos ? std::string_view{} : error.substr(space + 1);
  if (code == "MOVED") return parse_target(Redirect::Kind::moved, rest);
  if (code == "ASK") return parse_target(Redirect::Kind::ask, rest);
  if (code == "TRYAGAIN" || code == "CLUSTERDOWN" || code == "LOADING" || code == "MASTERDOWN" ||
      code == "READONLY") {
    return {.kind = Redirect::Kind::again};
  }
  if (code == "NOSCRIPT") return {.kind = Redirect::Kind::no_script};
  if (code == "EXECABORT") return {.kind = Redirect::Kind::aborted};
  return {};
}

}  // namespace mpr::redis
