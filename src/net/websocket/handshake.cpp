#include "net/websocket/handshake.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace mpr::websocket {

namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::size_t kKeyBytes = 16;
constexpr std::size_t kKeyTextBytes = 24;  // 16 bytes in base64
constexpr std::size_t kMaxClientNameBytes = 64;

std::string base64(const unsigned char* bytes, std::size_t size) {
  std::string text((size + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends with a NUL
  const int length = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes,
                                       static_cast<int>(size));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

bool is_base64_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

bool is_valid_key(std::string_view key) {
  return key.size() == kKeyTextBytes && key.ends_with("==") &&
         std::all_of(key.begin(), key.end() - 2, is_base64_character);
}

bool is_token_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         std::string_view("!#$%&'*+-.^_`|~").contains(c);
}

// The first of the offered sub-protocols, if it is a proper token.
std::string_view first_protocol(const HttpFields& fields) {
  const std::string_view offered = fields.find("Sec-WebSocket-Protocol").value_or("");
  const auto end = std::find_if_not(offered.begin(), offered.end(), is_token_character);
  return {offered.begin(), end};
}

// The value of socket_id in the query, reduced to what may stand in a log line.
std::string client_name(std::string_view target) {
  const std::size_t query = target.find('?');
  if (query == std::string_view::npos) return {};
  std::string_view rest = target.substr(query + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (!pair.starts_with("socket_id=")) continue;
    std::string name(pair.substr(pair.find('=') + 1).substr(0, kMaxClientNameBytes));
    std::erase_if(name, [](char c) { return !is_token_character(c); });
    return name;
  }
  return {};
}

std::string bearer_token(const HttpFields& fields) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view value = fields.find("Authorization").value_or("");
  if (value.size() < kScheme.size()) return {};
  const bool bearer = std::equal(kScheme.begin(), kScheme.end(), value.begin(), [](char a, char b) {
    return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b + ('a' - 'A')) : b);
  });
  return bearer ? std::string(value.substr(kScheme.size())) : std::string();
}

// A field that an answer of this status has to carry.
std::string_view required_field(int status) {
  switch (status) {
    case 401:
      return "WWW-Authenticate: Bearer\r\n";
    case 405:
      return "Allow: GET\r\n";
    case 426:
      return "Upgrade: websocket\r\nSec-WebSocket-Version: 13, 8\r\n";
    case 503:
      return "Retry-After: 1\r\n";
    default:
      return "";
  }
}

std::string accepting_response(std::string_view key, std::string_view protocol) {
  std::string response =
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ";
  response += accept_value(key);
  if (!protocol.empty()) {
    response += "\r\nSec-WebSocket-Protocol: ";
    response += protocol;
  }
  response += "\r\n\r\n";
  return response;
}

}  // namespace

std::string accept_value(std::string_view key) {
  std::string text(key);
  text += kGuid;
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  ::SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return base64(digest.data(), digest.size());
}

Refusal refuse(int status, std::string reason) {
  std::string response = "HTTP/1.1 " + std::to_string(status) + " ";
  response += http_reason(status);
  response += "\r\n";
  response += required_field(status);
  response += "Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ";
  response += std::to_string(reason.size() + 1);
  response += "\r\n\r\n";
  response += reason;
  response += '\n';
  return {.status = status, .reason = std::move(reason), .response = std::move(response)};
}

std::variant<Upgrade, Refusal> answer_upgrade(const HttpRequestHead& request) {
  const HttpFields& fields = request.fields;
  if (request.method != "GET") return refuse(405, "a WebSocket is opened with GET");
  if (request.minor_version < 1) return refuse(400, "a WebSocket is opened with HTTP/1.1");
  if (!fields.find("Host")) return refuse(400, "the Host field is missing");
  if (!fields.has_token("Upgrade", "websocket") || !fields.has_token("Connection", "upgrade")) {
    return refuse(426, "this port speaks WebSocket only");
  }
  const std::string_view version = fields.find("Sec-WebSocket-Version").value_or("");
  if (version != "13" && version != "8") {
    return refuse(426, "only the WebSocket versions 13 and 8 are spoken");
  }
  const std::string_view key = fields.find("Sec-WebSocket-Key").value_or("");
  if (!is_valid_key(key)) return refuse(400, "Sec-WebSocket-Key is not 16 bytes in base64");
  return Upgrade{.response = accepting_response(key, first_protocol(fields)),
                 .client_name = client_name(request.target),
                 .bearer_token = bearer_token(fields)};
}

std::string make_client_key() {
  std::array<unsigned char, kKeyBytes> bytes;
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  return base64(bytes.data(), bytes.size());
}

std::string client_request(std::string_view host, std::string_view target, std::string_view key,
                           std::string_view bearer_token) {
  std::string request = "GET ";
  request += target.empty() ? "/" : target;
  request += " HTTP/1.1\r\nHost: ";
  request += host;
  request += "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ";
  request += key;
  request += "\r\nSec-WebSocket-Version: 13\r\n";
  if (!bearer_token.empty()) {
    request += "Authorization: Bearer ";
    request += bearer_token;
    request += "\r\n";
  }
  request += "\r\n";
  return request;
}

Result<void> check_server_response(const HttpResponseHead& response, std::string_view key) {
  const auto wrong = [](std::string reason) {
    return fail(Errc::unavailable, "the WebSocket handshake failed: " + std::move(reason));
  };
  if (response.status != 101) {
    return wrong("the server answered " + std::to_string(response.status));
  }
  if (!response.fields.has_token("Upgrade", "websocket") ||
      !response.fields.has_token("Connection", "upgrade")) {
    return wrong("the server did not upgrade");
  }
  if (response.fields.find("Sec-WebSocket-Accept") != accept_value(key)) {
    return wrong("Sec-WebSocket-Accept is wrong");
  }
  if (response.fields.find("Sec-WebSocket-Extensions")) {
    return wrong("the server chose an extension that was not offered");
  }
  return {};
}

}  // namespace mpr::websocket
