// Random interleavings of adds, reads, removals and two archivers over two stores on one Redis,
// beside an imitation of a cold tier, against what is known to be pending. Reads, removals and
// archivers stop between their steps; archivers are overtaken in the middle of a batch and go on
// later. MPR_SEED repeats a run, MPR_ROUNDS sets the number of histories.
#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "tests/integration/store_bed.hpp"

namespace mpr::test {

namespace {

using std::chrono::seconds;
constexpr std::uint64_t kNever = ~0ULL;
constexpr std::size_t kPhones = 2;

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* const text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : fallback;
}

Connection phone(std::size_t number) {
  return {TenantId("t"), ConnectionId("phone" + std::to_string(number))};
}

// One message: what its clients know of it. Times are ticks.
struct Fact {
  MessageId id;
  Position position;
  std::uint64_t added = 0;
  std::uint64_t removal_started = kNever;
  std::uint64_t removal_answered = kNever;
};

// The cold tier of one phone, by position.
using Cold = std::map<Position, MessageId>;

void erase_ids(Cold& cold, const std::vector<MessageId>& ids) {
  std::erase_if(cold, [&](const auto& copy) {
    return std::find(ids.begin(), ids.end(), copy.second) != ids.end();
  });
}

bool contains(const std::vector<MessageId>& ids, const MessageId& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// A read that has seen the hot tier and not yet the cold one.
struct Reading {
  std::size_t of = 0;
  std::uint64_t started = 0;
  std::uint64_t limit = 0;
  bool counts = false;
  std::uint64_t counted = 0;
  std::vector<Position> seen;
  HotView view;
};
struct Removing {
  std::size_t of = 0;
  std::vector<MessageId> ids;
  HotView view;
};
struct Noting {
  std::size_t of = 0;
  std::string mark;
};

// An archiver in the middle of one queue.
struct Archiving {
  enum class Step { idle, claim, erase_old, copy, finish, erase_new, forget, release };
  RedisStore* store = nullptr;
  Step step = Step::idle;
  ArchiveLease lease;
  std::size_t of = 0;
  HotStore::Batch batch;
  std::vector<MessageId> copied;
  std::vector<MessageId> withdrawn;
};

class ArchivingHistory {
 public:
  ArchivingHistory(StoreOnRedis& one, StoreOnRedis& other, FakeClock& clock, std::uint64_t seed,
                   const RedisServer& server, std::string lease_key)
      : stores_{&one, &other},
        clock_(clock),
        dice_(seed),
        server_(server),
        lease_key_(std::move(lease_key)) {
    for (std::size_t i = 0; i < 2; ++i) archivers_[i].store = stores_[i]->store.get();
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) one_step();
    settle();
  }
  std::uint64_t archived() const { return archived_; }
  std::uint64_t leases_lost() const { return leases_lost_; }

 private:
  std::uint64_t below(std::uint64_t n) { return dice_() % n; }
  StoreOnRedis& any() { return *stores_[below(2)]; }
  RedisStore& store_of(StoreOnRedis& bed) { return *bed.store; }
  static Deadline soon() { return StoreOnRedis::soon(); }

  void one_step() {
    ++tick_;
    const auto kind = below(100);
    if (kind < 20) return add();
    if (kind < 35) return start_reading();
    if (kind < 50) return end_reading();
    if (kind < 58) return start_removing();
    if (kind < 66) return end_removing();
    if (kind < 70) return note();
    if (kind < 96) return advance(archivers_[below(2)]);
    if (kind < 98) return lose_lease();
    clock_.advance(seconds(61));
  }

  void add() {
    const std::size_t to = below(kPhones);
    NewMessage message = message_to("", "{\"n\":" + std::to_string(tick_) + "}");
    message.connection = phone(to);
    message.received_at = clock_.now();
    if (below(3) == 0) {
      message.id_origin = IdOrigin::caller;
      message.id = MessageId("caller-" + std::to_string(tick_));
    }
    StoreOnRedis& bed = any();
    const AddOutcome outcome = bed.get(bed.store->add(message, soon()));
    if (below(40) == 0) poison_.insert(outcome.id);
    facts_[to].push_back({outcome.id, outcome.position, tick_, kNever, kNever});
  }

  // --- reading --------------------------------------------------------------------------------

  void start_reading() {
    Reading reading;
    reading.of = below(kPhones);
    reading.started = tick_;
    reading.counts = below(2) == 0;
    StoreOnRedis& bed = any();
    QueueQuery queue{phone(reading.of), std::nullopt, {}};
    if (reading.counts && below(2) == 0) {
      auto answer = bed.get(bed.store->count_hot(queue, soon()));
      reading.counted = answer.value;
      reading.view = std::move(answer.view);
    } else if (reading.counts) {
      auto answer = bed.get(bed.store->status_hot(queue, soon()));
      reading.counted = answer.value.message_count;
      reading.view = std::move(answer.view);
    } else {
      TakeQuery query;
      query.queue = queue;
      query.limit = reading.limit = below(2) * (1 + below(5));
      auto answer = bed.get(bed.store->take_hot(query, soon()));
      for (const auto& m : answer.value) reading.seen.push_back(m.position);
      reading.view = std::move(answer.view);
    }
    readings_.push_back(std::move(reading));
  }

  void end_reading() {
    if (readings_.empty()) return;
    const std::size_t which = below(readings_.size());
    Reading reading = std::move(readings_[which]);
    readings_.erase(readings_.begin() + static_cast<std::ptrdiff_t>(which));
    const Cold& cold = cold_[reading.of];
    std::vector<Position> from_cold;
    if (reading.view.cold_possible) {
      for (const auto& [position, id] : cold) {
        const bool before = !reading.view.first || position < *reading.view.first;
        if (before && !contains(reading.view.withdrawn, id)) from_cold.push_back(position);
      }
      if (cold.empty()) notes_.push_back({reading.of, reading.view.cold_mark});
    }
    reading.counted += from_cold.size();
    reading.seen.insert(reading.seen.begin(), from_cold.begin(), from_cold.end());
    if (reading.limit != 0 && reading.seen.size() > reading.limit) {
      reading.seen.resize(reading.limit);
    }
    if (reading.counts) {
      judge_count(reading);
    } else {
      judge(reading);
    }
  }

  void judge(const Reading& reading) const {
    EXPECT_TRUE(std::adjacent_find(reading.seen.begin(), reading.seen.end(),
                                   std::greater_equal<>()) == reading.seen.end())
        << "out of order, or twice";
    const bool full = reading.limit != 0 && reading.seen.size() == reading.limit;
    const std::set<Position> seen(reading.seen.begin(), reading.seen.end());
    std::size_t known = 0;
    for (const Fact& fact : facts_[reading.of]) {
      const bool was_seen = seen.contains(fact.position);
      known += was_seen;
      EXPECT_FALSE(was_seen && fact.removal_answered < reading.started)
          << "seen after its removal: " << fact.id.value;
      const bool has_to = fact.added < reading.started && fact.removal_started == kNever;
      const bool in_reach = !full || fact.position < reading.seen.back();
      EXPECT_FALSE(has_to && in_reach && !was_seen) << "not seen: " << fact.id.value;
    }
    EXPECT_EQ(known, seen.size()) << "something was seen that nobody added";
  }

  void judge_count(const Reading& reading) const {
    std::uint64_t least = 0;
    std::uint64_t most = 0;
    for (const Fact& fact : facts_[reading.of]) {
      least += fact.added < reading.started && fact.removal_started == kNever;
      most += fact.removal_answered >= reading.started;
    }
    EXPECT_GE(reading.counted, least);
    EXPECT_LE(reading.counted, most);
  }

  void note() {
    if (notes_.empty()) return;
    const Noting noting = notes_.front();
    notes_.pop_front();
    StoreOnRedis& bed = any();
    EXPECT_TRUE(
        bed.run(bed.store->note_cold_empty(phone(noting.of), noting.mark, soon())).has_value());
  }

  // --- removing -------------------------------------------------------------------------------

  void start_removing() {
    Removing removing;
    removing.of = below(kPhones);
    auto& facts = facts_[removing.of];
    StoreOnRedis& bed = any();
    if (below(10) == 0) {
      for (Fact& fact : facts) take_on(fact, removing);
      removing.view =
          bed.get(bed.store->remove_all_hot(phone(removing.of), std::nullopt, soon())).view;
    } else {
      for (Fact& fact : facts) {
        if (below(1 + facts.size() / 2) < 2) take_on(fact, removing);
      }
      removing.view = bed.get(bed.store->remove_hot(phone(removing.of), removing.ids, soon())).view;
    }
    removings_.push_back(std::move(removing));
  }

  void take_on(Fact& fact, Removing& removing) const {
    removing.ids.push_back(fact.id);
    fact.removal_started = std::min(fact.removal_started, tick_);
  }

  void end_removing() {
    if (removings_.empty()) return;
    const Removing removing = std::move(removings_.front());
    removings_.pop_front();
    if (removing.view.cold_possible) {
      std::vector<MessageId> ids;
      for (const MessageId& id : removing.ids) {
        if (!contains(removing.view.withdrawn, id)) ids.push_back(id);
      }
      erase_ids(cold_[removing.of], ids);
    }
    for (Fact& fact : facts_[removing.of]) {
      if (contains(removing.ids, fact.id)) {
        fact.removal_answered = std::min(fact.removal_answered, tick_);
      }
    }
  }

  // --- archiving ------------------------------------------------------------------------------

  void advance(Archiving& a) {
    RunLoop loop;
    switch (a.step) {
      case Archiving::Step::idle:
        return begin(a, loop);
      case Archiving::Step::claim:
        return claim(a, loop);
      case Archiving::Step::erase_old:
        erase_ids(cold_[a.of], a.batch.withdrawn);
        a.step = Archiving::Step::copy;
        return;
      case Archiving::Step::copy:
        return copy(a);
      case Archiving::Step::finish:
        return finish(a, loop);
      case Archiving::Step::erase_new:
        erase_ids(cold_[a.of], a.withdrawn);
        a.step = Archiving::Step::forget;
        return;
      case Archiving::Step::forget:
        (void)loop.run(a.store->forget(a.lease, phone(a.of), soon()));
        a.step = Archiving::Step::release;
        return;
      case Archiving::Step::release:
        if (below(2) == 0) {
          a.step = Archiving::Step::claim;  // the next batch under the same lease
          return;
        }
        EXPECT_TRUE(loop.run(a.store->release(a.lease, soon())).has_value());
        a.step = Archiving::Step::idle;
        return;
    }
  }

  TimePoint until() const { return clock_.now() - seconds(60); }

  void begin(Archiving& a, RunLoop& loop) {
    const auto due = loop.run(a.store->due(0, until(), 10, soon()));
    ASSERT_TRUE(due.has_value());
    if (due->empty()) return;
    const auto lease = loop.run(a.store->lease(0, std::nullopt, seconds(600), soon()));
    ASSERT_TRUE(lease.has_value());
    if (!*lease) return;
    a.lease = **lease;
    a.of = due->front() == phone(0) ? 0 : 1;
    a.step = Archiving::Step::claim;
  }

  void claim(Archiving& a, RunLoop& loop) {
    auto batch =
        loop.run(a.store->claim(a.lease, phone(a.of), until(), 1 + below(6), 1000, soon()));
    if (!batch) {
      ++leases_lost_;
      a.step = Archiving::Step::idle;
      return;
    }
    a.batch = std::move(*batch);
    a.step = Archiving::Step::erase_old;
    if (a.batch.messages.empty() && a.batch.withdrawn.empty()) a.step = Archiving::Step::release;
  }

  void copy(Archiving& a) {
    if (below(10) == 0) {  // the database fails: some of it may be there all the same
      for (const auto& m : a.batch.messages) {
        if (below(2) == 0) cold_[a.of].emplace(m.position, m.message.id);
      }
      a.step = Archiving::Step::idle;  // without a word: the lease runs out
      lose_lease();
      return;
    }
    a.copied.clear();
    bool prefix = true;
    for (const auto& m : a.batch.messages) {
      if (poison_.contains(m.message.id)) {
        prefix = false;
        continue;
      }
      cold_[a.of].emplace(m.position, m.message.id);
      if (prefix) a.copied.push_back(m.message.id);
    }
    a.step = Archiving::Step::finish;
  }

  void finish(Archiving& a, RunLoop& loop) {
    const auto finished = loop.run(a.store->finish(a.lease, phone(a.of), a.copied, soon()));
    ASSERT_TRUE(finished.has_value()) << finished.error().context;
    if (finished->lease_lost) {
      ++leases_lost_;
      a.step = Archiving::Step::idle;
      return;
    }
    archived_ += finished->moved;
    a.withdrawn = finished->withdrawn;
    a.step = Archiving::Step::erase_new;
  }

  // The lease runs out, as if its holder had been paused.
  void lose_lease() { server_.cli({"DEL", lease_key_}); }

  // Ends all that is under way; then everything has to be where it belongs.
  void settle() {
    while (!removings_.empty()) end_removing();
    ++tick_;
    for (Archiving& a : archivers_) {
      for (int i = 0; i < 100 && a.step != Archiving::Step::idle; ++i) advance(a);
    }
    lose_lease();
    poison_.clear();
    clock_.advance(seconds(61));
    Archiving last;
    last.store = stores_[0]->store.get();
    for (int i = 0; i < 400; ++i) advance(last);
    for (std::size_t of = 0; of < kPhones; ++of) {
      for (int i = 0; i < 2; ++i) {
        ++tick_;
        Reading reading;
        reading.of = of;
        reading.started = tick_;
        StoreOnRedis& bed = any();
        TakeQuery query;
        query.queue.connection = phone(of);
        auto answer = bed.get(bed.store->take_hot(query, soon()));
        for (const auto& m : answer.value) reading.seen.push_back(m.position);
        reading.view = std::move(answer.view);
        readings_ = {reading};
        end_reading();
      }
    }
  }

  StoreOnRedis* stores_[2];
  FakeClock& clock_;
  std::mt19937_64 dice_;
  const RedisServer& server_;
  const std::string lease_key_;
  std::uint64_t tick_ = 0;
  std::uint64_t archived_ = 0;
  std::uint64_t leases_lost_ = 0;
  std::vector<Fact> facts_[kPhones];
  Cold cold_[kPhones];
  std::set<MessageId> poison_;  // what the cold tier refuses
  std::deque<Reading> readings_;
  std::deque<Removing> removings_;
  std::deque<Noting> notes_;
  Archiving archivers_[2];
};

}  // namespace

// So that whoever removes it again does not take the copy for one that is still to be removed.
TEST(RedisArchiving, ARemovalNamesWhatWasWithdrawnBefore) {
  RedisServer server;
  FakeClock clock;
  StoreOnRedis bed(server, store_options(), clock);
  NewMessage named = message_to("phone");
  named.id = MessageId("chosen-by-caller");
  named.id_origin = IdOrigin::caller;
  const Connection phone = named.connection;
  bed.get(bed.store->add(std::move(named), StoreOnRedis::soon()));
  const MessageId given = bed.get(bed.store->add(message_to("phone"), StoreOnRedis::soon())).id;
  const auto lease = bed.get(bed.store->lease(0, std::nullopt, seconds(600), StoreOnRedis::soon()));
  ASSERT_TRUE(lease.has_value());
  const auto batch =
      bed.get(bed.store->claim(*lease, phone, clock.now(), 10, 1000, StoreOnRedis::soon()));
  ASSERT_EQ(batch.messages.size(), 2U);

  for (const MessageId& id : {MessageId("chosen-by-caller"), given}) {
    const auto first = bed.get(bed.store->remove_hot(phone, {id}, StoreOnRedis::soon()));
    EXPECT_EQ(first.value.removed.size(), 1U) << id.value;
    EXPECT_FALSE(contains(first.view.withdrawn, id)) << id.value;
    const auto again = bed.get(bed.store->remove_hot(phone, {id}, StoreOnRedis::soon()));
    EXPECT_TRUE(again.value.removed.empty()) << id.value;
    EXPECT_TRUE(contains(again.view.withdrawn, id)) << id.value;
  }
}

TEST(RedisArchiving, EveryMessageIsSeenOnceAtEveryMomentOfItsMove) {
  const std::uint64_t seed = number_from("MPR_SEED", std::random_device{}());
  const std::uint64_t rounds = number_from("MPR_ROUNDS", 20);
  RedisServer server;
  FakeClock clock;
  std::uint64_t archived = 0;
  std::uint64_t leases_lost = 0;
  for (std::uint64_t i = 0; i < rounds && !HasFailure(); ++i) {
    SCOPED_TRACE("MPR_SEED=" + std::to_string(seed + i));
    RedisStore::Options options = store_options("round" + std::to_string(i));
    options.forget_after = std::chrono::milliseconds(5);  // so that queues are forgotten as well
    StoreOnRedis one(server, options, clock);
    StoreOnRedis other(server, options, clock);
    ArchivingHistory history(one, other, clock, seed + i, server,
                             one.store->keys().of_partition("lease", 0));
    history.run(600);
    archived += history.archived();
    leases_lost += history.leases_lost();
  }
  std::cout << "MPR_SEED=" << seed << ": " << archived << " messages archived, " << leases_lost
            << " leases lost\n";
  EXPECT_GT(archived, rounds);
}

}  // namespace mpr::test
