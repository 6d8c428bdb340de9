// The directory on a real Redis server: gateways that are killed, paused and cut off, and what
// their sessions come to.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "tests/integration/directory_bed.hpp"
#include "tests/support/log_capture.hpp"

namespace mpr::test {
namespace {

using std::chrono::steady_clock;

class RedisDirectoryTest : public testing::Test {
 protected:
  std::unique_ptr<Gateway> join(const std::string& gateway) { return join(quick(gateway)); }
  std::unique_ptr<Gateway> join(RedisDirectory::Options options) {
    return std::make_unique<Gateway>(client_, keys_, std::move(options));
  }
  // Waits until the first gaps, which every start brings, are over.
  static void settle(Gateway& gateway) {
    std::size_t last = gateway.listener.gaps();
    auto since = steady_clock::now();
    eventually(5s, [&] {
      if (std::exchange(last, gateway.listener.gaps()) != last) since = steady_clock::now();
      return steady_clock::now() - since > 300ms;
    });
  }
  static bool gap_after(Gateway& gateway, std::size_t before) {
    return eventually(10s, [&] { return gateway.listener.gaps() > before; });
  }

  RedisServer server_;
  redis::ClientOptions client_ = redis::options_for(server_);
  redis::Keys keys_{"mpr", 16};
};

Task<bool> a_turn() { co_return true; }

}  // namespace

// --- what the servers lose --------------------------------------------------------------------

TEST_F(RedisDirectoryTest, AnInstallationThatIsGoneIsWrittenBackAndThatIsSaid) {
  const LogCapture logs;
  const std::string kept = "1\n16";
  server_.cli({"HSET", "mpr:meta", "format", "1", "partitions", "16"});
  const auto here = join("here");
  server_.cli({"FLUSHALL"});
  EXPECT_TRUE(eventually(
      20s, [&] { return server_.cli({"HMGET", "mpr:meta", "format", "partitions"}) == kept; }));
  EXPECT_TRUE(eventually(20s, [&] { return logs.with("Redis has lost its data").size() == 1; }));
}

// --- death ------------------------------------------------------------------------------------

TEST_F(RedisDirectoryTest, SessionsOfAKilledGatewayAreLostWithin20SecondsAndNotBeforeTheTtl) {
  RedisDirectory::Options usual;
  usual.self = GatewayId("here");
  const auto here = join(usual);
  usual.self = GatewayId("there");
  GatewayProcess there(client_, "mpr", usual);
  // Judgement begins a whole TTL after the start.
  std::this_thread::sleep_for(12s);
  const SessionPlace place{GatewayId("there"), there.open("c")};
  ASSERT_EQ(here->find("c"), place);
  const std::size_t gaps = here->listener.gaps();

  there.kill9();
  const auto killed = steady_clock::now();
  ASSERT_TRUE(eventually(20s, [&] { return here->directory.presence(place) != Presence::live; }));
  const auto took = steady_clock::now() - killed;

  EXPECT_GE(took, 12s - usual.heartbeat_interval) << "its last heartbeat came before its death";
  EXPECT_LE(took, 20s);
  EXPECT_EQ(here->directory.presence(place), Presence::lost);
  EXPECT_EQ(here->find("c"), place) << "its mediator may be back, and take it on";
  EXPECT_TRUE(gap_after(*here, gaps)) << "it may have stored without announcing";
  EXPECT_TRUE(eventually(15s, [&] { return here->directory.presence(place) == Presence::gone; }));
  EXPECT_EQ(here->find("c"), std::nullopt);
  RecordProperty("milliseconds", static_cast<int>(took / 1ms));
}

TEST_F(RedisDirectoryTest, AGatewayThatWasPausedForLongLooksForWhatItMissedAndLivesAgain) {
  const auto here = join("here");
  GatewayProcess there(client_, "mpr", quick("there"));
  const SessionPlace place{GatewayId("there"), there.open("c")};
  ASSERT_TRUE(eventually(5s, [&] { return here->find("c") == place; }));
  std::this_thread::sleep_for(1800ms);  // judgement begins

  there.signal(SIGSTOP);
  ASSERT_TRUE(eventually(10s, [&] { return here->directory.presence(place) != Presence::live; }));
  const std::size_t gaps = there.count("gap");
  there.signal(SIGCONT);

  EXPECT_TRUE(there.says("gap", gaps + 1));
  EXPECT_TRUE(eventually(5s, [&] { return here->directory.presence(place) == Presence::live; }));
  EXPECT_EQ(here->find("c"), place);
}

// Until its next heartbeat the other gateway takes it for dead, and announces nothing to it.
TEST_F(RedisDirectoryTest, AGatewayThatReturnsLooksAgainWhenTheOthersKnowThatItLives) {
  auto slow = quick("here");
  slow.heartbeat_interval = 700ms;
  const auto here = join(slow);
  GatewayProcess there(client_, "mpr", quick("there"));
  const SessionPlace place{GatewayId("there"), there.open("c")};
  ASSERT_TRUE(eventually(5s, [&] { return here->find("c") == place; }));
  std::this_thread::sleep_for(1800ms);  // judgement begins

  for (int round = 0; round < 2; ++round) {
    there.signal(SIGSTOP);
    ASSERT_TRUE(eventually(10s, [&] { return here->directory.presence(place) != Presence::live; }));
    std::size_t before = there.count("gap");
    there.signal(SIGCONT);
    ASSERT_TRUE(there.says("gap", before + 1));
    ASSERT_TRUE(eventually(5s, [&] {
      const std::size_t gaps = there.count("gap");
      if (here->directory.presence(place) == Presence::live) return true;
      before = gaps;
      return false;
    }));
    EXPECT_TRUE(there.says("gap", before + 1)) << "in round " << round;
  }
}

TEST_F(RedisDirectoryTest, AnOutageOfRedisLongerThanTheTtlKillsNobody) {
  const auto here = join("here");
  const auto there = join("there");
  const SessionPlace place{GatewayId("there"), there->open("c")};
  std::this_thread::sleep_for(2s);
  server_.pause();
  const auto end = steady_clock::now() + 4s;
  while (steady_clock::now() < end) {
    ASSERT_EQ(here->directory.presence(place), Presence::live);
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_FALSE(here->directory.ready().has_value());
  server_.resume();
  const auto calm = steady_clock::now() + 3s;
  while (steady_clock::now() < calm) {
    ASSERT_EQ(here->directory.presence(place), Presence::live);
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(here->find("c"), place);
  EXPECT_TRUE(here->directory.ready().has_value());
}

TEST_F(RedisDirectoryTest, WhatRedisForgotIsThereAgainAfterARenewal) {
  const auto here = join("here");
  const auto there = join("there");
  const Epoch epoch = there->open("c");
  const SessionPlace place{GatewayId("there"), epoch};
  settle(*there);
  const std::size_t gaps = there->listener.gaps();
  server_.kill9();
  server_.start();  // nothing was written to disk

  EXPECT_TRUE(gap_after(*there, gaps));
  const auto renewed = there->renew("c", epoch);
  ASSERT_TRUE(renewed.has_value()) << renewed.error().context;
  EXPECT_EQ(*renewed, place);
  EXPECT_EQ(here->find("c"), place);
  EXPECT_GT(here->open("c"), epoch);
  const auto calm = steady_clock::now() + 3s;
  while (steady_clock::now() < calm) {
    ASSERT_EQ(here->directory.presence(place), Presence::live);
    std::this_thread::sleep_for(20ms);
  }
}

TEST_F(RedisDirectoryTest, AFullRedisKillsNobody) {
  const auto here = join("here");
  const auto there = join("there");
  const SessionPlace place{GatewayId("there"), there->open("c")};
  ASSERT_EQ(server_.cli({"config", "set", "maxmemory", "1"}), "OK");
  const Epoch opened = here->open("d");
  EXPECT_TRUE(here->renew("d", opened).has_value());
  EXPECT_EQ(there->find("d"), (SessionPlace{GatewayId("here"), opened}));
  EXPECT_TRUE(
      RunLoop().run(here->directory.close(phone("d"), opened, Deadline::after(5s))).value());
  const auto end = steady_clock::now() + 4s;
  while (steady_clock::now() < end) {
    ASSERT_EQ(here->directory.presence(place), Presence::live);
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_TRUE(eventually(5s, [&] { return here->directory.ready().has_value(); }));
}

// --- what is said -----------------------------------------------------------------------------

TEST_F(RedisDirectoryTest, WhoLosesItsSubscriptionHearsOfAGap) {
  const auto here = join("here");
  settle(*here);
  for (int i = 0; i < 3; ++i) {
    const std::size_t gaps = here->listener.gaps();
    server_.cli({"client", "kill", "type", "pubsub"});
    ASSERT_TRUE(gap_after(*here, gaps));
    settle(*here);
  }
}

TEST_F(RedisDirectoryTest, AnAnnouncementThatIsLostIsFollowedByAGap) {
  const auto here = join("here");
  const auto there = join("there");
  const SessionPlace place{GatewayId("there"), there->open("c")};
  for (std::uint64_t i = 1; i <= 500; ++i) {
    const std::size_t gaps = there->listener.gaps();
    if (i % 25 == 0) server_.cli({"client", "kill", "type", "pubsub"});
    const auto announced = here->announce("c", place, i);
    const std::string event = "announced c at " + std::to_string(i);
    ASSERT_TRUE(eventually(10s, [&] {
      if (there->listener.gaps() > gaps) return true;
      const auto events = there->listener.events();
      return !announced || std::find(events.begin(), events.end(), event) != events.end();
    })) << i;
  }
}

TEST_F(RedisDirectoryTest, ANumberThatNeverCameIsMissedByTheBeacon) {
  const auto here = join("here");
  const auto there = join("there");
  settle(*there);
  const std::size_t gaps = there->listener.gaps();
  // Nobody else can lose a message on a connection that stands: a stranger's beacon does as if.
  redis::Client& client = here->directory.client();
  const std::string beacon =
      redis::encode({redis::Speaker{GatewayId("stranger"), 5}, redis::Beacon{3}});
  ASSERT_TRUE(RunLoop()
                  .run(client.publish(keys_.gateway_channel(GatewayId("there")), beacon,
                                      Deadline::after(5s)))
                  .has_value());
  EXPECT_TRUE(gap_after(*there, gaps));
}

TEST_F(RedisDirectoryTest, TrafficWithoutLossesMakesNoGaps) {
  const auto here = join("here");
  auto patient = quick("there");
  patient.number_patience = 2s;
  patient.dead_after = 12s;  // a pause of the machine is an outage after half of that
  const auto there = join(patient);
  const SessionPlace place{GatewayId("there"), there->open("c")};
  settle(*there);
  settle(*here);
  const std::size_t gaps = there->listener.gaps();
  // Several threads, whose announcements overtake each other.
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      redis::TestThread io;
      for (std::uint64_t i = 0; i < 1000; ++i) {
        const auto said = io.run<Result<void>>([&] {
          return here->directory.announce(phone("c"), place, Position{t * 1000 + i + 1},
                                          Deadline::after(10s));
        });
        ASSERT_TRUE(said.has_value()) << said.error().context;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(there->listener.eventually(3000).size(), 3000U);
  std::this_thread::sleep_for(3s);  // beacons come, and patience ends
  EXPECT_EQ(there->listener.gaps(), gaps);
  EXPECT_EQ(here->directory.metrics().announcements.value(), 3000U);
}

TEST_F(RedisDirectoryTest, LargeMessagesAreNotBroadcast) {
  const auto here = join("here");
  const auto there = join("there");
  StoredMessage message;
  message.id = MessageId("large");
  message.payload = make_payload(std::string(RedisDirectory::kMostBroadcastBytes + 1, 'x'));
  const auto send = [&] {
    return RunLoop().run(
        here->directory.broadcast(phone("c"), Epoch{1}, message, Deadline::after(10s)));
  };
  EXPECT_TRUE(send().has_value());
  message.id = MessageId("small");
  message.payload = make_payload("{}");
  EXPECT_TRUE(send().has_value());
  EXPECT_EQ(there->listener.eventually(1), std::vector<std::string>{"orphan /c small {}"});
}

TEST_F(RedisDirectoryTest, AGatewayThatLeavesIsLostAtOnceAndOthersLookForWhatItLeft) {
  const auto patient = [](const char* gateway) {
    auto options = quick(gateway);
    options.orphan_grace = 30s;
    return options;
  };
  const auto here = join(patient("here"));
  auto there = join(patient("there"));
  const SessionPlace place{GatewayId("there"), there->open("c")};
  settle(*here);
  const std::size_t gaps = here->listener.gaps();
  there->directory.directory().leave();
  EXPECT_TRUE(eventually(1s, [&] { return here->directory.presence(place) == Presence::lost; }));
  EXPECT_TRUE(gap_after(*here, gaps));
  there.reset();
  const auto late = join(patient("late"));
  EXPECT_EQ(late->directory.presence(place), Presence::lost) << "known to those who come after";
}

// --- sessions ---------------------------------------------------------------------------------

TEST_F(RedisDirectoryTest, OfTwoGatewaysThatRaceOneWinsAndTheLoserHearsOfIt) {
  const auto here = join("here");
  const auto there = join("there");
  constexpr int kSessions = 1000;
  constexpr int kOpensOfEach = 3;
  const auto race = [](Gateway& gateway, std::vector<std::vector<Epoch>>& epochs) {
    RunLoop loop;
    for (int i = 0; i < kSessions; ++i) {
      for (int n = 0; n < kOpensOfEach; ++n) {
        const auto epoch = loop.run(gateway.directory.open(phone(std::to_string(i)), SessionId("s"),
                                                           Position{}, Deadline::after(20s)));
        ASSERT_TRUE(epoch.has_value()) << epoch.error().context;
        epochs[static_cast<std::size_t>(i)].push_back(*epoch);
      }
    }
  };
  std::vector<std::vector<Epoch>> epochs_here(kSessions);
  std::vector<std::vector<Epoch>> epochs_there(kSessions);
  std::thread other([&] { race(*there, epochs_there); });
  race(*here, epochs_here);
  other.join();

  int heard_late = 0;
  for (std::size_t i = 0; i < kSessions; ++i) {
    auto all = epochs_here[i];
    all.insert(all.end(), epochs_there[i].begin(), epochs_there[i].end());
    std::sort(all.begin(), all.end());
    ASSERT_EQ(std::adjacent_find(all.begin(), all.end()), all.end()) << "epochs are unique";
    ASSERT_TRUE(std::is_sorted(epochs_here[i].begin(), epochs_here[i].end()));
    ASSERT_TRUE(std::is_sorted(epochs_there[i].begin(), epochs_there[i].end()));
    const std::string id = std::to_string(i);
    const bool here_wins = epochs_here[i].back() == all.back();
    const SessionPlace winner{GatewayId(here_wins ? "here" : "there"), all.back()};
    ASSERT_EQ(here->find(id), winner);
    ASSERT_TRUE((here_wins ? there : here)->hears("superseded " + id));
    ++heard_late;
  }
  EXPECT_EQ(heard_late, kSessions);
}

TEST_F(RedisDirectoryTest, AnOpenWithoutAnAnswerIsTakenBack) {
  const auto here = join("here");
  const auto there = join("there");
  const Epoch before = there->open("c");
  server_.pause();
  const auto opened = RunLoop().run(
      here->directory.open(phone("c"), SessionId("s"), Position{}, Deadline::after(300ms)));
  ASSERT_FALSE(opened.has_value());
  server_.resume();
  // It stood, and nobody holds it: whoever was there before has lost to it, and both are gone.
  EXPECT_TRUE(there->hears("superseded c"));
  EXPECT_TRUE(eventually(10s, [&] { return here->find("c") == std::nullopt; }));
  EXPECT_GT(here->open("c"), before);
}

TEST_F(RedisDirectoryTest, ACloseDuringARenewalHasTheLastWord) {
  const auto here = join("here");
  redis::TestThread renewing;
  redis::TestThread closing;
  for (int i = 0; i < 300; ++i) {
    const std::string id = std::to_string(i);
    const Epoch epoch = here->open(id);
    auto renewed = renewing.start<Result<SessionPlace>>([&] {
      return here->directory.renew(phone(id), SessionId("s"), epoch, Position{},
                                   Deadline::after(10s));
    });
    renewing.run<bool>([] { return a_turn(); });  // the renewal is under way
    auto closed = closing.start<Result<bool>>(
        [&] { return here->directory.close(phone(id), epoch, Deadline::after(10s)); });
    ASSERT_TRUE(renewed.get().has_value());
    ASSERT_TRUE(closed.get().has_value());
  }
  EXPECT_TRUE(eventually(5s, [&] { return server_.cli({"keys", "*:s:*"}).empty(); }))
      << server_.cli({"keys", "*:s:*"});
}

TEST_F(RedisDirectoryTest, ASessionCostsOneCommandAndLittleMemory) {
  const auto here = join("here");
  const auto used = [&] {
    const std::string text = server_.cli({"info", "memory"});
    return std::stoull(text.substr(text.find("used_memory_dataset:") + 20));
  };
  constexpr std::uint64_t kSessions = 100'000;
  server_.cli({"config", "resetstat"});
  const std::string name(36 - 6, 'c');  // ids as long as a UUID
  const auto before = used();
  const auto begun = steady_clock::now();
  redis::TestThread io;
  for (std::uint64_t first = 0; first < kSessions; first += 1000) {
    std::vector<Task<Result<Epoch>>> tasks;
    for (std::uint64_t i = first; i < first + 1000; ++i) {
      std::string id = std::to_string(i);
      id.insert(0, 6 - id.size(), '0');
      tasks.push_back(here->directory.open(phone(name + id), SessionId(std::string(36, 's')),
                                           Position{1'760'000'000'000ULL << 20U},
                                           Deadline::after(20s)));
    }
    const auto opened =
        io.run<std::vector<Result<Epoch>>>([&tasks] { return when_all(std::move(tasks)); });
    for (const auto& epoch : opened) ASSERT_TRUE(epoch.has_value()) << epoch.error().context;
  }
  const auto took = steady_clock::now() - begun;
  const auto memory = server_.cli({"info", "memory"});
  const auto total = [&](const std::string& field) {
    return std::stoull(memory.substr(memory.find(field) + field.size()));
  };
  const auto data = (used() - before) / kSessions;
  const auto all = (total("\nused_memory:")) / kSessions;
  const std::string stats = server_.cli({"info", "commandstats"});
  EXPECT_NE(stats.find("cmdstat_set:calls=100000,"), std::string::npos) << stats;
  EXPECT_EQ(stats.find("cmdstat_get:"), std::string::npos) << stats;
  EXPECT_LT(all, 500U);
  RecordProperty("dataset_bytes", static_cast<int>(data));
  RecordProperty("used_bytes", static_cast<int>(all));
  std::cout << "a session record: " << data << " bytes of data, " << all << " with tables; "
            << kSessions * 1000 / static_cast<std::uint64_t>(took / 1ms) << " opens/s\n";
}

}  // namespace mpr::test
