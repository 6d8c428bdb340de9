#include "store/redis/server_address.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

namespace mpr::redis {

namespace {

std::string_view trim(std::string_view text) {
  const auto space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<unsigned> parse_number(std::string_view text, unsigned most) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number > most) {
    return std::nullopt;
  }
  return number;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// "host", "host:port", "[::1]:port".
Result<ServerAddress> parse_address(std::string_view text) {
  ServerAddress address;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) {
      return fail(Errc::invalid_argument, "an IPv6 address lacks its closing bracket");
    }
    address.host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && !rest.starts_with(':')) {
      return fail(Errc::invalid_argument, "behind an IPv6 address only :port may stand");
    }
    if (!rest.empty()) port = rest.substr(1);
    if (!rest.empty() && port.empty()) return fail(Errc::invalid_argument, "the port is missing");
  } else {
    const std::size_t colon = text.find(':');
    address.host = text.substr(0, colon);
    if (colon != std::string_view::npos) {
      port = text.substr(colon + 1);
      if (port.empty()) return fail(Errc::invalid_argument, "the port is missing");
    }
  }
  if (address.host.empty()) return fail(Errc::invalid_argument, "the host is missing");
  if (!port.empty()) {
    const auto number = parse_number(port, 65'535);
    if (!number || *number == 0) {
      return fail(Errc::invalid_argument, "the port has to be a number from 1 to 65535");
    }
    address.port = static_cast<std::uint16_t>(*number);
  }
  return address;
}

Result<void> parse_user_info(std::string_view info, Login& login) {
  const std::size_t colon = info.find(':');
  const auto user = percent_decoded(info.substr(0, colon));
  const auto password = colon == std::string_view::npos ? std::optional<std::string>("")
                                                        : percent_decoded(info.substr(colon + 1));
  if (!user || !password) {
    return fail(Errc::invalid_argument, "user or password has a % that is no percent-encoding");
  }
  login.user = *user;
  login.password = *password;
  return {};
}

Result<std::string> canonical(std::string_view text) {
  const auto address = parse_address(trim(text));
  if (!address) return std::unexpected(address.error());
  return to_text(*address);
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Just enough JSON for {"a:1":{"host":"h","port":1}}: objects, strings without escapes, numbers.
class NatMapReader {
 public:
  explicit NatMapReader(std::string_view text) : rest_(text) {}

  Result<Pairs> read() {
    Pairs pairs;
    if (!take('{')) return bad("it does not begin with {");
    if (!take('}')) {
      do {
        const auto announced = string();
        if (!announced || !take(':')) return bad("an announced address is missing");
        const auto reachable = target();
        if (!reachable) return std::unexpected(reachable.error());
        const auto key = canonical(*announced);
        if (!key) return std::unexpected(key.error());
        pairs.emplace_back(*key, to_text(*reachable));
      } while (take(','));
      if (!take('}')) return bad("a } is missing");
    }
    if (!trim(rest_).empty()) return bad("something stands behind it");
    return pairs;
  }

 private:
  static std::unexpected<Error> bad(std::string_view what) {
    return fail(Errc::invalid_argument, "the address map is no valid JSON: " + std::string(what));
  }

  bool take(char c) {
    rest_ = trim(rest_);
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::optional<std::string> string() {
    if (!take('"')) return std::nullopt;
    const std::size_t end = rest_.find_first_of("\"\\");
    if (end == std::string_view::npos || rest_[end] == '\\') return std::nullopt;
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
    return text;
  }

  std::optional<unsigned> port() {
    rest_ = trim(rest_);
    if (rest_.starts_with('"')) {
      const auto text = string();
      return text ? parse_number(*text, 65'535) : std::nullopt;
    }
    const std::size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    const auto number = parse_number(rest_.substr(0, digits), 65'535);
    rest_.remove_prefix(digits);
    return number;
  }

  Result<ServerAddress> target() {
    ServerAddress address;
    bool has_port = false;
    if (!take('{')) return bad("behind an announced address an object has to stand");
    do {
      const auto name = string();
      if (!name || !take(':')) return bad("host and port are expected");
      if (*name == "host") {
        const auto host = string();
        if (!host) return bad("the host has to be a string");
        address.host = *host;
      } else if (*name == "port") {
        const auto number = port();
        if (!number || *number == 0) return bad("the port has to be a number from 1 to 65535");
        address.port = static_cast<std::uint16_t>(*number);
        has_port = true;
      } else {
        return bad("only host and port are known");
      }
    } while (take(','));
    if (!take('}')) return bad("a } is missing");
    if (address.host.empty() || !has_port) return bad("host and port are needed");
    return address;
  }

  std::string_view rest_;
};

}  // namespace

std::string to_text(const ServerAddress& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

Result<ServerUrl> parse_server_url(std::string_view url) {
  url = trim(url);
  ServerUrl out;
  const std::size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos || (scheme != "redis" && scheme != "rediss")) {
    return fail(Errc::invalid_argument, "a Redis URL begins with redis:// or rediss://");
  }
  out.login.tls = scheme == "rediss" ? Tls::on : Tls::off;
  std::string_view rest = url.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find_first_of("?#"));
  // The last @: a password may hold one that nobody encoded.
  const std::size_t at = rest.rfind('@');
  if (at != std::string_view::npos) {
    const auto read = parse_user_info(rest.substr(0, at), out.login);
    if (!read) return std::unexpected(read.error());
    rest = rest.substr(at + 1);
  }
  const std::size_t slash = rest.find('/');
  const auto address = parse_address(rest.substr(0, slash));
  if (!address) return std::unexpected(address.error());
  out.address = *address;
  if (slash != std::string_view::npos && slash + 1 < rest.size()) {
    const auto database = parse_number(rest.substr(slash + 1), 1'000'000);
    if (!database) {
      return fail(Errc::invalid_argument, "behind the / the number of the database has to stand");
    }
    out.login.database = *database;
  }
  return out;
}

Result<std::vector<ServerAddress>> parse_nodes(std::string_view nodes) {
  std::vector<ServerAddress> out;
  while (!nodes.empty()) {
    const std::size_t comma = nodes.find(',');
    const std::string_view node = trim(nodes.substr(0, comma));
    nodes = comma == std::string_view::npos ? std::string_view{} : nodes.substr(comma + 1);
    if (node.empty()) continue;
    if (node.find("://") != std::string_view::npos) {
      const auto url = parse_server_url(node);
      if (!url) return std::unexpected(url.error());
      out.push_back(url->address);
    } else {
      const auto address = parse_address(node);
      if (!address) return std::unexpected(address.error());
      out.push_back(*address);
    }
  }
  if (out.empty()) return fail(Errc::invalid_argument, "no Redis node is named");
  return out;
}

Result<Pairs> parse_nat_map(std::string_view text) {
  text = trim(text);
  if (text.starts_with('{')) return NatMapReader(text).read();
  Pairs pairs;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = trim(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    if (item.empty()) continue;
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) {
      return fail(Errc::invalid_argument, "an address map is announced:port=reachable:port,...");
    }
    const auto announced = canonical(item.substr(0, equals));
    const auto reachable = canonical(item.substr(equals + 1));
    if (!announced) return std::unexpected(announced.error());
    if (!reachable) return std::unexpected(reachable.error());
    pairs.emplace_back(*announced, *reachable);
  }
  return pairs;
}

}  // namespace mpr::redis
