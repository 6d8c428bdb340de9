#include "store/mongo/store_state.hpp"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.hpp"
#include "tests/support/log_capture.hpp"

namespace mpr::mongo {
namespace {

struct StoreStateTest : testing::Test {
  std::unique_ptr<Pool> pool = Pool::open("mongodb://127.0.0.1:1/db", "", 1).value();
  test::FakeClock clock;
  Metrics metrics;
  MongoOptions options;
  StoreState state{options, *pool, clock, metrics};
  const Error away{Errc::unavailable, "no primary"};
};

TEST_F(StoreStateTest, TroubleThatComesAndGoesIsNotTwoLinesForEachQuery) {
  const test::LogCapture logs;
  for (int i = 0; i < 100; ++i) {
    state.failed(away);
    EXPECT_FALSE(state.ready().has_value());
    state.healthy();
    EXPECT_TRUE(state.ready().has_value());
  }
  const auto troubles = logs.with("MongoDB cannot be used").size();
  EXPECT_GE(troubles, 1U);
  EXPECT_LT(troubles, 10U);
  EXPECT_EQ(logs.with("MongoDB answers again").size(), troubles);
}

TEST_F(StoreStateTest, AQuestionThatTakesTooLongDoesNotMakeTheDatabaseUnusable) {
  state.failed({Errc::deadline_exceeded, "operation exceeded time limit"});
  EXPECT_TRUE(state.ready().has_value());
}

}  // namespace
}  // namespace mpr::mongo
