#include "core/selection.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mpr {
namespace {

// How many of the candidates, in order, a take with these limits selects.
std::size_t selected(std::uint64_t limit, std::uint64_t limit_bytes, std::uint64_t response_bytes,
                     const std::vector<std::uint64_t>& sizes) {
  TakeQuery query;
  query.limit = limit;
  query.limit_bytes = limit_bytes;
  query.response_bytes = response_bytes;
  Selection selection(query);
  std::size_t count = 0;
  for (const std::uint64_t size : sizes) {
    if (!selection.admit(size)) break;
    ++count;
    if (selection.full()) break;
  }
  return count;
}

TEST(Selection, WithoutLimitsTakesEverything) { EXPECT_EQ(selected(0, 0, 0, {5, 0, 7, 9}), 4u); }

TEST(Selection, StopsAtTheMessageLimit) { EXPECT_EQ(selected(2, 0, 0, {5, 5, 5}), 2u); }

TEST(Selection, StopsBeforeTheByteBudgetIsExceeded) {
  EXPECT_EQ(selected(0, 10, 0, {5, 5, 1}), 2u);
  EXPECT_EQ(selected(0, 10, 0, {5, 6, 1}), 1u);
}

TEST(Selection, AlwaysTakesTheFirstMessageHoweverLarge) {
  EXPECT_EQ(selected(0, 10, 0, {100, 1}), 1u);
  EXPECT_EQ(selected(5, 0, 10, {100, 1}), 1u);
}

TEST(Selection, DoesNotSkipALargeMessageToReachASmallOne) {
  EXPECT_EQ(selected(0, 10, 0, {4, 100, 4}), 1u);
}

TEST(Selection, AppliesBothLimitsTogether) {
  EXPECT_EQ(selected(2, 100, 0, {1, 1, 1}), 2u);
  EXPECT_EQ(selected(3, 2, 0, {1, 1, 1}), 2u);
}

TEST(Selection, TheResponseBoundHoldsBesideTheCallersOwn) {
  EXPECT_EQ(selected(0, 100, 10, {6, 6, 6}), 1u);
  EXPECT_EQ(selected(0, 10, 100, {6, 6, 6}), 1u);
}

TEST(Selection, EmptyMessagesFitAnExhaustedBudget) {
  EXPECT_EQ(selected(0, 4, 0, {4, 0, 0, 1}), 3u);
}

TEST(Exclusion, FindsExactlyTheListedPositions) {
  const std::vector<MessageRef> listed = {{MessageId("b"), {2}}, {MessageId("e"), {5}}};
  Exclusion exclusion(listed);
  std::vector<std::uint64_t> hits;
  for (std::uint64_t p = 1; p <= 6; ++p) {
    if (exclusion.contains({p})) hits.push_back(p);
  }
  EXPECT_EQ(hits, (std::vector<std::uint64_t>{2, 5}));
}

}  // namespace
}  // namespace mpr
