// The options of `mpr bench`: one table gives parsing, bounds and help. Every figure has a bound,
// so that a slip of the finger neither fills a disk nor runs for a day.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace mpr::bench {

enum class Backend { embedded, memory };

struct Options {
  std::string scenario;
  std::string url = "ws://127.0.0.1:3100";
  std::string receiver_url;  // where phones are live; empty: at the same gateway
  std::string json_file;     // "-": standard output instead of the table
  std::uint64_t seconds = 5;
  std::uint64_t warmup_seconds = 1;
  std::uint64_t sockets = 4;
  std::uint64_t in_flight = 256;  // over all sockets
  std::uint64_t bytes = 1100;
  std::uint64_t connections = 1000;
  std::uint64_t rate = 500;  // latency: messages per second
  std::uint64_t sessions = 1'000'000;
  std::uint64_t depth = 10;
  std::uint64_t idle_sockets = 10'000;
  std::uint64_t runs = 1;
  std::optional<std::uint64_t> server_pid;
  Backend backend = Backend::embedded;
  bool start = false;
  bool allow_remote = false;
};

// Reads "--name value", "--name=value" and one scenario name. All problems stand in the one error.
Result<Options> parse_options(std::span<const std::string> args);

// The options with their defaults and bounds, one a line.
std::string options_help();

std::string_view to_string(Backend backend) noexcept;

}  // namespace mpr::bench
