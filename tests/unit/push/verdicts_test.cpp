#include "push/verdicts.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "push/apns_sender.hpp"
#include "push/fcm_sender.hpp"
#include "push/webhook_sender.hpp"

namespace mpr {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

HttpAnswer answered(int status, std::string body = {}) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = std::move(body);
  return answer;
}

std::string fcm_error(const std::string& status, const std::string& code,
                      const std::string& message = "") {
  return R"({"error":{"code":0,"message":")" + message + R"(","status":")" + status +
         R"(","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":")" +
         code + R"("}]}})";
}

std::string reason(const std::string& word) { return R"({"reason":")" + word + R"("})"; }

struct Case {
  HttpAnswer answer;
  PushOutcome outcome;
  std::string reason;
  milliseconds wait{0};
};

void expect(const Case& c, const PushVerdict& verdict) {
  EXPECT_EQ(to_string(verdict.outcome), to_string(c.outcome)) << c.reason;
  EXPECT_EQ(verdict.reason, c.reason);
  EXPECT_EQ(verdict.wait, c.wait) << c.reason;
}

TEST(FcmVerdict, FollowsTheErrorCode) {
  using enum PushOutcome;
  const std::vector<Case> cases = {
      {answered(200, R"({"name":"x"})"), accepted, "200"},
      {answered(404, fcm_error("NOT_FOUND", "UNREGISTERED")), token_dead, "404 UNREGISTERED"},
      {answered(404, "<html>"), misconfigured, "404"},
      {answered(404, fcm_error("NOT_FOUND", "")), misconfigured, "404 NOT_FOUND"},
      {answered(400, fcm_error("INVALID_ARGUMENT", "INVALID_ARGUMENT",
                               "The registration token is not a valid FCM registration token")),
       token_dead, "400 INVALID_ARGUMENT"},
      {answered(400, R"({"error":{"status":"INVALID_ARGUMENT","message":"x","details":[
          {"@type":"type.googleapis.com/google.rpc.BadRequest",
           "fieldViolations":[{"field":"message.token"}]}]}})"),
       token_dead, "400 INVALID_ARGUMENT"},
      {answered(400,
                R"({"error":{"status":"INVALID_ARGUMENT","message":"registration token","details":[
          {"@type":"type.googleapis.com/google.rpc.BadRequest",
           "fieldViolations":[{"field":"message.android.ttl"}]}]}})"),
       rejected, "400 INVALID_ARGUMENT"},
      {answered(400, fcm_error("INVALID_ARGUMENT", "INVALID_ARGUMENT", "Unknown name")), rejected,
       "400 INVALID_ARGUMENT"},
      {answered(401, fcm_error("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR")), misconfigured,
       "401 THIRD_PARTY_AUTH_ERROR"},
      {answered(403, fcm_error("PERMISSION_DENIED", "SENDER_ID_MISMATCH")), misconfigured,
       "403 SENDER_ID_MISMATCH"},
      {answered(429, fcm_error("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")), retry,
       "429 QUOTA_EXCEEDED", seconds(60)},
      {answered(500, fcm_error("INTERNAL", "INTERNAL")), retry, "500 INTERNAL", seconds(10)},
      {answered(503, fcm_error("UNAVAILABLE", "UNAVAILABLE")), retry, "503 UNAVAILABLE",
       seconds(10)},
      {answered(502), retry, "502", seconds(10)},
  };
  for (const Case& c : cases) expect(c, judge_fcm(c.answer));
}

TEST(ApnsVerdict, FollowsTheReason) {
  using enum PushOutcome;
  const std::vector<Case> cases = {
      {answered(200), accepted, "200"},
      {answered(400, reason("BadDeviceToken")), token_dead, "400 BadDeviceToken"},
      {answered(400, reason("DeviceTokenNotForTopic")), token_dead, "400 DeviceTokenNotForTopic"},
      {answered(400, reason("BadCollapseId")), rejected, "400 BadCollapseId"},
      {answered(400, reason("BadTopic")), misconfigured, "400 BadTopic"},
      {answered(403, reason("InvalidProviderToken")), misconfigured, "403 InvalidProviderToken"},
      {answered(403, reason("ExpiredProviderToken")), misconfigured, "403 ExpiredProviderToken"},
      {answered(405, reason("MethodNotAllowed")), rejected, "405 MethodNotAllowed"},
      {answered(410, reason("Unregistered")), token_dead, "410 Unregistered"},
      {answered(413, reason("PayloadTooLarge")), rejected, "413 PayloadTooLarge"},
      {answered(429, reason("TooManyRequests")), retry, "429 TooManyRequests", seconds(60)},
      {answered(429, reason("TooManyProviderTokenUpdates")), retry,
       "429 TooManyProviderTokenUpdates", seconds(60)},
      {answered(500, reason("InternalServerError")), retry, "500 InternalServerError", seconds(10)},
      {answered(503, reason("Shutdown")), retry, "503 Shutdown", seconds(10)},
  };
  for (const Case& c : cases) expect(c, judge_apns(c.answer));
}

TEST(ApnsVerdict, SaysSinceWhenATokenIsDead) {
  const PushVerdict verdict =
      judge_apns(answered(410, R"({"reason":"Unregistered","timestamp":1750000000123})"));
  EXPECT_EQ(verdict.dead_since, TimePoint(milliseconds(1'750'000'000'123)));
  EXPECT_EQ(judge_apns(answered(410, reason("Unregistered"))).dead_since, std::nullopt);
}

TEST(WebhookVerdict, FollowsTheStatus) {
  using enum PushOutcome;
  const std::vector<Case> cases = {
      {answered(200), accepted, "200"},           {answered(204), accepted, "204"},
      {answered(302), misconfigured, "302"},      {answered(400), rejected, "400"},
      {answered(401), misconfigured, "401"},      {answered(404), misconfigured, "404"},
      {answered(408), retry, "408", seconds(10)}, {answered(410), token_dead, "410"},
      {answered(429), retry, "429", seconds(60)}, {answered(500), retry, "500", seconds(10)},
  };
  for (const Case& c : cases) expect(c, judge_webhook(c.answer));
}

TEST(Verdict, HonoursRetryAfterOverItsOwnWait) {
  HttpAnswer answer = answered(429);
  answer.retry_after = seconds(7);
  EXPECT_EQ(judge_fcm(answer).wait, seconds(7));
  EXPECT_EQ(judge_apns(answer).wait, seconds(7));
  EXPECT_EQ(judge_webhook(answer).wait, seconds(7));
}

TEST(Verdict, WithoutAnAnswerIsARetryWithTheReason) {
  HttpAnswer answer;
  answer.failure = "Timeout was reached";
  expect({answer, PushOutcome::retry, "Timeout was reached"}, judge_fcm(answer));
  expect({answer, PushOutcome::retry, "Timeout was reached"}, judge_apns(answer));
  expect({answer, PushOutcome::retry, "Timeout was reached"}, judge_webhook(answer));
}

TEST(Verdict, ShowsNoWordThatCouldBeAPartOfTheRequest) {
  for (const std::string word : {"a1b2c3", "two words", "x/y", "\\u0000"}) {
    EXPECT_EQ(judge_apns(answered(400, reason(word))).reason, "400") << word;
  }
  EXPECT_EQ(judge_apns(answered(400, reason(std::string(41, 'a')))).reason, "400");
}

TEST(Verdict, SurvivesAnyBody) {
  for (const std::string body : {"", "{", "null", "[]", "7", R"({"error":7})", R"({"reason":{}})",
                                 R"({"error":{"details":[1,{"fieldViolations":[]}]}})"}) {
    EXPECT_EQ(judge_fcm(answered(400, body)).reason, "400") << body;
    EXPECT_EQ(judge_apns(answered(400, body)).reason, "400") << body;
  }
}

}  // namespace
}  // namespace mpr
