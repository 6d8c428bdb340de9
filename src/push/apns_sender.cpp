#include "push/apns_sender.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/text.hpp"
#include "push/json_members.hpp"
#include "push/verdicts.hpp"

namespace mpr {

namespace {

constexpr std::string_view kType = "https://didcomm.org/push-notifications-apns";
constexpr std::string_view kProduction = "https://api.push.apple.com";
constexpr std::string_view kSandbox = "https://api.sandbox.push.apple.com";
// Apple keeps a notification for so long if the phone is off. The message itself waits longer.
constexpr std::chrono::days kKept{7};

// A device token is hexadecimal. Anything else is refused here, as Apple would, because it becomes
// a part of the path.
bool is_device_token(std::string_view token) {
  const auto is_letter = [](unsigned char c) { return std::isalnum(c) != 0; };
  return !token.empty() && token.size() <= 512 && std::ranges::all_of(token, is_letter);
}

}  // namespace

std::string apns_body(const Notification& notification, const NotificationText& text) {
  std::string out = R"({"aps":{)";
  if (text.kind == NotificationKind::alert) {
    out += R"("alert":{"title":)";
    append_json_string(out, text.title);
    out += R"(,"body":)";
    append_json_string(out, text.body);
    out += "},";
  }
  out += R"("content-available":1},"@type":")";
  out += kType;
  out += R"(","message_id":)";
  append_json_string(out, notification.message_id.value);
  out += '}';
  return out;
}

PushVerdict judge_apns(const HttpAnswer& answer) {
  if (answer.status == 200) return verdict_of(PushOutcome::accepted, "200");
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  const bool is_json = parser.parse(answer.body).get(json) == simdjson::SUCCESS;
  const std::string_view word = is_json ? text_or_empty(json["reason"]) : std::string_view();
  if (answer.status == 410) {
    PushVerdict verdict = verdict_of(PushOutcome::token_dead, reason_of(answer, word));
    std::int64_t since = 0;
    if (is_json && json["timestamp"].get(since) == simdjson::SUCCESS) {
      verdict.dead_since = TimePoint(std::chrono::milliseconds(since));
    }
    return verdict;
  }
  if (answer.status == 400 && (word == "BadDeviceToken" || word == "DeviceTokenNotForTopic")) {
    return verdict_of(PushOutcome::token_dead, reason_of(answer, word));
  }
  if (answer.status == 403 || word == "BadTopic" || word == "TopicDisallowed" ||
      word == "MissingTopic") {
    return verdict_of(PushOutcome::misconfigured, reason_of(answer, word));
  }
  return common_verdict(answer, word);
}

ApnsSender::ApnsSender(ApnsIdentity identity, Options options, IoThread& thread, Clock& clock)
    : identity_(std::move(identity)),
      options_(std::move(options)),
      base_url_(!options_.base_url.empty()
                    ? options_.base_url
                    : std::string(identity_.production ? kProduction : kSandbox)),
      clock_(clock),
      provider_token_(identity_, clock),
      http_(thread, options_.http) {}

HttpRequest ApnsSender::request_of(const Notification& notification,
                                   const std::string& token) const {
  const bool alert = options_.text.kind == NotificationKind::alert;
  const auto until = std::chrono::floor<std::chrono::seconds>(clock_.now() + kKept);
  HttpRequest request;
  request.url = base_url_ + "/3/device/" + notification.token.token;
  request.headers = {"authorization: bearer " + token,
                     "content-type: application/json",
                     "apns-topic: " + identity_.topic,
                     alert ? "apns-push-type: alert" : "apns-push-type: background",
                     alert ? "apns-priority: 10" : "apns-priority: 5",
                     "apns-expiration: " + std::to_string(until.time_since_epoch().count()),
                     "apns-collapse-id: " + std::string(kCollapseName)};
  request.body = apns_body(notification, options_.text);
  return request;
}

Task<PushVerdict> ApnsSender::send(Notification notification) {
  if (!is_device_token(notification.token.token)) {
    co_return verdict_of(PushOutcome::token_dead, "not a device token");
  }
  PushVerdict verdict;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const std::string token = provider_token_.get();
    const HttpAnswer answer = co_await http_.post(request_of(notification, token));
    verdict = judge_apns(answer);
    if (verdict.reason != "403 ExpiredProviderToken") break;
    if (!provider_token_.expired(token)) break;
  }
  co_return verdict;
}

void ApnsSender::stop() { http_.stop(); }

}  // namespace mpr
