// Several threads on one store. Worth running under ThreadSanitizer.
#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tests/contract/message_store_contract.hpp"

namespace mpr::test {

namespace {

Task<int> add_many(MessageStore& store, std::string queue, std::string prefix, int count) {
  int added = 0;
  for (int i = 0; i < count; ++i) {
    NewMessage message = MessageBuilder(queue, prefix + std::to_string(i), 60).message;
    const auto outcome = co_await store.add(std::move(message), Deadline::never());
    added += outcome.has_value();
  }
  co_return added;
}

// Takes with removal until it has seen `stop` messages of all takers together.
Task<Ids> take_until(MessageStore& store, std::string queue, std::atomic<int>& seen, int stop) {
  Ids mine;
  while (seen.load() < stop) {
    TakeQuery query = take_query(queue, 7);
    query.mode = TakeMode::remove;
    const auto taken = co_await store.take(std::move(query), Deadline::never());
    if (!taken) break;
    for (const auto& message : *taken) mine.push_back(message.id.value);
    seen += static_cast<int>(taken->size());
  }
  co_return mine;
}

}  // namespace

TEST_P(MessageStoreContract, NoTwoTakesReturnTheSameMessage) {
  constexpr int kPerWriter = 400;
  constexpr int kWriters = 2;
  std::atomic<int> seen = 0;
  std::mutex mutex;
  std::multiset<std::string> all;
  bool in_order = true;
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      RunLoop loop;
      loop.run(add_many(*store_, "c", "w" + std::to_string(w) + "-", kPerWriter));
    });
  }
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      RunLoop loop;
      const Ids mine = loop.run(take_until(*store_, "c", seen, kWriters * kPerWriter));
      std::lock_guard lock(mutex);
      std::map<char, int> last;  // of each writer: a taker sees its messages in order
      for (const auto& id : mine) {
        const int number = std::stoi(id.substr(3));
        const auto [place, fresh] = last.try_emplace(id[1], number);
        in_order = in_order && (fresh || number > place->second);
        place->second = number;
      }
      all.insert(mine.begin(), mine.end());
    });
  }
  for (auto& thread : threads) thread.join();

  EXPECT_TRUE(in_order);
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kWriters * kPerWriter));
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size());
  EXPECT_EQ(count("c"), 0U);
}

TEST_P(MessageStoreContract, AnAnswerOnOneThreadIsSeenOnEveryOther) {
  constexpr int kRounds = 200;
  std::atomic<int> added = 0;
  std::atomic<int> removed = 0;
  std::atomic<int> wrong = 0;
  std::thread reader([&] {
    RunLoop loop;
    while (removed.load() < kRounds) {
      const int gone_before = removed.load();
      const int there_before = added.load();
      const auto counted = loop.run(store_->count(all_of("c"), Deadline::never()));
      const int there_after = added.load();
      const int gone_after = removed.load();
      // Answered before the count began: seen. Not yet started when it ended: not seen.
      if (static_cast<int>(*counted) < there_before - gone_after - 1) ++wrong;
      if (static_cast<int>(*counted) > there_after + 1 - gone_before) ++wrong;
    }
  });
  RunLoop other;
  for (int i = 0; i < kRounds; ++i) {
    const std::string id = "m-" + std::to_string(i);
    add(MessageBuilder("c", id));
    ++added;
    std::thread([&] {
      if (*other.run(store_->count(all_of("c"), Deadline::never())) != 1) ++wrong;
    }).join();
    remove("c", {id});
    ++removed;
    std::thread([&] {
      if (*other.run(store_->count(all_of("c"), Deadline::never())) != 0) ++wrong;
    }).join();
  }
  reader.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST_P(MessageStoreContract, OneIdAddedByManyThreadsIsStoredOnce) {
  for (int round = 0; round < 20; ++round) {
    const std::string id = "m-" + std::to_string(round);
    std::atomic<int> fresh = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        RunLoop loop;
        const auto outcome = loop.run(
            store_->add(MessageBuilder("c", id).chosen_by_caller().message, Deadline::never()));
        fresh += !outcome.value().duplicate;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(fresh.load(), 1);
  }
  EXPECT_EQ(count("c"), 20U);
}

TEST_P(MessageStoreContract, ReadersSeeAPrefixOfEachWritersMessages) {
  constexpr int kCount = 300;
  std::atomic<bool> done = false;
  std::atomic<int> wrong = 0;
  std::thread reader([&] {
    RunLoop loop;
    while (!done.load()) {
      const auto taken = loop.run(store_->take(take_query("c"), Deadline::never()));
      std::map<std::string, int> next;
      for (const auto& message : *taken) {
        const std::string writer = message.id.value.substr(0, 3);
        if (std::stoi(message.id.value.substr(3)) != next[writer]++) ++wrong;
      }
    }
  });
  std::vector<std::thread> writers;
  for (int w = 0; w < 2; ++w) {
    writers.emplace_back([&, w] {
      RunLoop loop;
      loop.run(add_many(*store_, "c", "w" + std::to_string(w) + "-", kCount));
    });
  }
  for (auto& writer : writers) writer.join();
  done = true;
  reader.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_EQ(count("c"), 2U * kCount);
}

}  // namespace mpr::test
