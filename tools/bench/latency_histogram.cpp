#include "tools/bench/latency_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace mpr::bench {

LatencyHistogram::LatencyHistogram() : buckets_(kBuckets) {}

std::size_t LatencyHistogram::bucket_of(std::uint64_t nanoseconds) noexcept {
  if (nanoseconds < 2 * kHalf) return static_cast<std::size_t>(nanoseconds);
  // The top kLinearBits bits of the value choose the bucket inside its power of two.
  const unsigned shift = static_cast<unsigned>(std::bit_width(nanoseconds)) - kLinearBits;
  return static_cast<std::size_t>(shift) * kHalf + static_cast<std::size_t>(nanoseconds >> shift);
}

std::uint64_t LatencyHistogram::end_of(std::size_t bucket) noexcept {
  if (bucket < 2 * kHalf) return bucket;
  const std::size_t shift = bucket / kHalf - 1;
  const std::uint64_t top = bucket - shift * kHalf;
  return (top << shift) + ((std::uint64_t{1} << shift) - 1);
}

void LatencyHistogram::record(std::chrono::nanoseconds duration) noexcept {
  const std::int64_t value = std::clamp<std::int64_t>(duration.count(), 0, kMost.count());
  ++buckets_[bucket_of(static_cast<std::uint64_t>(value))];
  ++count_;
  total_ += value;
  largest_ = std::max(largest_, value);
}

void LatencyHistogram::clear() noexcept {
  std::ranges::fill(buckets_, 0);
  count_ = 0;
  largest_ = 0;
  total_ = 0;
}

double LatencyHistogram::mean_seconds() const noexcept {
  return count_ == 0 ? 0.0 : static_cast<double>(total_) / static_cast<double>(count_) / 1e9;
}

std::chrono::nanoseconds LatencyHistogram::quantile(double fraction) const noexcept {
  if (count_ == 0) return {};
  const double exact = std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_));
  const std::uint64_t wanted = std::max<std::uint64_t>(static_cast<std::uint64_t>(exact), 1);
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted) {
      const auto end = static_cast<std::int64_t>(end_of(bucket));
      return std::chrono::nanoseconds(std::min(end, largest_));
    }
  }
  return largest();
}

}  // namespace mpr::bench
