#include <gtest/gtest.h>

#include <string>

#include "core/limits.hpp"
#include "push/apns_sender.hpp"
#include "push/digest.hpp"
#include "push/fcm_sender.hpp"
#include "push/webhook_sender.hpp"

namespace mpr {
namespace {

Notification notification_to(std::string token) {
  Notification notification;
  notification.connection.id = ConnectionId("connection-1");
  notification.message_id = MessageId("message-1");
  notification.token.token = std::move(token);
  return notification;
}

NotificationText alert(std::string title, std::string body) {
  return {NotificationKind::alert, std::move(title), std::move(body)};
}

TEST(FcmBody, IsAnAlertWithTheDataOfTodaysApps) {
  EXPECT_EQ(
      fcm_body(notification_to("token"), alert("T", "B")),
      R"({"message":{"token":"token","data":{"@type":"https://didcomm.org/push-notifications-fcm","message_id":"message-1"},)"
      R"("notification":{"title":"T","body":"B"},)"
      R"("android":{"priority":"high","collapse_key":"generic-new-messages","notification":{"tag":"generic-new-messages"}},)"
      R"("apns":{"headers":{"apns-push-type":"alert","apns-priority":"10","apns-collapse-id":"generic-new-messages"},)"
      R"("payload":{"aps":{"alert":{"title":"T","body":"B"},"content-available":1}}}}})");
}

TEST(FcmBody, ShowsNothingWhenItIsDataOnly) {
  EXPECT_EQ(
      fcm_body(notification_to("token"), {NotificationKind::data_only, "T", "B"}),
      R"({"message":{"token":"token","data":{"@type":"https://didcomm.org/push-notifications-fcm","message_id":"message-1"},)"
      R"("android":{"priority":"high","collapse_key":"generic-new-messages"},)"
      R"("apns":{"headers":{"apns-push-type":"background","apns-priority":"5","apns-collapse-id":"generic-new-messages"},)"
      R"("payload":{"aps":{"content-available":1}}}}})");
}

TEST(FcmBody, EscapesWhatACallerChose) {
  const std::string body = fcm_body(notification_to("a\"b\\c\n"), alert("\"", "\t"));
  EXPECT_NE(body.find(R"("token":"a\"b\\c\n")"), std::string::npos) << body;
  EXPECT_NE(body.find(R"({"title":"\"","body":"\t"})"), std::string::npos) << body;
}

TEST(ApnsBody, SaysTheSameToApple) {
  EXPECT_EQ(apns_body(notification_to("aa"), alert("T", "B")),
            R"({"aps":{"alert":{"title":"T","body":"B"},"content-available":1},)"
            R"("@type":"https://didcomm.org/push-notifications-apns","message_id":"message-1"})");
  EXPECT_EQ(apns_body(notification_to("aa"), {NotificationKind::data_only, "T", "B"}),
            R"({"aps":{"content-available":1},)"
            R"("@type":"https://didcomm.org/push-notifications-apns","message_id":"message-1"})");
}

TEST(ApnsBody, StaysWithinApplesBoundForTheLongestId) {
  Notification notification = notification_to("aa");
  notification.message_id = MessageId(std::string(limits::kIdBytes, '\x01'));  // six bytes each
  EXPECT_LE(apns_body(notification, alert(std::string(500, 't'), std::string(1'500, 'b'))).size(),
            4'096U);
}

TEST(WebhookBody, NamesConnectionMessageAndToken) {
  Notification notification = notification_to("token\"1");
  notification.token.provider = PushProvider::webhook;
  EXPECT_EQ(
      webhook_body(notification),
      R"({"connectionId":"connection-1","messageId":"message-1","type":"webhook","token":"token\"1"})");
}

TEST(WebhookSignature, IsAnHmacOverTimeAndBody) {
  const TimePoint time{std::chrono::milliseconds(1'750'000'000'999)};
  EXPECT_EQ(webhook_signature("key", time, "body"),
            "t=1750000000,v1=" + hmac_sha256_hex("key", "1750000000.body"));
}

// RFC 4231, test case 2, and FIPS 180-2.
TEST(Digest, AgreesWithTheStandards) {
  EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(TokenKey, TellsProvidersAndProjectsApartAndShowsNoToken) {
  const std::string one = token_key_of({PushProvider::fcm, "secret-token", ""});
  EXPECT_NE(one, token_key_of({PushProvider::apns, "secret-token", ""}));
  EXPECT_NE(one, token_key_of({PushProvider::fcm, "secret-token", "project"}));
  EXPECT_NE(one, token_key_of({PushProvider::fcm, "secret-tokem", ""}));
  EXPECT_EQ(one.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace mpr
