// One call at a time, for programs that have nothing else to do meanwhile: runs the event loop
// until the answer is there. Not for use inside a callback of the loop.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "client/rpc_client.hpp"

namespace mpr::client {

// Fails when the server cannot be reached within `patience`.
Result<void> connect_and_wait(boost::asio::io_context& io, RpcClient& client, const Url& url,
                              std::chrono::milliseconds patience);

// The raw JSON of the result. An error answer, a lost connection and a call that is not answered
// within `patience` are errors.
Result<std::string> call_and_wait(boost::asio::io_context& io, RpcClient& client,
                                  std::string_view method, std::string_view params,
                                  std::chrono::milliseconds patience);

}  // namespace mpr::client
