// Durations counted in buckets that grow with the value: every recorded duration is known to better
// than 1 %, from a nanosecond to a hundred days, in a fixed 60 KB. Nothing is sampled or thrown
// away. One thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mpr::bench {

class LatencyHistogram {
 public:
  LatencyHistogram();

  static constexpr std::chrono::nanoseconds kMost{std::int64_t{1} << 53};

  // A negative duration counts as zero, one beyond kMost as kMost.
  void record(std::chrono::nanoseconds duration) noexcept;
  void clear() noexcept;

  std::uint64_t count() const noexcept { return count_; }
  std::chrono::nanoseconds largest() const noexcept { return std::chrono::nanoseconds(largest_); }
  // Exact, not rounded to a bucket; zero when nothing was recorded.
  std::chrono::nanoseconds total() const noexcept { return std::chrono::nanoseconds(total_); }
  double mean_seconds() const noexcept;

  // The least duration that at least `fraction` (0 to 1) of the recorded ones do not exceed,
  // rounded up to its bucket's end but never beyond largest(). Zero when nothing was recorded.
  std::chrono::nanoseconds quantile(double fraction) const noexcept;

 private:
  // Values below 2^kLinearBits have a bucket each; above, each power of two has half as many.
  static constexpr unsigned kLinearBits = 8;
  static constexpr std::size_t kHalf = std::size_t{1} << (kLinearBits - 1);
  static constexpr std::size_t kBuckets = (64 - kLinearBits + 2) * kHalf;

  static std::size_t bucket_of(std::uint64_t nanoseconds) noexcept;
  static std::uint64_t end_of(std::size_t bucket) noexcept;

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::int64_t largest_ = 0;
  std::int64_t total_ = 0;
};

}  // namespace mpr::bench
