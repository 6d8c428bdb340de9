#include "tools/bench/phased_run.hpp"

namespace mpr::bench {
namespace {
constexpr std::chrono::seconds kDrainPatience{10};
}

PhasedRun::PhasedRun(boost::asio::io_context& io, const Options& options, const Target& target)
    : io_(io), options_(options), target_(target), timer_(io) {}

void PhasedRun::run(const std::function<bool()>& drained) {
  if (io_.stopped()) io_.restart();
  timer_.expires_after(std::chrono::seconds(options_.warmup_seconds));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) enter_measured();
  });
  while (phase_ != Phase::draining && io_.run_one() > 0) {
  }
  const auto until = std::chrono::steady_clock::now() + kDrainPatience;
  while (!drained() && io_.run_one_until(until) > 0) {
  }
}

void PhasedRun::enter_measured() {
  phase_ = Phase::measured;
  stopwatch_.start(target_);
  timer_.expires_after(std::chrono::seconds(options_.seconds));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) enter_draining();
  });
}

void PhasedRun::enter_draining() {
  stopwatch_.stop(target_);
  phase_ = Phase::draining;
}

}  // namespace mpr::bench
