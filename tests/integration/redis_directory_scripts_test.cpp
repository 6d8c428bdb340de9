// Each script of the directory on a real server: what it answers and what it leaves.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "store/redis/scripts.hpp"
#include "store/redis/session_record.hpp"
#include "tests/integration/redis_bed.hpp"

namespace mpr::redis {
namespace {

class DirectoryScriptsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new test::RedisServer(); }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override { redis({"flushall"}); }

  static std::string redis(std::vector<std::string> words) {
    return server_->cli(std::move(words));
  }
  Value eval(const Script& script, std::vector<std::string> arguments) {
    const auto value = RunLoop().run(
        client_.eval(script, {"key"}, std::move(arguments), Repeat::safe, Deadline::after(10s)));
    EXPECT_TRUE(value.has_value()) << value.error().error.context;
    if (!value) return {};
    EXPECT_FALSE(value->is_error()) << value->text;
    return *value;
  }
  static std::string record(std::uint64_t epoch, const std::string& gateway = "gw") {
    return encode({Epoch{epoch}, Position{1}, GatewayId(gateway), SessionId("s")});
  }
  Value close(std::uint64_t epoch) {
    return eval(scripts::close_session(), {record_prefix(Epoch{epoch})});
  }
  Value renew(std::uint64_t epoch) {
    return eval(scripts::renew_session(), {record(epoch), std::to_string(epoch), "100"});
  }
  // The entries of a heartbeat's answer, by their names with sign.
  static std::vector<std::string> names(const Value& answer) {
    std::vector<std::string> names;
    for (std::size_t i = 2; i < answer.items.size(); ++i) {
      names.push_back(answer.items[i].items.at(0).text);
    }
    return names;
  }
  static std::string beat_of(const Value& answer, const std::string& name) {
    for (std::size_t i = 2; i < answer.items.size(); ++i) {
      if (answer.items[i].items.at(0).text == name) return answer.items[i].items.at(1).text;
    }
    return "none";
  }

  Metrics metrics_;
  Client client_{options_for(*server_), metrics_};

 private:
  static test::RedisServer* server_;
};

test::RedisServer* DirectoryScriptsTest::server_ = nullptr;

}  // namespace

TEST_F(DirectoryScriptsTest, CloseSessionRemovesTheRecordOfItsEpochOnly) {
  EXPECT_EQ(close(17).integer, 0);
  redis({"set", "key", record(17)});
  EXPECT_EQ(close(16).integer, 0);
  EXPECT_EQ(close(1).integer, 0);
  EXPECT_EQ(close(175).integer, 0);
  EXPECT_EQ(redis({"get", "key"}), record(17));
  EXPECT_EQ(close(17).integer, 1);
  EXPECT_EQ(redis({"exists", "key"}), "0");
}

TEST_F(DirectoryScriptsTest, RenewSessionPutsAForgottenRecordBack) {
  const Value answer = renew(17);
  EXPECT_EQ(answer.items.at(0).integer, 1);
  EXPECT_TRUE(answer.items.size() == 1 || answer.items[1].is_null());
  EXPECT_EQ(redis({"get", "key"}), record(17));
  EXPECT_EQ(redis({"ttl", "key"}), "100");
}

TEST_F(DirectoryScriptsTest, RenewSessionLengthensItsOwnRecord) {
  redis({"set", "key", record(17), "EX", "5"});
  EXPECT_EQ(renew(17).items.at(0).integer, 1);
  EXPECT_EQ(redis({"ttl", "key"}), "100");
}

TEST_F(DirectoryScriptsTest, RenewSessionLeavesANewerRecord) {
  constexpr std::uint64_t kNow = 1'760'000'000'000'000;
  redis({"set", "key", record(kNow + 1, "other"), "EX", "5"});
  const Value answer = renew(kNow);
  EXPECT_EQ(answer.items.at(0).integer, 0);
  EXPECT_EQ(answer.items.at(1).text, record(kNow + 1, "other"));
  EXPECT_EQ(redis({"get", "key"}), record(kNow + 1, "other"));
}

TEST_F(DirectoryScriptsTest, RenewSessionReplacesAnOlderRecordAndSaysWhose) {
  redis({"set", "key", record(16, "other")});
  const Value answer = renew(17);
  EXPECT_EQ(answer.items.at(0).integer, 1);
  EXPECT_EQ(answer.items.at(1).text, record(16, "other"));
  EXPECT_EQ(redis({"get", "key"}), record(17));
}

TEST_F(DirectoryScriptsTest, RenewSessionReplacesWhatIsNoRecord) {
  redis({"set", "key", "something else"});
  EXPECT_EQ(renew(17).items.at(0).integer, 1);
  EXPECT_EQ(redis({"get", "key"}), record(17));
}

TEST_F(DirectoryScriptsTest, HeartbeatTellsWhoIsThereAndWhetherItWas) {
  const Value first = eval(scripts::heartbeat(), {"a", "1000"});
  EXPECT_EQ(first.items.at(1).integer, 0);
  EXPECT_EQ(names(first), std::vector<std::string>{"+a"});
  EXPECT_EQ(first.items.at(0).text.size(), 16U) << "microseconds since 1970";
  const Value second = eval(scripts::heartbeat(), {"b", "1000"});
  EXPECT_EQ(second.items.at(1).integer, 0);
  EXPECT_EQ(names(second), (std::vector<std::string>{"+a", "+b"}));
  const Value third = eval(scripts::heartbeat(), {"a", "1000"});
  EXPECT_EQ(third.items.at(1).integer, 1);
  EXPECT_GE(std::stoull(third.items.at(0).text), std::stoull(first.items.at(0).text));
}

TEST_F(DirectoryScriptsTest, HeartbeatPrunesTheDeadUnlessTheyBeatAgain) {
  eval(scripts::heartbeat(), {"dead", "1000"});
  eval(scripts::heartbeat(), {"alive", "1000"});
  const Value seen = eval(scripts::heartbeat(), {"me", "1000"});
  std::this_thread::sleep_for(2ms);  // a heartbeat is told by its millisecond
  eval(scripts::heartbeat(), {"alive", "1000"});
  const Value answer =
      eval(scripts::heartbeat(), {"me", "1000", "dead", beat_of(seen, "+dead"), "alive",
                                  beat_of(seen, "+alive"), "stranger", "1"});
  auto found = names(answer);
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, (std::vector<std::string>{"+alive", "+me", "-dead"}));
}

TEST_F(DirectoryScriptsTest, HeartbeatRemembersTheDepartedForAWhile) {
  eval(scripts::heartbeat(), {"a", "1000"});
  EXPECT_EQ(eval(scripts::leave(), {"a"}).integer, 1);
  EXPECT_EQ(eval(scripts::leave(), {"a"}).integer, 0);
  auto found = names(eval(scripts::heartbeat(), {"b", "60000"}));
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, (std::vector<std::string>{"+b", "-a"}));
  EXPECT_TRUE(eventually(5s, [&] {
    return names(eval(scripts::heartbeat(), {"b", "5"})) == std::vector<std::string>{"+b"};
  }));
}

TEST_F(DirectoryScriptsTest, HeartbeatOfOneThatLeftBringsItBack) {
  eval(scripts::leave(), {"a"});
  EXPECT_EQ(names(eval(scripts::heartbeat(), {"a", "60000"})), std::vector<std::string>{"+a"});
}

}  // namespace mpr::redis
