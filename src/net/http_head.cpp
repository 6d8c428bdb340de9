#include "net/http_head.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/version.hpp>
#include <limits>

namespace mpr {

namespace {

namespace http = boost::beast::http;

template <class Head>
HttpFields fields_of(const Head& head) {
  HttpFields fields;
  for (const auto& field : head) {
    fields.all.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  return fields;
}

// Feeds one complete head; true if the parser took all of it.
template <class Parser>
Result<void> parse(Parser& parser, std::string_view head) {
  boost::system::error_code error;
  parser.header_limit(std::numeric_limits<std::uint32_t>::max());  // bounded by the caller
  parser.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error && error != http::error::need_more) {
    return fail(Errc::invalid_argument, "malformed HTTP head: " + error.message());
  }
  if (!parser.is_header_done()) {
    return fail(Errc::invalid_argument, "malformed HTTP head: it is not complete");
  }
  return {};
}

}  // namespace

std::optional<std::string_view> HttpFields::find(std::string_view name) const {
  for (const auto& [field_name, value] : all) {
    if (boost::beast::iequals(field_name, name)) return value;
  }
  return std::nullopt;
}

bool HttpFields::has_token(std::string_view name, std::string_view token) const {
  for (const auto& [field_name, value] : all) {
    if (boost::beast::iequals(field_name, name) && http::token_list{value}.exists(token)) {
      return true;
    }
  }
  return false;
}

std::size_t http_head_bytes(std::string_view bytes, std::size_t searched) noexcept {
  const std::size_t from = searched > 3 ? searched - 3 : 0;
  const std::size_t end = bytes.find("\r\n\r\n", from);
  return end == std::string_view::npos ? 0 : end + 4;
}

Result<HttpRequestHead> parse_request_head(std::string_view head) {
  http::request_parser<http::empty_body> parser;
  parser.skip(true);
  if (auto parsed = parse(parser, head); !parsed) return std::unexpected(parsed.error());
  const auto& request = parser.get();
  if (request.version() / 10 != 1) {
    return fail(Errc::invalid_argument, "only HTTP/1.x is spoken here");
  }
  return HttpRequestHead{.method = std::string(request.method_string()),
                         .target = std::string(request.target()),
                         .minor_version = static_cast<int>(request.version() % 10),
                         .fields = fields_of(request)};
}

Result<HttpResponseHead> parse_response_head(std::string_view head) {
  http::response_parser<http::empty_body> parser;
  parser.skip(true);
  if (auto parsed = parse(parser, head); !parsed) return std::unexpected(parsed.error());
  return HttpResponseHead{.status = static_cast<int>(parser.get().result_int()),
                          .fields = fields_of(parser.get())};
}

std::string_view http_reason(int status) noexcept {
  const auto phrase = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return {phrase.data(), phrase.size()};
}

}  // namespace mpr
