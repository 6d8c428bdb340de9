#include "pickup/pickup_service.hpp"

#include <gtest/gtest.h>

#include "tests/unit/pickup/gateway_bed.hpp"

namespace mpr {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Backend;
using test::GatewayBed;
using test::kToken;
using Payloads = std::vector<std::string>;

struct PickupServiceTest : testing::Test {
  Backend backend;
  GatewayBed gateway{backend};
};

TEST_F(PickupServiceTest, AnAddedMessageIsCountedTakenAndGoneOnceAcknowledged) {
  const auto receipt = gateway.add("c", "{\"n\":1}");
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->received_at, backend.clock.now());
  EXPECT_EQ(gateway.count("c"), 1u);
  EXPECT_EQ(gateway.take("c"), Payloads{"{\"n\":1}"});
  EXPECT_EQ(gateway.count("c"), 1u) << "taking keeps";
  EXPECT_EQ(gateway.acknowledge("c", {receipt->id}), (AcknowledgeReceipt{1, 0}));
  EXPECT_EQ(gateway.count("c"), 0u);
  EXPECT_EQ(gateway.acknowledge("c", {receipt->id}), (AcknowledgeReceipt{0, 0})) << "idempotent";
}

TEST_F(PickupServiceTest, TakeWithDeleteRemovesExactlyWhatItReturns) {
  gateway.add("c", "{\"n\":1}");
  gateway.add("c", "{\"n\":2}");
  gateway.add("c", "{\"n\":3}");
  EXPECT_EQ(gateway.take("c", 99, 2, TakeMode::remove), (Payloads{"{\"n\":1}", "{\"n\":2}"}));
  EXPECT_EQ(gateway.take("c", 99, 2, TakeMode::remove), Payloads{"{\"n\":3}"});
  EXPECT_TRUE(gateway.take("c", 99, 2, TakeMode::remove).empty());
}

TEST_F(PickupServiceTest, TenantsNeverSeeEachOthersMessages) {
  gateway.add("c", "{}");
  const auto other = gateway.loop.run(
      gateway.service.count(GatewayBed::caller(1, "tenant"), {ConnectionId("c"), {}}, {}));
  EXPECT_EQ(*other, 0u);
}

TEST_F(PickupServiceTest, TheCallersIdIsAnIdempotencyKey) {
  AddRequest request = GatewayBed::message("c", "{\"n\":1}");
  request.message_id = MessageId("caller-chosen-id");
  AddRequest again = GatewayBed::message("c", "{\"n\":2}");
  again.message_id = request.message_id;
  const auto caller = GatewayBed::caller(1);
  const auto first = gateway.loop.run(gateway.service.add_message(caller, std::move(request), {}));
  backend.clock.advance(seconds(1));
  const auto second = gateway.loop.run(gateway.service.add_message(caller, std::move(again), {}));
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(gateway.take("c"), Payloads{"{\"n\":1}"});
}

TEST_F(PickupServiceTest, AMessageOverTheSizeLimitIsRefusedAndNotStored) {
  PickupService::Options options;
  options.max_message_bytes = 10;
  PickupService service({backend.store, gateway.directory, gateway.push, backend.clock, backend.ids,
                         gateway.sink, backend.metrics},
                        options);
  const auto refused = gateway.loop.run(service.add_message(
      GatewayBed::caller(1), GatewayBed::message("c", "{\"text\":\"long\"}"), {}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (Error{Errc::too_large, "payload: 15 bytes, the limit is 10"}));
  EXPECT_EQ(gateway.count("c"), 0u);
}

TEST_F(PickupServiceTest, ManyMessagesInOneCallKeepTheirOrder) {
  std::vector<AddRequest> requests;
  for (int i = 0; i < 5; ++i) {
    requests.push_back(GatewayBed::message("c", "{\"n\":" + std::to_string(i) + "}"));
  }
  const auto receipts = gateway.loop.run(
      gateway.service.add_messages(GatewayBed::caller(1), std::move(requests), {}));
  ASSERT_TRUE(receipts);
  EXPECT_EQ(receipts->size(), 5u);
  EXPECT_EQ(gateway.take("c"),
            (Payloads{"{\"n\":0}", "{\"n\":1}", "{\"n\":2}", "{\"n\":3}", "{\"n\":4}"}));
}

TEST_F(PickupServiceTest, ATimeToLiveEndsAMessage) {
  AddRequest request = GatewayBed::message("c", "{}");
  request.ttl = seconds(10);
  gateway.loop.run(gateway.service.add_message(GatewayBed::caller(1), std::move(request), {}));
  EXPECT_EQ(gateway.count("c"), 1u);
  backend.clock.advance(seconds(10));
  EXPECT_EQ(gateway.count("c"), 0u);
  EXPECT_TRUE(gateway.take("c").empty());
}

TEST_F(PickupServiceTest, TheStatusSaysWhatIsWaitingAndForHowLong) {
  const TimePoint first = backend.clock.now();
  gateway.add("c", "{\"n\":1}");
  backend.clock.advance(seconds(90));
  gateway.add("c", "{\"n\":22}");
  const auto report =
      gateway.loop.run(gateway.service.status(GatewayBed::caller(1), {ConnectionId("c"), {}}, {}));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->status, (QueueStatus{2, 15, first, backend.clock.now()}));
  EXPECT_EQ(report->longest_waited_seconds, 90u);
  EXPECT_EQ(report->in_flight, 0u);
  EXPECT_FALSE(report->live_delivery);
}

TEST_F(PickupServiceTest, AnOfflinePhoneWithATokenIsPushed) {
  gateway.add("c", "{}", kToken);
  EXPECT_EQ(gateway.push.reasons(), std::vector{PushReason::message_added});
}

TEST_F(PickupServiceTest, NobodyIsPushedWhoIsLiveOrGaveNoToken) {
  gateway.add("offline", "{}");
  gateway.open("live", 1);
  gateway.add("live", "{}", kToken);
  EXPECT_TRUE(gateway.push.reasons().empty());
}

TEST_F(PickupServiceTest, ADeliveryThatIsNotAcknowledgedInTimePushes) {
  gateway.open("c", 1);
  gateway.add("c", "{}", kToken);
  gateway.pass(milliseconds(14'999));
  EXPECT_TRUE(gateway.push.reasons().empty());
  gateway.pass(milliseconds(1));
  EXPECT_EQ(gateway.push.reasons(), std::vector{PushReason::acknowledgement_overdue});
  EXPECT_EQ(gateway.count("c", 1), 1u) << "visible again";
}

TEST_F(PickupServiceTest, ASessionThatEndsWithMessagesPendingPushes) {
  gateway.open("c", 1);
  gateway.add("c", "{}", kToken);
  EXPECT_TRUE(gateway.close("c", 1));
  EXPECT_EQ(gateway.push.reasons(), std::vector{PushReason::session_ended});
}

TEST_F(PickupServiceTest, ASessionThatEndsWithNothingPendingDoesNotPush) {
  gateway.open("c", 1);
  const auto receipt = gateway.add("c", "{}", kToken);
  gateway.acknowledge("c", {receipt->id}, 1);
  gateway.close("c", 1);
  EXPECT_TRUE(gateway.push.reasons().empty());
}

TEST_F(PickupServiceTest, RemoveAllHonoursTheRecipient) {
  AddRequest other = GatewayBed::message("c", "{\"n\":2}");
  other.recipient_dids = {RecipientDid("did:key:z2")};
  gateway.add("c", "{\"n\":1}");
  gateway.loop.run(gateway.service.add_message(GatewayBed::caller(1), std::move(other), {}));
  gateway.loop.run(gateway.service.remove_all(GatewayBed::caller(1),
                                              {ConnectionId("c"), RecipientDid("did:key:z2")}, {}));
  EXPECT_EQ(gateway.take("c"), Payloads{"{\"n\":1}"});
  gateway.loop.run(gateway.service.remove_all(GatewayBed::caller(1), {ConnectionId("c"), {}}, {}));
  EXPECT_EQ(gateway.count("c"), 0u);
}

// A store that refuses everything: each call must say so.
class BrokenStore final : public MessageStore {
 public:
  static auto broken() { return fail(Errc::unavailable, "disk is full"); }
  Task<Result<AddOutcome>> add(NewMessage, Deadline) override { co_return broken(); }
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery, Deadline) override {
    co_return broken();
  }
  Task<Result<std::uint64_t>> count(QueueQuery, Deadline) override { co_return broken(); }
  Task<Result<QueueStatus>> status(QueueQuery, Deadline) override { co_return broken(); }
  Task<Result<Position>> tail(Connection, Deadline) override { co_return broken(); }
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection, Deadline) override {
    co_return broken();
  }
  Task<Result<RemoveOutcome>> remove(Connection, std::vector<MessageId>, Deadline) override {
    co_return broken();
  }
  Task<Result<RemoveOutcome>> remove_all(Connection, std::optional<RecipientDid>,
                                         Deadline) override {
    co_return broken();
  }
  Result<void> ready() const override { return broken(); }
  StoreTotals totals() const override { return {}; }
};

TEST(PickupServiceFailure, AStoreThatRefusesIsNeverAnEmptyAnswer) {
  Backend backend;
  BrokenStore store;
  GatewayBed gateway(backend, "gateway-1", &store);
  const Error expected{Errc::unavailable, "disk is full"};
  const Caller caller = GatewayBed::caller(1);
  const ConnectionId id("c");
  auto& run = gateway.loop;
  auto& service = gateway.service;
  EXPECT_EQ(run.run(service.add_message(caller, GatewayBed::message("c", "{}"), {})).error(),
            expected);
  EXPECT_EQ(run.run(service.take(caller, TakeRequest{id, {}}, {})).error(), expected);
  EXPECT_EQ(run.run(service.count(caller, {id, {}}, {})).error(), expected);
  EXPECT_EQ(run.run(service.status(caller, {id, {}}, {})).error(), expected);
  EXPECT_EQ(run.run(service.acknowledge(caller, {id, {MessageId("m")}}, {})).error(), expected);
  EXPECT_EQ(run.run(service.remove_all(caller, {id, {}}, {})).error(), expected);
  EXPECT_EQ(run.run(service.open_session(caller, {id, SessionId("s")}, {})).error(), expected);
  std::vector<AddRequest> requests;
  requests.push_back(GatewayBed::message("c", "{}"));
  const auto many = run.run(service.add_messages(caller, std::move(requests), {}));
  EXPECT_EQ(many.error().context, "disk is full (0 of 1 messages were stored)");
}

}  // namespace
}  // namespace mpr
