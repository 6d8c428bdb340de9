// What an operator, or a test, may choose about the embedded store. Every bound says what happens
// when it is reached.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace mpr {

struct EmbeddedOptions {
  std::filesystem::path directory;

  // The size of a log file; the largest message has to fit into one. Three of them are allocated
  // even when the store is empty. Ignored while the directory has larger ones.
  std::uint64_t segment_bytes = 32ULL << 20;

  // Over one of these an add is answered quota_exceeded.
  std::uint64_t max_queue_messages = 1'000'000;  // pending in one queue
  std::uint64_t max_queue_bytes = 4ULL << 30;    // payload bytes pending in one queue
  std::uint64_t max_store_bytes = 0;  // payload bytes pending in all; 0: the disk decides

  // How long, and how many at most, callers' message ids are remembered after removal.
  std::chrono::milliseconds idempotency_window{std::chrono::minutes(10)};
  std::size_t remembered_ids = 100'000;

  // What may wait for the disk; over it operations are answered `unavailable` at once.
  std::size_t max_waiting_operations = 65'536;
  std::size_t max_waiting_bytes = 64ULL << 20;
};

}  // namespace mpr
