#include "client/url.hpp"

#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace mpr::client {
namespace {

std::unexpected<Error> refuse(std::string_view text, std::string_view why) {
  return fail(Errc::invalid_argument, "url \"" + std::string(text) + "\": " + std::string(why));
}

// Cuts the host off the front of `authority` and leaves ":port" or nothing.
std::string cut_host(std::string_view& authority) {
  std::string host;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return host;
    host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
    return host;
  }
  const std::size_t end = std::min(authority.find(':'), authority.size());
  host = authority.substr(0, end);
  authority.remove_prefix(end);
  return host;
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
  const bool secure = text.starts_with("wss://");
  if (!secure && !text.starts_with("ws://")) {
    return refuse(text, "must start with ws:// or wss://");
  }
  std::string_view rest = text.substr(text.find("//") + 2);
  if (rest.find_first_of(" \t\r\n#@") != std::string_view::npos) {
    return refuse(text, "must not contain spaces, '#' or a user");
  }
  Url url;
  if (secure) {
    url.transport = Transport::tls;
    url.port = 443;
  }
  const std::size_t target = std::min(rest.find_first_of("/?"), rest.size());
  if (target < rest.size()) url.target = rest.substr(target);
  if (url.target.starts_with('?')) url.target.insert(0, "/");
  std::string_view authority = rest.substr(0, target);
  url.host = cut_host(authority);
  if (url.host.empty()) return refuse(text, "names no host");
  if (authority.empty()) return url;
  if (!authority.starts_with(':')) return refuse(text, "has something odd behind the host");
  authority.remove_prefix(1);
  const auto [end, error] =
      std::from_chars(authority.data(), authority.data() + authority.size(), url.port);
  if (error != std::errc{} || end != authority.data() + authority.size() || url.port == 0) {
    return refuse(text, "the port must be a number from 1 to 65535");
  }
  return url;
}

bool is_loopback(std::string_view host) {
  if (host == "localhost") return true;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(host), error);
  return !error && address.is_loopback();
}

}  // namespace mpr::client
