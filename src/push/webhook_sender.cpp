#include "push/webhook_sender.hpp"

#include <utility>

#include "base/text.hpp"
#include "push/digest.hpp"
#include "push/verdicts.hpp"

namespace mpr {

std::string webhook_body(const Notification& notification) {
  std::string out = R"({"connectionId":)";
  append_json_string(out, notification.connection.id.value);
  out += R"(,"messageId":)";
  append_json_string(out, notification.message_id.value);
  out += R"(,"type":")";
  out += to_string(notification.token.provider);
  out += R"(","token":)";
  append_json_string(out, notification.token.token);
  out += '}';
  return out;
}

std::string webhook_signature(std::string_view secret, TimePoint now, std::string_view body) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  std::string text = std::to_string(seconds);
  std::string signature = "t=" + text + ",v1=";
  text += '.';
  text += body;
  return signature + hmac_sha256_hex(secret, text);
}

PushVerdict judge_webhook(const HttpAnswer& answer) {
  if (answer.status == 410) return verdict_of(PushOutcome::token_dead, "410");
  if (answer.status == 401 || answer.status == 403 || answer.status == 404 ||
      (answer.status >= 300 && answer.status < 400)) {
    return verdict_of(PushOutcome::misconfigured, reason_of(answer, {}));
  }
  return common_verdict(answer, {});
}

WebhookSender::WebhookSender(Options options, IoThread& thread, Clock& clock)
    : options_(std::move(options)), clock_(clock), http_(thread, options_.http) {}

Task<PushVerdict> WebhookSender::send(Notification notification) {
  HttpRequest request;
  request.url = options_.url;
  request.headers = {"content-type: application/json"};
  request.body = webhook_body(notification);
  if (!options_.secret.empty()) {
    request.headers.push_back("x-mpr-signature: " +
                              webhook_signature(options_.secret, clock_.now(), request.body));
  }
  const HttpAnswer answer = co_await http_.post(std::move(request));
  co_return judge_webhook(answer);
}

void WebhookSender::stop() { http_.stop(); }

}  // namespace mpr
