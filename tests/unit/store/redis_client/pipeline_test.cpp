#include "store/redis/pipeline.hpp"

#include <gtest/gtest.h>

namespace mpr::redis {
namespace {

Value number(std::int64_t n) {
  return {.kind = Value::Kind::integer, .integer = n, .text = {}, .items = {}};
}

Operation operation(int commands, Durability durability = Durability::primary) {
  Request request("k");
  for (int i = 0; i < commands; ++i) request.add({"INCR", "k"});
  request.durability(durability);
  return Operation(std::move(request));
}

TEST(Pipeline, GivesAnswersToWhatWasSentInOrder) {
  Pipeline pipeline;
  Operation first = operation(2);
  Operation second = operation(1);
  std::string out;
  pipeline.send(first, out, 100);
  pipeline.send_ping(out);
  pipeline.send(second, out, 100 + out.size());
  EXPECT_EQ(first.begin, 100u);
  EXPECT_GT(second.begin, 100u);

  std::vector<Pipeline::Done> done;
  EXPECT_TRUE(pipeline.on_value(number(1), done));
  EXPECT_TRUE(done.empty());
  EXPECT_TRUE(pipeline.on_value(number(2), done));
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].operation, &first);
  EXPECT_TRUE(pipeline.on_value(number(0), done));  // the ping
  EXPECT_TRUE(pipeline.on_value(number(3), done));
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[1].operation, &second);
  EXPECT_TRUE(pipeline.empty());
  EXPECT_FALSE(pipeline.on_value(number(4), done));
  EXPECT_EQ(first.values[1].integer, 2);
  EXPECT_EQ(second.values[0].integer, 3);
}

TEST(Pipeline, HoldsReplicatedOperationsUntilTheyAreConfirmed) {
  Pipeline pipeline;
  Operation replicated = operation(1, Durability::replicated);
  Operation plain = operation(1);
  Operation later = operation(1, Durability::replicated);
  std::string out;
  pipeline.send(replicated, out, 0);
  pipeline.send(plain, out, 0);
  ASSERT_TRUE(pipeline.wants_wait());
  pipeline.send_wait(out, 250);
  EXPECT_FALSE(pipeline.wants_wait());
  EXPECT_TRUE(out.ends_with("*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$3\r\n250\r\n"));
  pipeline.send(later, out, 0);
  pipeline.send_wait(out, 250);

  std::vector<Pipeline::Done> done;
  pipeline.on_value(number(1), done);
  EXPECT_TRUE(done.empty());
  pipeline.on_value(number(1), done);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].operation, &plain);
  pipeline.on_value(number(2), done);  // WAIT
  ASSERT_EQ(done.size(), 2u);
  EXPECT_EQ(done[1].operation, &replicated);
  EXPECT_EQ(done[1].replicas, 2);
  pipeline.on_value(number(1), done);
  pipeline.on_value(number(0), done);  // the second WAIT
  ASSERT_EQ(done.size(), 3u);
  EXPECT_EQ(done[2].operation, &later);
  EXPECT_EQ(done[2].replicas, 0);
}

TEST(Pipeline, AsksForReplicasAFewTimesAtOnceAndOnceWhileTheyAreInDoubt) {
  Pipeline pipeline;
  std::vector<Operation> operations;
  for (int i = 0; i < 5; ++i) operations.push_back(operation(1, Durability::replicated));
  std::string out;
  std::vector<Pipeline::Done> done;
  for (int i = 0; i < 3; ++i) {
    pipeline.send(operations[static_cast<std::size_t>(i)], out, 0);
    EXPECT_EQ(pipeline.wants_wait(), i < 2);
    if (i < 2) pipeline.send_wait(out, 250);
  }
  pipeline.on_value(number(1), done);
  pipeline.on_value(number(0), done);  // WAIT: nobody
  EXPECT_TRUE(pipeline.replicas_in_doubt());
  EXPECT_FALSE(pipeline.wants_wait()) << "one is under way";
  pipeline.on_value(number(2), done);
  pipeline.on_value(number(0), done);
  EXPECT_EQ(done.size(), 2u);
  EXPECT_TRUE(pipeline.wants_wait());
  pipeline.send_wait(out, 250);
  pipeline.on_value(number(3), done);
  EXPECT_FALSE(pipeline.empty());
  pipeline.on_value(number(1), done);
  EXPECT_FALSE(pipeline.replicas_in_doubt());
  EXPECT_TRUE(pipeline.empty());
  ASSERT_EQ(done.size(), 3u);
  EXPECT_EQ(done[2].replicas, 1);
}

TEST(Pipeline, HandsOverEverythingWhenTheConnectionBreaks) {
  Pipeline pipeline;
  Operation unconfirmed = operation(1, Durability::replicated);
  Operation half = operation(2);
  Operation last = operation(1);
  std::string out;
  pipeline.send(unconfirmed, out, 0);
  pipeline.send(half, out, 0);
  pipeline.send(last, out, 0);
  pipeline.send_wait(out, 250);
  std::vector<Pipeline::Done> done;
  pipeline.on_value(number(1), done);
  pipeline.on_value(number(1), done);
  EXPECT_TRUE(done.empty());
  EXPECT_EQ(pipeline.take_all(), (std::vector<Operation*>{&unconfirmed, &half, &last}));
  EXPECT_TRUE(pipeline.empty());
  EXPECT_TRUE(pipeline.take_all().empty());
}

}  // namespace
}  // namespace mpr::redis
