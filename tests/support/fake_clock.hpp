// A clock that stands still until a test moves it. Any thread may read and move it.
#pragma once

#include <atomic>

#include "core/ports.hpp"

namespace mpr::test {

class FakeClock final : public Clock {
 public:
  static constexpr TimePoint kStart{std::chrono::milliseconds(1'750'000'000'000)};

  TimePoint now() const override { return kStart + passed(); }
  std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::time_point{} + std::chrono::hours(1) + passed();
  }

  void advance(std::chrono::milliseconds by) { passed_.fetch_add(by.count()); }

 private:
  std::chrono::milliseconds passed() const { return std::chrono::milliseconds(passed_.load()); }

  std::atomic<std::int64_t> passed_ = 0;
};

}  // namespace mpr::test
