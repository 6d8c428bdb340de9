#include "tests/unit/tiers/history.hpp"

#include <algorithm>

namespace mpr::test {

namespace {

constexpr std::size_t kPhones = 2;
constexpr std::size_t kMessageBytes = 10;

MemoryHotStore::Options hot_options() {
  MemoryHotStore::Options options;
  options.partitions = 2;
  // No archiver of a history sleeps longer than that.
  options.ghost_life = std::chrono::hours(10);
  return options;
}

std::string name_of(std::size_t phone) { return "phone-" + std::to_string(phone); }

}  // namespace

History::History(std::uint64_t seed, Kinds kinds)
    : dice_(seed), kinds_(kinds), hot_(hot_options(), clock_, expired_), cold_(clock_, expired_) {
  for (int i = 0; i < 2; ++i) {
    auto gateway = std::make_unique<Gateway>();
    gateway->hot = std::make_unique<SteppedHotStore>(hot_, gateway->steps);
    gateway->cold = std::make_unique<SteppedColdStore>(cold_, gateway->steps);
    gateway->store = std::make_unique<TieredStore>(*gateway->hot, *gateway->cold);
    gateways_.push_back(std::move(gateway));
    archivers_.push_back(make_archiver());
  }
}

History::~History() = default;

Archiver::Options History::random_options() {
  Archiver::Options options;
  options.threshold = std::chrono::seconds(60);
  options.batch_messages = 1 + below(5);
  options.bulks_at_once = 1 + below(2);
  options.partitions_at_once = 1 + below(2);
  options.requests_at_once = 1 + below(3);
  options.refused_again = std::chrono::seconds(90);
  options.sweep_interval = std::chrono::seconds(0);
  options.seed = below(1000);
  return options;
}

std::unique_ptr<History::ArchiverAtWork> History::make_archiver() {
  auto made = std::make_unique<ArchiverAtWork>();
  made->hot = std::make_unique<SteppedHotStore>(hot_, made->steps);
  made->cold = std::make_unique<SteppedColdStore>(cold_, made->steps);
  made->archiver = std::make_unique<Archiver>(
      Archiver::Ports{*made->hot, made->cold.get(), clock_, metrics_}, random_options());
  if (kinds_.faults) {
    made->steps.faults([this](std::string_view) {
      if (!one_in(12)) return Stepper::Fault::none;
      return std::array{Stepper::Fault::refused, Stepper::Fault::unheard,
                        Stepper::Fault::late}[below(3)];
    });
  }
  return made;
}

std::vector<std::string> History::run(std::size_t steps) {
  Executor::Scope scope(loop_);
  for (std::size_t i = 0; i < steps && wrong_.empty(); ++i) one_step();
  finish_clients();
  check_poll();
  finish_archivers();
  check_end();
  for (const Read& read : reads_) judge(read);
  for (const Fact& fact : facts_) {
    if (fact.reported > 1) wrong(fact.id + " was removed more than once");
  }
  return wrong_;
}

void History::one_step() {
  const auto kind = below(100);
  if (kind < 10) {
    if (clients_ < 3) start_client();
  } else if (kind < 14) {
    start_pass();
  } else if (kind < 16) {
    disturb_archiver();
  } else if (kind < 18) {
    finish_clients();
    check_poll();
    if (one_in(2)) pass_time();
  } else {
    let_something_go();
  }
}

// --- actors --------------------------------------------------------------------------------------

void History::start_client() {
  const std::size_t gateway = below(gateways_.size());
  const std::size_t of = below(kPhones);
  const auto kind = below(20);
  if (kind < 8) {
    tasks_.spawn(add(gateway, of));
  } else if (kind < 12) {
    const TakeMode mode = kind == 11 ? TakeMode::remove : TakeMode::keep;
    tasks_.spawn(take(gateway, of, below(5), mode));
  } else if (kind < 15) {
    tasks_.spawn(count(gateway, of));
  } else if (kind == 15) {
    tasks_.spawn(status(gateway, of));
  } else if (kind < 19 || !one_in(4)) {
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < facts_.size(); ++i) {
      const Fact& fact = facts_[i];
      const bool gone = fact.removal_answered != kForever && !one_in(10);
      if (fact.phone == of && fact.add_answered != kForever && !gone && one_in(3)) {
        chosen.push_back(i);
      }
    }
    tasks_.spawn(remove(gateway, of, std::move(chosen)));
  } else {
    tasks_.spawn(remove_all(gateway, of));
  }
  loop_.poll();
}

void History::start_pass() {
  ArchiverAtWork& at_work = *archivers_[below(archivers_.size())];
  if (at_work.passing) return;
  if (kinds_.poison && one_in(4)) cold_.refuse_nothing();
  if (kinds_.poison && !facts_.empty() && one_in(3)) {
    cold_.refuse(MessageId(facts_[below(facts_.size())].id));
  }
  tasks_.spawn(pass(&at_work));
}

bool History::let_something_go() {
  std::vector<Stepper*> able;
  for (auto& gateway : gateways_) {
    if (gateway->steps.waiting()) able.push_back(&gateway->steps);
  }
  for (auto& at_work : archivers_) {
    if (at_work->steps.waiting() && !at_work->frozen) able.push_back(&at_work->steps);
  }
  if (able.empty()) return false;
  Stepper& chosen = *able[below(able.size())];
  chosen.let_go(below(chosen.size()));
  loop_.poll();
  return true;
}

void History::disturb_archiver() {
  auto& at_work = archivers_[below(archivers_.size())];
  if (!one_in(3)) {
    at_work->frozen = !at_work->frozen;
    return;
  }
  at_work->steps.kill();
  while (at_work->steps.waiting()) at_work->steps.let_go(0);
  loop_.poll();
  dead_.push_back(std::exchange(at_work, make_archiver()));
}

// Only while no call is under way: a message must not be archived while a call that is older runs.
void History::pass_time() {
  clock_.advance(std::array<std::chrono::milliseconds, 3>{
      std::chrono::seconds(2), std::chrono::seconds(11), std::chrono::seconds(61)}[below(3)]);
}

void History::finish_clients() {
  while (clients_ > 0) {
    for (auto& gateway : gateways_) {
      if (gateway->steps.waiting()) gateway->steps.let_go(below(gateway->steps.size()));
    }
    loop_.poll();
    if (one_in(3)) let_something_go();
  }
}

void History::finish_archivers() {
  for (auto& at_work : archivers_) at_work->frozen = false;
  while (let_something_go()) {
  }
}

Task<void> History::pass(ArchiverAtWork* at_work) {
  at_work->passing = true;
  const auto report = co_await at_work->archiver->pass(kNever);
  leases_lost_ += report.leases_lost;
  at_work->passing = false;
}

Task<void> History::add(std::size_t gateway, std::size_t to) {
  ++clients_;
  const std::size_t number = facts_.size();
  Fact& fact = facts_.emplace_back();  // a deque: it stays where it is
  fact.id = "m-" + std::to_string(number);
  fact.phone = to;
  fact.add_started = ++tick_;
  NewMessage message = message_to(name_of(to), fact.id, kMessageBytes);
  message.received_at = clock_.now();
  const auto added = co_await gateways_[gateway]->store->add(std::move(message), kNever);
  fact.position = added.value().position;
  fact.add_answered = ++tick_;
  for (const Removal& removal : before_answer_) {
    if (removal.phone == to && removal.position == fact.position) mark_removed(fact, removal);
  }
  --clients_;
}

Task<void> History::take(std::size_t gateway, std::size_t from, std::uint64_t limit,
                         TakeMode mode) {
  ++clients_;
  Read read;
  read.phone = from;
  read.limit = limit;
  read.removes = mode == TakeMode::remove;
  read.started = ++tick_;
  TakeQuery query = taking(limit, name_of(from));
  query.mode = mode;
  // Sometimes bounded in bytes as well: the same number of messages.
  if (limit != 0 && one_in(2)) {
    query.limit = 0;
    query.limit_bytes = limit * kMessageBytes + below(kMessageBytes);
  }
  const auto taken = co_await gateways_[gateway]->store->take(std::move(query), kNever);
  for (const auto& message : taken.value()) read.seen.push_back(message.position);
  if (read.removes) note_removed(from, read.seen, read.started);
  read.ended = ++tick_;
  reads_.push_back(std::move(read));
  --clients_;
}

Task<void> History::count(std::size_t gateway, std::size_t of) {
  ++clients_;
  Read read;
  read.phone = of;
  read.counts = true;
  read.started = ++tick_;
  const auto counted = co_await gateways_[gateway]->store->count(queue_of(name_of(of)), kNever);
  read.counted = counted.value();
  read.ended = ++tick_;
  reads_.push_back(std::move(read));
  --clients_;
}

Task<void> History::status(std::size_t gateway, std::size_t of) {
  ++clients_;
  Read read;
  read.phone = of;
  read.counts = true;
  read.started = ++tick_;
  const auto status = co_await gateways_[gateway]->store->status(queue_of(name_of(of)), kNever);
  read.counted = status.value().message_count;
  if (status->total_bytes != read.counted * kMessageBytes) wrong("status: bytes do not fit");
  read.ended = ++tick_;
  reads_.push_back(std::move(read));
  --clients_;
}

Task<void> History::remove(std::size_t gateway, std::size_t from, std::vector<std::size_t> facts) {
  ++clients_;
  const std::uint64_t started = ++tick_;
  std::vector<MessageId> ids;
  for (const std::size_t i : facts) ids.emplace_back(facts_[i].id);
  const auto outcome =
      co_await gateways_[gateway]->store->remove(phone(name_of(from)), std::move(ids), kNever);
  note_removed(from, outcome.value().removed, started);
  for (const std::size_t i : facts) {
    // Whoever else removed it had begun by now.
    if (facts_[i].removal_started != kForever) continue;
    bool overlaps = clients_ > 1;  // its answer may be still to come
    if (!overlaps) wrong("a removal left " + facts_[i].id + " where it was");
  }
  --clients_;
}

Task<void> History::remove_all(std::size_t gateway, std::size_t from) {
  ++clients_;
  const std::uint64_t started = ++tick_;
  const auto outcome =
      co_await gateways_[gateway]->store->remove_all(phone(name_of(from)), std::nullopt, kNever);
  note_removed(from, outcome.value().removed, started);
  --clients_;
}

// --- judging -------------------------------------------------------------------------------------

History::Fact* History::find(std::size_t phone, Position position) {
  for (Fact& fact : facts_) {
    if (fact.phone == phone && fact.position == position) return &fact;
  }
  return nullptr;
}

void History::note_removed(std::size_t phone, const std::vector<Position>& removed,
                           std::uint64_t started) {
  const std::uint64_t now = ++tick_;
  for (const Position position : removed) {
    const Removal removal{phone, position, started, now};
    if (Fact* const fact = find(phone, position)) {
      mark_removed(*fact, removal);
    } else {
      before_answer_.push_back(removal);
    }
  }
}

void History::mark_removed(Fact& fact, const Removal& removal) {
  ++fact.reported;
  fact.removal_started = std::min(fact.removal_started, removal.started);
  fact.removal_answered = std::min(fact.removal_answered, removal.answered);
}

std::vector<Position> History::pending(std::size_t phone) const {
  std::vector<Position> positions;
  for (const Fact& fact : facts_) {
    if (fact.phone == phone && fact.removal_answered == kForever) {
      positions.push_back(fact.position);
    }
  }
  std::sort(positions.begin(), positions.end());
  return positions;
}

// No call is under way; the archivers stand wherever they stand.
void History::check_poll() {
  ++polls_;
  for (std::size_t i = 0; i < kPhones; ++i) {
    const auto expected = pending(i);
    std::vector<Position> taken;
    for (const auto& message : loop_.run(direct_.take(taking(0, name_of(i)), kNever)).value()) {
      taken.push_back(message.position);
    }
    const auto counted = loop_.run(direct_.count(queue_of(name_of(i)), kNever)).value();
    const auto status = loop_.run(direct_.status(queue_of(name_of(i)), kNever)).value();
    if (taken != expected) {
      wrong("poll: take sees " + std::to_string(taken.size()) + " messages of " +
            std::to_string(expected.size()));
    }
    if (counted != expected.size() || status.message_count != expected.size()) {
      wrong("poll: count " + std::to_string(counted) + ", status " +
            std::to_string(status.message_count) + ", pending " + std::to_string(expected.size()));
    }
  }
}

// Everything old is archived in the end, and nothing else is in the cold tier.
void History::check_end() {
  cold_.refuse_nothing();
  Archiver archiver({hot_, &cold_, clock_, metrics_}, random_options());
  for (int i = 0; i < 3; ++i) {
    clock_.advance(std::chrono::hours(11));
    loop_.run(archiver.pass(kNever));
  }
  check_poll();
  for (std::size_t i = 0; i < kPhones; ++i) {
    const auto expected = pending(i).size();
    const auto hot = loop_.run(hot_.count(queue_of(name_of(i)), kNever)).value();
    const auto cold = loop_.run(cold_.count(queue_of(name_of(i)), kNever)).value();
    if (hot != 0 || cold != expected) {
      wrong("end: hot " + std::to_string(hot) + ", cold " + std::to_string(cold) + ", pending " +
            std::to_string(expected));
    }
  }
}

void History::judge(const Read& read) {
  std::uint64_t must = 0;
  std::uint64_t may = 0;
  const bool limited = read.limit != 0 && read.seen.size() >= read.limit;
  // Others may have been faster with some of what a take wanted to remove.
  const bool partial = read.removes && !read.seen.empty();
  for (const Fact& fact : facts_) {
    if (fact.phone != read.phone) continue;
    const bool seen = std::binary_search(read.seen.begin(), read.seen.end(), fact.position);
    const bool removed_itself = read.removes && seen;
    const bool there =
        fact.add_answered < read.started && (fact.removal_started > read.ended || removed_itself);
    const bool possible =
        fact.add_started < read.ended && (fact.removal_answered > read.started || removed_itself);
    must += there;
    may += possible;
    if (read.counts) continue;
    if (seen && !possible) wrong(fact.id + " was seen, but could not be there");
    const bool in_range =
        (!limited && !partial) || (!read.seen.empty() && fact.position < read.seen.back());
    if (there && !seen && in_range) wrong(fact.id + " was not seen, but was there");
  }
  if (read.counts && (read.counted < must || read.counted > may)) {
    wrong("counted " + std::to_string(read.counted) + ", not " + std::to_string(must) + " to " +
          std::to_string(may));
  }
  if (read.counts) return;
  if (!std::is_sorted(read.seen.begin(), read.seen.end(), std::less_equal<>())) {
    wrong("a take is out of order, or has doubles");
  }
  if (read.limit != 0 && read.seen.size() > read.limit) wrong("a take is over its limit");
}

}  // namespace mpr::test
