#include "store/mongo/housekeeping.hpp"

#include "base/log.hpp"
#include "store/mongo/indexes.hpp"

namespace mpr::mongo {

namespace {
constexpr std::chrono::seconds kPingEvery{1};
constexpr std::chrono::seconds kLookEvery{60};  // for documents of the existing service
constexpr std::size_t kSweepAtOnce = 1000;
}  // namespace

Housekeeping::Housekeeping(StoreState& state) : state_(state), queues_(state) {
  round(std::chrono::steady_clock::now());
  // The first one is left to those who ask for it, and to time.
  next_sweep_ = std::chrono::steady_clock::now() + state_.options.sweep_every;
  thread_ = std::thread([this] { run(); });
}

Housekeeping::~Housekeeping() { thread_.join(); }

void Housekeeping::run() {
  for (;;) {
    state_.pause(kPingEvery);
    if (state_.closing()) return;
    round(std::chrono::steady_clock::now());
  }
}

Result<void> Housekeeping::learn_kind() {
  Document command;
  command.small("isMaster", 1);
  const auto answer = queues_.database().command(command, "admin");
  if (!answer) return std::unexpected(answer.error());
  state_.sharded.store(read_any_text(*answer->get(), "msg") == "isdbgrid");
  return {};
}

Result<void> Housekeeping::prepare() {
  if (auto known = learn_kind(); !known) return known;
  const auto troubles = create_indexes(queues_.database());
  if (!troubles) return std::unexpected(troubles.error());
  for (const std::string& trouble : *troubles) {
    log::warn("an index is not as it should be", {{"reason", trouble}});
  }
  prepared_ = true;
  return {};
}

void Housekeeping::round(Time now) {
  if (!queues_.ping()) return;
  Result<void> done;
  if (!prepared_) done = prepare();
  if (done && now >= next_look_) {
    done = queues_.look_for_old_documents();
    next_look_ = now + (state_.old_documents ? 10 * kLookEvery : kLookEvery);
  }
  if (done && now >= next_survey_) {
    done = queues_.survey();
    next_survey_ = now + state_.options.totals_every;
  }
  if (done && now >= next_sweep_ && next_sweep_ != Time{}) {
    next_sweep_ = now + state_.options.sweep_every;
    done = queues_.forget_old_notes();
    const bool own = state_.options.positions == PositionsFrom::store;
    if (done && own) {
      const auto removed = queues_.remove_expired(kSweepAtOnce, Deadline::never());
      if (!removed) done = std::unexpected(removed.error());
    }
  }
  if (!done) state_.failed(done.error());
}

}  // namespace mpr::mongo
