// Live sessions across gateways: newest wins, stale closes change nothing, no zombies.
#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "tests/contract/live_directory_contract.hpp"

namespace mpr::test {

TEST_P(LiveDirectoryContract, NobodyIsLiveAtFirst) {
  EXPECT_EQ(find(*here_, phone("c")), std::nullopt);
  EXPECT_EQ(here_->self(), GatewayId("gateway-1"));
  EXPECT_TRUE(here_->ready().has_value());
  EXPECT_TRUE(recover(*here_).empty());
}

TEST_P(LiveDirectoryContract, AnOpenSessionIsFoundUntilItIsClosed) {
  const Epoch epoch = open(*here_, phone("c"));
  EXPECT_EQ(find(*here_, phone("c")), (SessionPlace{GatewayId("gateway-1"), epoch}));
  EXPECT_EQ(find(*here_, phone("d")), std::nullopt);
  EXPECT_EQ(find(*here_, phone("c", "tenant")), std::nullopt);
  EXPECT_TRUE(close(*here_, phone("c"), epoch));
  EXPECT_EQ(find(*here_, phone("c")), std::nullopt);
  EXPECT_FALSE(close(*here_, phone("c"), epoch));
}

TEST_P(LiveDirectoryContract, TheNewestSessionWinsAndAStaleCloseChangesNothing) {
  const Epoch first = open(*here_, phone("c"), "one");
  const Epoch second = open(*here_, phone("c"), "two");
  EXPECT_GT(second, first);
  EXPECT_FALSE(close(*here_, phone("c"), first));
  EXPECT_EQ(find(*here_, phone("c")), (SessionPlace{GatewayId("gateway-1"), second}));
  EXPECT_TRUE(close(*here_, phone("c"), second));
}

TEST_P(LiveDirectoryContract, EpochsGrowOverClosedSessions) {
  const Epoch first = open(*here_, phone("c"));
  close(*here_, phone("c"), first);
  const Epoch second = open(*here_, phone("c"));
  EXPECT_GT(second, first);
  EXPECT_FALSE(close(*here_, phone("c"), first));
}

TEST_P(LiveDirectoryContract, OwnSessionsAreReplacedWithoutAWord) {
  here_->listen(listener_);
  open(*here_, phone("c"), "one");
  open(*here_, phone("c"), "two");
  EXPECT_TRUE(listener_.events().empty());
}

TEST_P(LiveDirectoryContract, OwnSessionsHaveNotMovedOn) {
  EXPECT_FALSE(moved_on(*here_, phone("c"), "one"));
  const Epoch epoch = open(*here_, phone("c"), "two");
  EXPECT_FALSE(moved_on(*here_, phone("c"), "one"));
  close(*here_, phone("c"), epoch);
  EXPECT_FALSE(moved_on(*here_, phone("c"), "one"));
}

TEST_P(LiveDirectoryContract, AgreesWithAMapOnRandomOperations) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  std::map<int, Epoch> live;
  std::vector<Epoch> seen = {Epoch{}};
  for (int i = 0; i < 3000; ++i) {
    const int number = static_cast<int>(dice() % 50);
    const Connection c = phone("c" + std::to_string(number));
    const auto known = live.find(number);
    switch (dice() % 4) {
      case 0:
      case 1: {
        const Epoch epoch = open(*here_, c);
        if (known != live.end()) ASSERT_GT(epoch, known->second);
        live[number] = epoch;
        seen.push_back(epoch);
        break;
      }
      case 2: {
        const bool right = dice() % 2 == 0 && known != live.end();
        const Epoch epoch = right ? known->second : seen[dice() % seen.size()];
        const bool expected = known != live.end() && known->second == epoch;
        ASSERT_EQ(close(*here_, c, epoch), expected);
        if (expected) live.erase(number);
        break;
      }
      default: {
        const auto place = find(*here_, c);
        ASSERT_EQ(place.has_value(), known != live.end());
        if (place) ASSERT_EQ(place->epoch, known->second);
      }
    }
  }
}

TEST_P(LiveDirectoryContract, ThreadsThatOpenTheSameSessionGetDifferentEpochs) {
  constexpr int kRounds = 200;
  std::mutex mutex;
  std::vector<Epoch> epochs;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      RunLoop loop;
      for (int i = 0; i < kRounds; ++i) {
        const auto epoch =
            loop.run(here_->open(phone("c"), SessionId("s"), Position{}, Deadline::never()));
        std::lock_guard lock(mutex);
        epochs.push_back(epoch.value());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  std::sort(epochs.begin(), epochs.end());
  EXPECT_EQ(std::adjacent_find(epochs.begin(), epochs.end()), epochs.end());
  EXPECT_EQ(find(*here_, phone("c"))->epoch, epochs.back());
}

TEST_P(LiveDirectoryClusterContract, EveryGatewaySeesEverySession) {
  const auto there = home_->join("gateway-2");
  const Epoch epoch = open(*there, phone("c"));
  EXPECT_EQ(find(*here_, phone("c")), (SessionPlace{GatewayId("gateway-2"), epoch}));
}

TEST_P(LiveDirectoryClusterContract, ASessionWithAnotherIdHasMovedOn) {
  const auto there = home_->join("gateway-2");
  open(*here_, phone("c"), "one");
  EXPECT_FALSE(moved_on(*there, phone("c"), "one"));
  EXPECT_TRUE(moved_on(*there, phone("c"), "two"));
  EXPECT_FALSE(moved_on(*there, phone("d"), "two"));

  const Epoch newer = open(*there, phone("c"), "two");
  EXPECT_TRUE(moved_on(*here_, phone("c"), "one"));
  EXPECT_FALSE(moved_on(*here_, phone("c"), "two"));
  EXPECT_FALSE(moved_on(*there, phone("c"), "one"));

  close(*there, phone("c"), newer);
  EXPECT_FALSE(moved_on(*here_, phone("c"), "one"));
}

TEST_P(LiveDirectoryClusterContract, ASessionWhoseIdIsNotKnownHasNotMovedOn) {
  const auto there = home_->join("gateway-2");
  open(*there, phone("c"), "");
  EXPECT_FALSE(moved_on(*here_, phone("c"), "one"));
}

TEST_P(LiveDirectoryClusterContract, TheOldHolderHearsOfANewerSession) {
  RecordingListener there_listener;
  const auto there = home_->join("gateway-2");
  here_->listen(listener_);
  there->listen(there_listener);
  const Epoch old = open(*here_, phone("c"));
  const Epoch newer = open(*there, phone("c"));

  EXPECT_GT(newer, old);
  EXPECT_EQ(listener_.eventually(1), std::vector<std::string>{"superseded c"});
  EXPECT_EQ(listener_.epochs(), std::vector<Epoch>{newer});
  EXPECT_TRUE(there_listener.events().empty());
  EXPECT_FALSE(close(*here_, phone("c"), old));
  EXPECT_EQ(find(*here_, phone("c")), (SessionPlace{GatewayId("gateway-2"), newer}));
}

TEST_P(LiveDirectoryClusterContract, AnAnnouncementReachesTheHolder) {
  const auto there = home_->join("gateway-2");
  RecordingListener there_listener;
  here_->listen(listener_);
  there->listen(there_listener);
  open(*there, phone("c"));
  const auto place = find(*here_, phone("c"));
  ASSERT_TRUE(place.has_value());
  const auto announced =
      loop_.run(here_->announce(phone("c"), *place, Position{7}, Deadline::never()));
  EXPECT_TRUE(announced.has_value());
  EXPECT_EQ(there_listener.eventually(1), std::vector<std::string>{"announced c at 7"});
  EXPECT_TRUE(listener_.events().empty());
}

TEST_P(LiveDirectoryClusterContract, ABroadcastReachesEveryOtherGatewayWithAllOfTheMessage) {
  const auto second = home_->join("gateway-2");
  const auto third = home_->join("gateway-3");
  RecordingListener second_listener;
  RecordingListener third_listener;
  here_->listen(listener_);
  second->listen(second_listener);
  third->listen(third_listener);
  StoredMessage message;
  message.id = MessageId("m-1");
  message.position = Position{77};
  message.received_at = TimePoint(std::chrono::milliseconds(1'700'000'000'123));
  message.payload = make_payload("{\"a\":1}");

  const auto sent =
      loop_.run(here_->broadcast(phone("c", "t"), Epoch{5}, message, Deadline::never()));

  ASSERT_TRUE(sent.has_value());
  const std::vector<std::string> expected = {"orphan t/c m-1 {\"a\":1}"};
  EXPECT_EQ(second_listener.eventually(1), expected);
  EXPECT_EQ(third_listener.eventually(1), expected);
  EXPECT_EQ(second_listener.epochs(), std::vector<Epoch>{Epoch{5}});
  EXPECT_EQ(second_listener.last_message().position, Position{77});
  EXPECT_EQ(second_listener.last_message().received_at, message.received_at);
  EXPECT_TRUE(listener_.events().empty());
}

TEST_P(LiveDirectoryClusterContract, EveryOtherGatewayHearsOfANewListener) {
  const auto there = home_->join("gateway-2");
  RecordingListener there_listener;
  here_->listen(listener_);
  there->listen(there_listener);
  ASSERT_TRUE(loop_.run(here_->listener_came(TenantId("t"), Deadline::never())).has_value());
  EXPECT_EQ(there_listener.eventually(1), std::vector<std::string>{"listener of t"});
  EXPECT_TRUE(listener_.events().empty());
}

TEST_P(LiveDirectoryClusterContract, RenewingYieldsThePlaceThatStands) {
  const auto there = home_->join("gateway-2");
  const auto renew = [&](Epoch epoch) {
    return loop_
        .run(here_->renew(phone("c"), SessionId("s"), epoch, Position{3}, Deadline::never()))
        .value();
  };
  const Epoch old = open(*here_, phone("c"));
  EXPECT_EQ(renew(old), (SessionPlace{GatewayId("gateway-1"), old}));
  const Epoch newer = open(*there, phone("c"));
  EXPECT_EQ(renew(old), (SessionPlace{GatewayId("gateway-2"), newer}));
  EXPECT_EQ(find(*there, phone("c")), (SessionPlace{GatewayId("gateway-2"), newer}));
}

TEST_P(LiveDirectoryClusterContract, SessionsOfADeadGatewayAreNotLive) {
  auto there = home_->join("gateway-2");
  const Epoch dead = open(*there, phone("c"));
  const SessionPlace place{GatewayId("gateway-2"), dead};
  ASSERT_EQ(find(*here_, phone("c")), place);
  EXPECT_EQ(here_->presence(place), Presence::live);
  there.reset();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (here_->presence(place) == Presence::live && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_NE(here_->presence(place), Presence::live);
  EXPECT_EQ(
      loop_.run(here_->announce(phone("c"), place, Position{1}, Deadline::never())).error().code,
      Errc::unavailable);
  EXPECT_GT(open(*here_, phone("c")), dead);
}

TEST_P(DurableDirectoryContract, SessionsThatWereNotClosedAreRecovered) {
  const Epoch a = open(*here_, phone("a"), "session-a", Position{11});
  const Epoch b = open(*here_, phone("b", "tenant"), "session-b", Position{12});
  const Epoch closed = open(*here_, phone("closed"), "session-c", Position{13});
  open(*here_, phone("again"), "session-d", Position{14});
  const Epoch again = open(*here_, phone("again"), "session-e", Position{15});
  close(*here_, phone("closed"), closed);
  here_.reset();
  here_ = home_->join("gateway-2");

  auto found = recover(*here_);
  std::sort(found.begin(), found.end(),
            [](const auto& x, const auto& y) { return x.session_id < y.session_id; });
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].connection, phone("a"));
  EXPECT_EQ(found[0].session_id, SessionId("session-a"));
  EXPECT_EQ(found[0].epoch, a);
  EXPECT_EQ(found[0].opened_at, Position{11});
  EXPECT_EQ(found[1].connection, phone("b", "tenant"));
  EXPECT_EQ(found[1].epoch, b);
  EXPECT_EQ(found[2].session_id, SessionId("session-e"));
  EXPECT_EQ(found[2].epoch, again);
  EXPECT_EQ(find(*here_, phone("a")), (SessionPlace{GatewayId("gateway-2"), a}))
      << "still live until closed";
  EXPECT_TRUE(close(*here_, phone("a"), a));
  EXPECT_FALSE(close(*here_, phone("closed"), closed));
}

TEST_P(DurableDirectoryContract, EpochsGrowOverRestarts) {
  Epoch last;
  for (int i = 0; i < 4; ++i) {
    const Epoch epoch = open(*here_, phone("c"));
    EXPECT_GT(epoch, last);
    last = epoch;
    close(*here_, phone("c"), epoch);
    here_.reset();
    here_ = home_->join("gateway-1");
    EXPECT_TRUE(recover(*here_).empty());
  }
}

TEST_P(DurableDirectoryContract, ManySessionsAndRestartsAgree) {
  std::map<std::string, Epoch> live;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 3000; ++i) {
      const std::string name = "c" + std::to_string((i * 31) % 700);
      if (i % 3 == 2 && live.contains(name)) {
        ASSERT_TRUE(close(*here_, phone(name), live[name]));
        live.erase(name);
      } else {
        live[name] = open(*here_, phone(name));
      }
    }
    here_.reset();
    here_ = home_->join("gateway-1");
    std::map<std::string, Epoch> recovered;
    for (const auto& session : recover(*here_)) {
      recovered[session.connection.id.value] = session.epoch;
    }
    ASSERT_EQ(recovered, live);
  }
}

}  // namespace mpr::test
