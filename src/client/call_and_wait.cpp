#include "client/call_and_wait.hpp"

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>

namespace mpr::client {
namespace {

// Runs the loop until `outcome` is set; nullopt when it was not set in time. The outcome is shared
// with the callback, which may come after its caller gave up.
template <class T>
std::optional<T> wait_for(boost::asio::io_context& io,
                          const std::shared_ptr<std::optional<T>>& outcome,
                          std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  if (io.stopped()) io.restart();
  while (!*outcome && io.run_one_until(until) > 0) {
  }
  return std::move(*outcome);
}

}  // namespace

Result<void> connect_and_wait(boost::asio::io_context& io, RpcClient& client, const Url& url,
                              std::chrono::milliseconds patience) {
  const auto outcome = std::make_shared<std::optional<Result<void>>>();
  client.connect(url, [outcome](Result<void> connected) { *outcome = std::move(connected); });
  const auto connected = wait_for(io, outcome, patience);
  if (!connected) {
    return fail(Errc::deadline_exceeded, url.host + " did not answer the handshake in time");
  }
  return *connected;
}

Result<std::string> call_and_wait(boost::asio::io_context& io, RpcClient& client,
                                  std::string_view method, std::string_view params,
                                  std::chrono::milliseconds patience) {
  const auto outcome = std::make_shared<std::optional<Result<std::string>>>();
  client.call(method, params, [outcome](const Answer& answer) {
    if (answer.kind == Answer::Kind::result) {
      *outcome = std::string(answer.text);
    } else {
      *outcome = fail(Errc::unavailable, std::string(answer.text));
    }
  });
  auto answered = wait_for(io, outcome, patience);
  if (!answered) {
    return fail(Errc::deadline_exceeded, std::string(method) + " was not answered in time");
  }
  if (!*answered) {
    return fail(answered->error().code, std::string(method) + ": " + answered->error().context);
  }
  return std::move(**answered);
}

}  // namespace mpr::client
