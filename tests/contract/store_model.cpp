// Random operations on a store and on a model that is too simple to be wrong; every outcome has to
// agree. MPR_SEED repeats a run, MPR_ROUNDS makes it longer.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "tests/contract/message_store_contract.hpp"

namespace mpr::test {

namespace {

struct ModelMessage {
  NewMessage message;
  Position position;
};

class Model {
 public:
  explicit Model(const FakeClock& clock) : clock_(clock) {}

  std::vector<ModelMessage> select(const TakeQuery& query) {
    std::vector<ModelMessage> out;
    std::uint64_t bytes = 0;
    for (const auto& m : pending(query.queue)) {
      if (m.position <= query.after) continue;
      if (query.limit != 0 && out.size() == query.limit) break;
      bytes += m.message.size();
      const bool over = (query.limit_bytes != 0 && bytes > query.limit_bytes) ||
                        (query.response_bytes != 0 && bytes > query.response_bytes);
      if (over && !out.empty()) break;
      out.push_back(m);
      if (over) break;
    }
    return out;
  }

  std::vector<ModelMessage> pending(const QueueQuery& query) {
    std::vector<ModelMessage> out;
    for (const auto& m : messages_) {
      if (m.message.connection != query.connection) continue;
      if (m.message.expires_at && *m.message.expires_at <= clock_.now()) continue;
      const auto& dids = m.message.recipient_dids;
      if (query.recipient_did &&
          std::find(dids.begin(), dids.end(), *query.recipient_did) == dids.end()) {
        continue;
      }
      if (std::any_of(query.exclude.begin(), query.exclude.end(),
                      [&](const MessageRef& r) { return r.position == m.position; })) {
        continue;
      }
      out.push_back(m);
    }
    return out;
  }

  // The position of the first add if the id is known.
  std::optional<Position> known(const NewMessage& message) {
    for (const auto& m : pending({message.connection, std::nullopt, {}})) {
      if (m.message.id == message.id) return m.position;
    }
    const auto found = removed_.find({message.connection, message.id});
    if (message.id_origin == IdOrigin::caller && found != removed_.end() &&
        found->second.second + kWindow > clock_.now()) {
      return found->second.first;
    }
    return std::nullopt;
  }

  // Of a caller's id: the position of the last message that had it.
  Position last_named(const NewMessage& message) const {
    const auto found = named_.find({message.connection, message.id});
    return found == named_.end() ? Position{} : found->second;
  }

  void add(NewMessage message, Position position) {
    if (message.id_origin == IdOrigin::caller) {
      named_[{message.connection, message.id}] = position;
    }
    messages_.push_back({std::move(message), position});
  }

  void remove(const std::vector<ModelMessage>& gone) {
    for (const auto& g : gone) {
      std::erase_if(messages_, [&](const ModelMessage& m) {
        return m.message.connection == g.message.connection && m.position == g.position;
      });
      if (g.message.id_origin == IdOrigin::caller) {
        removed_[{g.message.connection, g.message.id}] = {g.position, clock_.now()};
      }
    }
  }

  static constexpr std::chrono::seconds kWindow{30};

 private:
  const FakeClock& clock_;
  std::vector<ModelMessage> messages_;
  std::map<std::pair<Connection, MessageId>, std::pair<Position, TimePoint>> removed_;
  std::map<std::pair<Connection, MessageId>, Position> named_;
};

std::uint64_t number_from(const char* variable, std::uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : fallback;
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

NewMessage random_message(Dice& dice, const FakeClock& clock, std::uint64_t number) {
  MessageBuilder b("c" + std::to_string(dice.below(4)), "m-" + std::to_string(number),
                   20 + dice.below(400));
  if (dice.one_in(5)) b.tenant("t");
  if (dice.one_in(3)) {
    b.chosen_by_caller();
    b.message.id = MessageId("caller-" + std::to_string(dice.below(40)));
  }
  for (const char* did : {"did:a", "did:b", "did:c"}) {
    if (dice.one_in(2)) b.dids({did});
  }
  b.message.received_at = clock.now() - std::chrono::milliseconds(dice.below(50));
  if (dice.one_in(5)) b.message.expires_at = clock.now() + std::chrono::seconds(dice.below(20));
  if (dice.one_in(4)) b.token("token-" + std::to_string(number));
  return b.message;
}

QueueQuery random_queue(Dice& dice, Model& model) {
  QueueQuery query = all_of("c" + std::to_string(dice.below(4)));
  if (dice.one_in(5)) query.connection.tenant = TenantId("t");
  for (const auto& m : model.pending(query)) {
    if (dice.one_in(6)) query.exclude.push_back({m.message.id, m.position});
  }
  if (dice.one_in(3)) query.recipient_did = RecipientDid(dice.one_in(2) ? "did:a" : "did:b");
  return query;
}

TakeQuery random_take(Dice& dice, Model& model) {
  TakeQuery query;
  query.queue = random_queue(dice, model);
  if (dice.one_in(2)) query.limit = 1 + dice.below(6);
  if (dice.one_in(3)) query.limit_bytes = 1 + dice.below(1500);
  if (dice.one_in(4)) query.response_bytes = 1 + dice.below(3000);
  const auto pending = model.pending(query.queue);
  if (dice.one_in(4) && !pending.empty()) {
    query.after = pending[dice.below(pending.size())].position;
  }
  if (dice.one_in(3)) query.mode = TakeMode::remove;
  return query;
}

std::vector<Position> positions_of(const std::vector<ModelMessage>& messages) {
  std::vector<Position> positions;
  for (const auto& m : messages) positions.push_back(m.position);
  return positions;
}

QueueStatus status_of(const std::vector<ModelMessage>& messages) {
  QueueStatus status;
  for (const auto& m : messages) {
    const TimePoint at = m.message.received_at;
    status.message_count += 1;
    status.total_bytes += m.message.size();
    status.oldest_received = std::min(status.oldest_received.value_or(at), at);
    status.newest_received = std::max(status.newest_received.value_or(at), at);
  }
  return status;
}

}  // namespace

// One run of random steps over the store of a contract test.
class ModelRun {
 public:
  ModelRun(MessageStoreContract& test, std::uint64_t seed)
      : test_(test), dice_(seed), model_(test.clock_) {}

  void step(std::uint64_t number) {
    const auto kind = dice_.below(100);
    if (kind < 45) {
      step_add(number);
    } else if (kind < 60) {
      step_take();
    } else if (kind < 75) {
      step_remove();
    } else if (kind < 97) {
      step_ask();
    } else {
      test_.clock_.advance(std::chrono::milliseconds(dice_.below(5000)));
    }
  }

  bool wants_restart() { return dice_.one_in(150); }

 private:
  void step_add(std::uint64_t number) {
    const NewMessage message = random_message(dice_, test_.clock_, number);
    const auto known = model_.known(message);
    const auto before = model_.pending({message.connection, std::nullopt, {}});
    const auto outcome = MessageStoreContract::expect(
        test_.loop_.run(test_.store_->add(message, Deadline::never())));
    if (outcome.duplicate && !known && MessageStoreContract::GetParam().ids_may_stay_known) {
      ASSERT_EQ(outcome.position, model_.last_named(message));
      return;
    }
    ASSERT_EQ(outcome.duplicate, known.has_value());
    if (known) {
      ASSERT_EQ(outcome.position, *known);
      return;
    }
    ASSERT_EQ(outcome.previous, before.empty() ? Position{} : before.back().position);
    model_.add(message, outcome.position);
  }

  void step_take() {
    const TakeQuery query = random_take(dice_, model_);
    const auto expected = model_.select(query);
    const auto taken = test_.take(query);
    ASSERT_EQ(taken.size(), expected.size());
    for (std::size_t i = 0; i < taken.size(); ++i) {
      const NewMessage& m = expected[i].message;
      ASSERT_EQ(taken[i].id, m.id);
      ASSERT_EQ(taken[i].position, expected[i].position);
      ASSERT_EQ(taken[i].received_at, m.received_at);
      ASSERT_EQ(taken[i].expires_at, m.expires_at);
      ASSERT_EQ(taken[i].push_token, m.push_token);
      ASSERT_EQ(*taken[i].payload, *m.payload);
    }
    if (query.mode == TakeMode::remove) model_.remove(expected);
  }

  void step_remove() {
    QueueQuery query = random_queue(dice_, model_);
    query.exclude.clear();
    std::vector<ModelMessage> gone;
    Result<RemoveOutcome> outcome;
    if (dice_.one_in(12)) {
      gone = model_.pending(query);
      outcome = test_.loop_.run(
          test_.store_->remove_all(query.connection, query.recipient_did, Deadline::never()));
    } else {
      std::vector<MessageId> ids = {MessageId("nobody")};
      for (const auto& m : model_.pending(query)) {
        if (!dice_.one_in(3)) continue;
        gone.push_back(m);
        ids.push_back(m.message.id);
      }
      outcome = test_.loop_.run(test_.store_->remove(query.connection, ids, Deadline::never()));
    }
    model_.remove(gone);
    ASSERT_TRUE(outcome.has_value());
    std::sort(outcome->removed.begin(), outcome->removed.end());
    ASSERT_EQ(outcome->removed, positions_of(gone));
    ASSERT_EQ(outcome->remaining, model_.pending({query.connection, std::nullopt, {}}).size());
  }

  void step_ask() {
    const QueueQuery query = random_queue(dice_, model_);
    const auto pending = model_.pending(query);
    ASSERT_EQ(test_.count(query), pending.size());
    ASSERT_EQ(test_.status(query), status_of(pending));
  }

  MessageStoreContract& test_;
  Dice dice_;
  Model model_;
};

void MessageStoreContract::agree_with_model(bool with_restarts) {
  const std::uint64_t seed = number_from("MPR_SEED", std::random_device{}());
  SCOPED_TRACE("MPR_SEED=" + std::to_string(seed));
  StoreSettings settings;
  settings.idempotency_window = Model::kWindow;
  open(settings);
  ModelRun run(*this, seed);
  const std::uint64_t steps = number_from("MPR_ROUNDS", 3000);
  for (std::uint64_t i = 0; i < steps && !HasFatalFailure(); ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    run.step(i);
    if (with_restarts && run.wants_restart()) restart();
  }
}

TEST_P(MessageStoreContract, AgreesWithAModelOnRandomOperations) { agree_with_model(false); }

TEST_P(DurableStoreContract, AgreesWithAModelAcrossRestarts) { agree_with_model(true); }

}  // namespace mpr::test
