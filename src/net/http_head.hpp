// Parses the heads of HTTP/1.1 requests and responses, without I/O. The only place that knows
// Boost.Beast's parser.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace mpr {

inline constexpr std::size_t kMaxHttpHeadBytes = 8 * 1024;

struct HttpFields {
  std::vector<std::pair<std::string, std::string>> all;  // in order, names as sent

  // The first field of that name, whatever its case; nullopt if there is none.
  std::optional<std::string_view> find(std::string_view name) const;
  // Whether a comma-separated field (all of that name) has the token, whatever its case.
  bool has_token(std::string_view name, std::string_view token) const;
};

struct HttpRequestHead {
  std::string method;
  std::string target;
  int minor_version = 1;  // of HTTP/1.x
  HttpFields fields;
};

struct HttpResponseHead {
  int status = 0;
  HttpFields fields;
};

// The length of a complete head at the start of `bytes`, its empty line included; 0: not complete
// yet. `searched` is how many bytes an earlier call has looked at without success.
std::size_t http_head_bytes(std::string_view bytes, std::size_t searched) noexcept;

// `head` is exactly one complete head. Fails with invalid_argument.
Result<HttpRequestHead> parse_request_head(std::string_view head);
Result<HttpResponseHead> parse_response_head(std::string_view head);

// The standard phrase, for example "Not Found".
std::string_view http_reason(int status) noexcept;

}  // namespace mpr
