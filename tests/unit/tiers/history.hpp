// One random history: two gateways whose clients add, read and remove in the queues of two phones,
// and whose archivers move messages, stopped and resumed at every step, frozen beyond their leases,
// killed, and hit by failures. What clients were answered is judged at the end; at every poll in
// between, count, take and status have to agree with what is pending.
#pragma once

#include <deque>
#include <memory>
#include <random>

#include "tests/unit/tiers/tier_bed.hpp"

namespace mpr::test {

class History {
 public:
  struct Kinds {
    bool faults = false;  // archivers' steps fail, in all ways
    bool poison = false;  // the cold tier refuses some messages
  };

  History(std::uint64_t seed, Kinds kinds);
  ~History();

  // Empty if all went well, else what was wrong.
  std::vector<std::string> run(std::size_t steps);

  std::uint64_t archived() const { return metrics_.messages_archived.value(); }
  std::uint64_t polls() const { return polls_; }
  std::uint64_t reads() const { return reads_.size(); }
  std::uint64_t leases_lost() const { return leases_lost_; }

 private:
  static constexpr Deadline kNever{};
  static constexpr std::uint64_t kForever = ~0ULL;

  struct Fact {  // about one message; times are ticks
    std::string id;
    std::size_t phone = 0;
    Position position;
    std::uint64_t add_started = 0;
    std::uint64_t add_answered = kForever;
    std::uint64_t removal_started = kForever;
    std::uint64_t removal_answered = kForever;
    std::size_t reported = 0;  // how many removals claim to have removed it
  };
  struct Removal {
    std::size_t phone = 0;
    Position position;
    std::uint64_t started = 0;
    std::uint64_t answered = 0;
  };
  struct Read {
    std::size_t phone = 0;
    std::uint64_t started = 0;
    std::uint64_t ended = 0;
    std::uint64_t limit = 0;
    bool counts = false;   // only `counted` is known
    bool removes = false;  // a take with removal
    std::uint64_t counted = 0;
    std::vector<Position> seen;
  };
  struct Gateway {
    Stepper steps;
    std::unique_ptr<SteppedHotStore> hot;
    std::unique_ptr<SteppedColdStore> cold;
    std::unique_ptr<TieredStore> store;
  };
  struct ArchiverAtWork {
    Stepper steps;
    std::unique_ptr<SteppedHotStore> hot;
    std::unique_ptr<SteppedColdStore> cold;
    std::unique_ptr<Archiver> archiver;
    bool passing = false;
    bool frozen = false;
  };

  std::uint64_t below(std::uint64_t n) { return dice_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  void wrong(std::string what) { wrong_.push_back(std::move(what)); }

  std::unique_ptr<ArchiverAtWork> make_archiver();
  Archiver::Options random_options();
  void one_step();
  void start_client();
  void start_pass();
  bool let_something_go();
  void disturb_archiver();
  void pass_time();
  void finish_clients();
  void finish_archivers();
  void check_poll();
  void check_end();

  Task<void> add(std::size_t gateway, std::size_t to);
  Task<void> take(std::size_t gateway, std::size_t from, std::uint64_t limit, TakeMode mode);
  Task<void> count(std::size_t gateway, std::size_t of);
  Task<void> status(std::size_t gateway, std::size_t of);
  Task<void> remove(std::size_t gateway, std::size_t from, std::vector<std::size_t> facts);
  Task<void> remove_all(std::size_t gateway, std::size_t from);
  Task<void> pass(ArchiverAtWork* at_work);

  Fact* find(std::size_t phone, Position position);
  void note_removed(std::size_t phone, const std::vector<Position>& removed, std::uint64_t started);
  static void mark_removed(Fact& fact, const Removal& removal);
  std::vector<Position> pending(std::size_t phone) const;
  void judge(const Read& read);

  std::mt19937_64 dice_;
  const Kinds kinds_;
  FakeClock clock_;
  Metrics metrics_;
  RunLoop loop_;
  ExpiryLedger expired_{metrics_};
  MemoryHotStore hot_;
  MemoryColdStore cold_;
  TieredStore direct_{hot_, cold_};
  std::vector<std::unique_ptr<Gateway>> gateways_;
  std::vector<std::unique_ptr<ArchiverAtWork>> archivers_;
  std::vector<std::unique_ptr<ArchiverAtWork>> dead_;
  std::deque<Fact> facts_;
  std::vector<Removal> before_answer_;  // of messages whose adds are not answered
  std::vector<Read> reads_;
  std::uint64_t tick_ = 0;
  std::size_t clients_ = 0;  // operations under way
  std::uint64_t polls_ = 0;
  std::uint64_t leases_lost_ = 0;
  std::vector<std::string> wrong_;
  TaskGroup tasks_{[](const std::exception_ptr& e) { std::rethrow_exception(e); }};
};

}  // namespace mpr::test
