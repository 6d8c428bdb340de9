// What an operator may choose, typed and checked. Filled from the table of options (options.cpp),
// read by wiring.cpp, which gives each component its own struct. A plain value.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "app/secret.hpp"
#include "base/log.hpp"

namespace mpr {

enum class Backend { embedded, memory };
std::string_view to_string(Backend backend);

struct Settings {
  using Milliseconds = std::chrono::milliseconds;

  // Network
  std::uint16_t ws_port = 0;
  std::uint16_t app_port = 0;
  std::string bind;
  Secret auth_token;
  std::filesystem::path auth_token_file;
  std::size_t io_threads = 0;  // 0: chosen by the gateway
  std::filesystem::path ports_file;

  // Storage
  Backend backend = Backend::embedded;
  std::filesystem::path data_dir;
  std::uint64_t segment_bytes = 0;
  std::uint64_t max_queue_messages = 0;
  std::uint64_t max_queue_bytes = 0;
  std::uint64_t max_store_bytes = 0;  // 0: the disk is the bound
  Milliseconds idempotency_window{};
  std::uint64_t remembered_ids = 0;
  Milliseconds threshold_timestamp{};

  // Live delivery
  Milliseconds ack_deadline{};
  Milliseconds orphan_grace{};
  std::size_t max_in_flight = 0;

  // Limits of a socket
  std::size_t max_connections = 0;  // 0: as many as open files allow
  std::uint64_t max_frame_bytes = 0;
  std::uint64_t max_message_bytes = 0;
  std::uint64_t max_response_bytes = 0;
  std::uint64_t outbound_bytes = 0;
  std::size_t max_calls_in_flight = 0;

  // Times
  Milliseconds call_timeout{};
  Milliseconds ping_interval{};
  Milliseconds dead_after{};
  Milliseconds handshake_timeout{};
  Milliseconds slow_reader_timeout{};
  Milliseconds drain_timeout{};

  // Logs and files
  log::Level log_level = log::Level::info;
  log::Format log_format = log::Format::text;
  std::filesystem::path config_file;
};

}  // namespace mpr
