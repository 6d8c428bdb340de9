// A number of client sockets to one gateway, on one event loop. The first connection that is lost
// is remembered and stops the loop: a run without all of its sockets measures nothing.
//
// On RpcClient, not on the public mpr::client::Client: see docs/adr/0015-load-over-bare-sockets.md.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/rpc_client.hpp"

namespace mpr::bench {

class Fleet {
 public:
  // `token` logs every socket in; empty: none is sent.
  explicit Fleet(boost::asio::io_context& io, std::string token = {})
      : io_(io), token_(std::move(token)), signals_(io, SIGINT, SIGTERM) {}
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // Opens `count` more sockets, a bounded number at a time.
  Result<void> connect(const client::Url& url, std::size_t count);

  std::size_t size() const noexcept { return clients_.size(); }
  client::RpcClient& operator[](std::size_t index) noexcept { return *clients_[index]; }
  boost::asio::io_context& io() noexcept { return io_; }

  bool lost() const noexcept { return lost_.has_value(); }
  // Fails when a connection was lost since connect().
  Result<void> intact() const;

 private:
  struct Opening;
  void lose(const Error& error);
  void open_next(const std::shared_ptr<Opening>& opening);

  boost::asio::io_context& io_;
  const std::string token_;
  boost::asio::signal_set signals_;
  std::vector<std::unique_ptr<client::RpcClient>> clients_;
  std::optional<Error> lost_;
};

// Many calls of one kind, with a bound on how many are unanswered.
struct CallPlan {
  std::string_view method;
  std::uint64_t count = 0;
  std::uint64_t in_flight = 256;
  // The params of the call with that number; copied before the next one is asked for.
  std::function<std::string_view(std::uint64_t number)> params;
  // The raw result of that call; an error says why it is not the right one.
  std::function<Result<void>(std::uint64_t number, std::string_view result)> check;
};

// Makes the calls, spread over the fleet's sockets by number, and returns when all are answered.
// Fails at the first error answer, wrong result or lost connection, and after `patience`.
Result<void> run_calls(Fleet& fleet, const CallPlan& plan, std::chrono::seconds patience);

// A check for methods that answer true.
Result<void> expect_true(std::uint64_t number, std::string_view result);

}  // namespace mpr::bench
