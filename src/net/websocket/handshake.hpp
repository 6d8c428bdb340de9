// The opening handshake of RFC 6455, both sides, as functions of heads: no I/O. No extension is
// ever agreed; versions 13 and 8 are spoken.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/error.hpp"
#include "net/http_head.hpp"

namespace mpr::websocket {

// A request that may become a WebSocket.
struct Upgrade {
  std::string response;      // the 101 answer
  std::string client_name;   // the query's socket_id, for logs only; cut, may be empty
  std::string bearer_token;  // of Authorization: Bearer; empty if there is none
};

// A request that may not; `response` is the complete HTTP answer, after which the socket closes.
struct Refusal {
  int status = 0;
  std::string reason;
  std::string response;
};

std::variant<Upgrade, Refusal> answer_upgrade(const HttpRequestHead& request);

// For refusals that need no look at the request: 400, 401, 431, 503.
Refusal refuse(int status, std::string reason);

// --- client -------------------------------------------------------------------------------------

// A fresh Sec-WebSocket-Key.
std::string make_client_key();
// `host` with port, `target` starting with "/"; a token becomes Authorization: Bearer.
std::string client_request(std::string_view host, std::string_view target, std::string_view key,
                           std::string_view bearer_token = {});
// Whether the head is a correct 101 for that key; the error says what is wrong with it.
Result<void> check_server_response(const HttpResponseHead& response, std::string_view key);

// The Sec-WebSocket-Accept value for a key.
std::string accept_value(std::string_view key);

}  // namespace mpr::websocket
