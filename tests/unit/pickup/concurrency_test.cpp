// Several threads against one service: what must hold whatever the interleaving. Most useful under
// ThreadSanitizer.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/unit/pickup/gateway_bed.hpp"

namespace mpr {
namespace {

using test::Backend;
using test::GatewayBed;
using Payloads = std::vector<std::string>;

constexpr int kThreads = 4;
constexpr int kMessages = 500;

template <class Work>
void on_threads(Work work) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
  for (auto& thread : threads) thread.join();
}

TEST(PickupConcurrency, LiveEventsComeInTheOrderOfTheQueue) {
  Backend backend;
  GatewayBed gateway(backend);
  gateway.open("c", 1);
  std::atomic<int> acknowledged = 0;
  on_threads([&](int thread) {
    RunLoop loop;
    for (int i = 0; i < kMessages; ++i) {
      const std::string payload = std::to_string(thread) + ":" + std::to_string(i);
      const auto added = loop.run(gateway.service.add_message(
          GatewayBed::caller(99), GatewayBed::message("c", payload), {}));
      ASSERT_TRUE(added);
      // Acknowledge a little later what came, so that the in-flight bound is met now and then.
      if (i % 7 == 0) {
        loop.run(gateway.service.acknowledge(GatewayBed::caller(1),
                                             {ConnectionId("c"), {added->id}}, {}));
        ++acknowledged;
      }
    }
  });
  // Room for what waits behind the in-flight bound.
  std::set<std::string> seen;
  for (int round = 0; round < 10; ++round) {
    gateway.pass(std::chrono::seconds(20));
    gateway.pass(std::chrono::seconds(2));
  }
  const Payloads events = gateway.sink.received({1});
  std::vector<int> last(kThreads, -1);
  for (const std::string& event : events) {
    const std::size_t colon = event.find(':');
    const auto thread = static_cast<std::size_t>(std::stoi(event.substr(0, colon)));
    const int number = std::stoi(event.substr(colon + 1));
    EXPECT_GT(number, last[thread]) << "of one sender, events come in the order of its adds";
    last[thread] = number;
    EXPECT_TRUE(seen.insert(event).second) << event << " came twice";
  }
  // What was acknowledged before its event was sent needs no event any more.
  EXPECT_GE(static_cast<int>(events.size()) + acknowledged, kThreads * kMessages);
  EXPECT_EQ(gateway.count("c", 2), static_cast<std::uint64_t>(kThreads * kMessages - acknowledged));
}

TEST(PickupConcurrency, NoTwoDeletingTakesReturnTheSameMessage) {
  Backend backend;
  GatewayBed gateway(backend);
  for (int i = 0; i < kThreads * kMessages; ++i) gateway.add("c", std::to_string(i));
  std::mutex mutex;
  std::multiset<std::string> taken;
  on_threads([&](int) {
    RunLoop loop;
    for (;;) {
      TakeRequest request;
      request.connection_id = ConnectionId("c");
      request.limit = 7;
      request.mode = TakeMode::remove;
      const auto messages =
          loop.run(gateway.service.take(GatewayBed::caller(1), std::move(request), {}));
      ASSERT_TRUE(messages);
      if (messages->empty()) return;
      std::lock_guard lock(mutex);
      for (const auto& m : *messages) taken.insert(*m.payload);
    }
  });
  EXPECT_EQ(taken.size(), static_cast<std::size_t>(kThreads * kMessages));
  EXPECT_EQ(std::set<std::string>(taken.begin(), taken.end()).size(), taken.size());
}

TEST(PickupConcurrency, ASessionOpenedDuringAddsMissesNone) {
  for (int round = 0; round < 50; ++round) {
    Backend backend;
    GatewayBed gateway(backend);
    std::atomic<bool> opened = false;
    std::vector<std::string> after;  // written by the adding thread only
    std::thread adder([&] {
      RunLoop loop;
      for (int i = 0; i < 100; ++i) {
        const bool was_open = opened;
        const std::string payload = std::to_string(i);
        ASSERT_TRUE(loop.run(gateway.service.add_message(GatewayBed::caller(99),
                                                         GatewayBed::message("c", payload), {})));
        if (was_open) after.push_back(payload);
      }
    });
    gateway.open("c", 1);
    opened = true;
    adder.join();
    const Payloads events = gateway.sink.received({1});
    EXPECT_TRUE(std::is_sorted(events.begin(), events.end(), [](const auto& a, const auto& b) {
      return std::stoi(a) < std::stoi(b);
    }));
    for (const std::string& payload : after) {
      EXPECT_EQ(std::count(events.begin(), events.end(), payload), 1) << payload;
    }
  }
}

}  // namespace
}  // namespace mpr
