#include "store/mongo/store_state.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace mpr::mongo {

namespace {
std::uint64_t changed(std::uint64_t value, std::int64_t by) {
  const auto signed_value = static_cast<std::int64_t>(value) + by;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, signed_value));
}
}  // namespace

StoreState::~StoreState() {
  std::lock_guard lock(mutex_);
  publish({});
}

// The gauges are shared with the other tier: only differences are counted.
void StoreState::publish(const StoreTotals& now) {
  metrics.messages_pending.add(static_cast<std::int64_t>(now.messages - totals_.messages));
  metrics.bytes_pending.add(static_cast<std::int64_t>(now.bytes - totals_.bytes));
  metrics.queues.add(static_cast<std::int64_t>(now.queues - totals_.queues));
  totals_ = now;
}

void StoreState::count(std::int64_t messages, std::int64_t bytes, std::int64_t queues) {
  std::lock_guard lock(mutex_);
  publish({changed(totals_.messages, messages), changed(totals_.bytes, bytes),
           changed(totals_.queues, queues)});
}

void StoreState::surveyed(const StoreTotals& totals) {
  std::lock_guard lock(mutex_);
  publish(totals);
}

StoreTotals StoreState::totals() const {
  std::lock_guard lock(mutex_);
  return totals_;
}

void StoreState::healthy() {
  std::lock_guard lock(mutex_);
  if (!trouble_) return;
  trouble_.reset();
  if (std::exchange(said_, false)) log::info("MongoDB answers again");
}

void StoreState::failed(const Error& error) {
  if (error.code != Errc::unavailable) return;
  metrics.store_errors.add();
  std::lock_guard lock(mutex_);
  trouble_ = error;
  if (said_) return;
  const auto times = troubles_said_.happened();
  if (times == 0) return;
  log::error("MongoDB cannot be used", {{"reason", error.context}, {"times", times}});
  said_ = true;
}

Result<void> StoreState::ready() const {
  std::lock_guard lock(mutex_);
  if (trouble_) return std::unexpected(*trouble_);
  return {};
}

void StoreState::pause(std::chrono::milliseconds duration) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, duration, [this] { return closing(); });
}

void StoreState::close() {
  {
    std::lock_guard lock(mutex_);
    closing_.store(true, std::memory_order_release);
  }
  wake_.notify_all();
}

}  // namespace mpr::mongo
