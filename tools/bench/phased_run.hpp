// The course of a timed run on one event loop: warm-up, the measured part, then a drain in which
// nothing new is started and what is in flight gets time to end. One thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "tools/bench/options.hpp"
#include "tools/bench/target.hpp"

namespace mpr::bench {

class PhasedRun {
 public:
  PhasedRun(boost::asio::io_context& io, const Options& options, const Target& target);

  // Runs the loop through all phases. Returns when `drained` is true in the last one, when its time
  // (ten seconds) is up, or when the loop was stopped.
  void run(const std::function<bool()>& drained);

  // Whether new work may be started.
  bool issuing() const noexcept { return phase_ == Phase::warmup || phase_ == Phase::measured; }
  // Whether what happens now counts.
  bool measuring() const noexcept { return phase_ == Phase::measured; }
  const Stopwatch& stopwatch() const noexcept { return stopwatch_; }

 private:
  enum class Phase { warmup, measured, draining };
  void enter_measured();
  void enter_draining();

  boost::asio::io_context& io_;
  const Options& options_;
  const Target& target_;
  boost::asio::steady_timer timer_;
  Stopwatch stopwatch_;
  Phase phase_ = Phase::warmup;
};

}  // namespace mpr::bench
