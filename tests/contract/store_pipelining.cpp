// Operations that one thread starts without waiting for answers: their outcomes are those of doing
// them one after the other. MPR_SEED repeats a run.
#include <algorithm>
#include <cstdlib>
#include <random>

#include "tests/contract/message_store_contract.hpp"

namespace mpr::test {

namespace {

// What one operation answered, or has to answer: ids taken, or a number.
struct Answer {
  Ids ids;
  std::uint64_t number = 0;

  bool operator==(const Answer&) const = default;
};

Task<Answer> add_one(MessageStore& store, std::string id) {
  NewMessage message = MessageBuilder("c", id).chosen_by_caller().message;
  const auto added = co_await store.add(std::move(message), Deadline::never());
  co_return Answer{{}, added.value().duplicate};
}

Task<Answer> take_some(MessageStore& store, TakeMode mode, std::uint64_t limit) {
  TakeQuery query = take_query("c", limit);
  query.mode = mode;
  const auto taken = co_await store.take(std::move(query), Deadline::never());
  co_return Answer{ids_of(taken.value()), 0};
}

Task<Answer> remove_some(MessageStore& store, Ids ids) {
  std::vector<MessageId> list;
  for (const auto& id : ids) list.emplace_back(id);
  const auto removed = co_await store.remove(connection("c"), std::move(list), Deadline::never());
  co_return Answer{{std::to_string(removed.value().removed.size())}, removed->remaining};
}

Task<Answer> count_all(MessageStore& store) {
  const auto counted = co_await store.count(all_of("c"), Deadline::never());
  co_return Answer{{}, counted.value()};
}

// Starts operations on a store and does the same, at once, to a list of ids.
class Pipeline {
 public:
  Pipeline(MessageStore& store, std::uint64_t seed) : store_(store), dice_(seed) {}

  void start_one() {
    switch (dice_() % 6) {
      case 0:
      case 1:
        return start_add();
      case 2:
        return start_take(TakeMode::keep);
      case 3:
        return start_take(TakeMode::remove);
      case 4:
        return start_remove();
      default:
        tasks.push_back(count_all(store_));
        expected.push_back({{}, pending_.size()});
    }
  }

  std::vector<Task<Answer>> tasks;
  std::vector<Answer> expected;

 private:
  void start_add() {
    const bool known = dice_() % 4 == 0 && next_ > 0;
    const std::string id = "m-" + std::to_string(known ? dice_() % next_ : next_++);
    tasks.push_back(add_one(store_, id));
    expected.push_back({{}, known});
    if (!known) pending_.push_back(id);
  }
  void start_take(TakeMode mode) {
    const std::uint64_t limit = 1 + dice_() % 4;
    tasks.push_back(take_some(store_, mode, limit));
    const auto end = pending_.begin() +
                     static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(limit, pending_.size()));
    expected.push_back({Ids(pending_.begin(), end), 0});
    if (mode == TakeMode::remove) pending_.erase(pending_.begin(), end);
  }
  void start_remove() {
    Ids ids;
    for (int i = 0; i < 3 && next_ > 0; ++i) ids.push_back("m-" + std::to_string(dice_() % next_));
    tasks.push_back(remove_some(store_, ids));
    const std::size_t before = pending_.size();
    std::erase_if(pending_, [&ids](const std::string& id) {
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    });
    expected.push_back({{std::to_string(before - pending_.size())}, pending_.size()});
  }

  MessageStore& store_;
  std::mt19937_64 dice_;
  Ids pending_;
  std::uint64_t next_ = 0;
};

}  // namespace

TEST_P(MessageStoreContract, OperationsStartedTogetherAnswerAsIfDoneOneByOne) {
  const char* const fixed = std::getenv("MPR_SEED");
  const std::uint64_t seed = fixed ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("MPR_SEED=" + std::to_string(seed));
  Pipeline pipeline(*store_, seed);
  std::mt19937_64 dice(seed + 1);
  for (int round = 0; round < 150; ++round) {
    for (std::uint64_t n = 1 + dice() % 16; n > 0; --n) pipeline.start_one();
    const auto answers = loop_.run(when_all(std::move(pipeline.tasks)));
    for (std::size_t i = 0; i < answers.size(); ++i) {
      ASSERT_EQ(answers[i].ids, pipeline.expected[i].ids) << "round " << round << " step " << i;
      ASSERT_EQ(answers[i].number, pipeline.expected[i].number)
          << "round " << round << " step " << i;
    }
    pipeline.tasks.clear();
    pipeline.expected.clear();
  }
}

}  // namespace mpr::test
