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

enum class Backend { automatic, embedded, memory, redis };
std::string_view to_string(Backend backend);

enum class RedisType { automatic, single, cluster };

// When an add is answered, with the redis backend.
enum class DurabilityMode {
  fast,        // Redis has it
  replicated,  // and one of its replicas
  durable,     // the database has it, with majority
};
std::string_view to_string(DurabilityMode mode);

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
  Backend backend = Backend::automatic;  // as chosen; configure() leaves none automatic
  std::filesystem::path data_dir;
  std::uint64_t segment_bytes = 0;
  std::uint64_t max_queue_messages = 0;
  std::uint64_t max_queue_bytes = 0;
  std::uint64_t max_store_bytes = 0;  // 0: the disk is the bound
  Milliseconds idempotency_window{};
  std::uint64_t remembered_ids = 0;
  Milliseconds threshold_timestamp{};

  // Redis and MongoDB
  Secret redis_url;
  RedisType redis_type = RedisType::automatic;
  Secret redis_nodes;
  std::string redis_nat_map;
  std::filesystem::path redis_ca_file;
  std::string redis_prefix;
  std::uint32_t redis_partitions = 0;
  Secret mongodb_uri;
  std::string mongodb_database;
  std::size_t mongodb_threads = 0;
  DurabilityMode durability = DurabilityMode::fast;
  std::size_t archive_batch = 0;
  Milliseconds patrol_interval{};

  // Live delivery
  Milliseconds ack_deadline{};
  Milliseconds orphan_grace{};
  std::size_t max_in_flight = 0;

  // Push notifications
  std::string firebase_cfg_file;  // paths with commas between them
  std::filesystem::path apns_cfg_file;
  std::filesystem::path apns_path_key;
  std::string apns_topic;
  Secret webhook_url;  // such URLs often hold a key
  Secret webhook_secret;
  bool notification_data_only = false;
  std::string push_title;
  std::string push_body;
  Milliseconds push_window{};
  std::size_t push_queue = 0;
  std::size_t push_in_flight = 0;
  std::size_t push_connections = 0;
  Milliseconds push_timeout{};
  Milliseconds push_max_age{};
  std::string fcm_url;
  std::string apns_url;  // empty: Apple's
  std::filesystem::path push_ca_file;

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
