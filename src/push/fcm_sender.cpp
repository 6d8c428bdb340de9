#include "push/fcm_sender.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "push/json_members.hpp"
#include "push/verdicts.hpp"

namespace mpr {

namespace {

constexpr std::string_view kType = "https://didcomm.org/push-notifications-fcm";

void append_title_and_body(std::string& out, const NotificationText& text) {
  out += R"({"title":)";
  append_json_string(out, text.title);
  out += R"(,"body":)";
  append_json_string(out, text.body);
  out += '}';
}

void append_alert_parts(std::string& out, const NotificationText& text) {
  out += R"(,"notification":)";
  append_title_and_body(out, text);
  out += R"(,"android":{"priority":"high","collapse_key":")";
  out += kCollapseName;
  out += R"(","notification":{"tag":")";
  out += kCollapseName;
  out += R"("}},"apns":{"headers":{"apns-push-type":"alert","apns-priority":"10",)";
  out += R"("apns-collapse-id":")";
  out += kCollapseName;
  out += R"("},"payload":{"aps":{"alert":)";
  append_title_and_body(out, text);
  out += R"(,"content-available":1}}})";
}

void append_data_only_parts(std::string& out) {
  out += R"(,"android":{"priority":"high","collapse_key":")";
  out += kCollapseName;
  out += R"("},"apns":{"headers":{"apns-push-type":"background","apns-priority":"5",)";
  out += R"("apns-collapse-id":")";
  out += kCollapseName;
  out += R"("},"payload":{"aps":{"content-available":1}}})";
}

// FCM's own code, which says more than the RPC status beside it.
std::string_view fcm_word(simdjson::dom::element error) {
  simdjson::dom::array details;
  if (error["details"].get(details) == simdjson::SUCCESS) {
    for (const simdjson::dom::element detail : details) {
      const auto word = text_or_empty(detail["errorCode"]);
      if (!word.empty()) return word;
    }
  }
  return text_or_empty(error["status"]);
}

// INVALID_ARGUMENT may mean the token or anything else of the request.
bool blames_token(simdjson::dom::element error) {
  simdjson::dom::array details;
  if (error["details"].get(details) == simdjson::SUCCESS) {
    for (const simdjson::dom::element detail : details) {
      simdjson::dom::array violations;
      if (detail["fieldViolations"].get(violations) != simdjson::SUCCESS) continue;
      for (const simdjson::dom::element violation : violations) {
        return text_or_empty(violation["field"]) == "message.token";
      }
    }
  }
  return text_or_empty(error["message"]).contains("registration token");
}

}  // namespace

std::string fcm_body(const Notification& notification, const NotificationText& text) {
  std::string out;
  out.reserve(1024 + notification.token.token.size());
  out += R"({"message":{"token":)";
  append_json_string(out, notification.token.token);
  out += R"(,"data":{"@type":")";
  out += kType;
  out += R"(","message_id":)";
  append_json_string(out, notification.message_id.value);
  out += '}';
  if (text.kind == NotificationKind::alert) {
    append_alert_parts(out, text);
  } else {
    append_data_only_parts(out);
  }
  out += "}}";
  return out;
}

PushVerdict judge_fcm(const HttpAnswer& answer) {
  if (answer.status == 200) return verdict_of(PushOutcome::accepted, "200");
  simdjson::dom::parser parser;
  simdjson::dom::element error;
  const bool has_error = parser.parse(answer.body)["error"].get(error) == simdjson::SUCCESS;
  const std::string_view word = has_error ? fcm_word(error) : std::string_view();
  // 404 without the word is a wrong URL or project.
  if (word == "UNREGISTERED" ||
      (answer.status == 400 && word == "INVALID_ARGUMENT" && blames_token(error))) {
    return verdict_of(PushOutcome::token_dead, reason_of(answer, word));
  }
  if (answer.status == 401 || answer.status == 403 || answer.status == 404) {
    return verdict_of(PushOutcome::misconfigured, reason_of(answer, word));
  }
  return common_verdict(answer, word);
}

FcmSender::Project::Project(FcmAccount a, const std::string& base_url, HttpClient& http,
                            Clock& clock)
    : account(std::move(a)),
      url(base_url + "/v1/projects/" + account.project_id + "/messages:send"),
      access_token(account, http, clock) {}

FcmSender::FcmSender(std::vector<FcmAccount> accounts, Options options, IoThread& thread,
                     Clock& clock)
    : options_(std::move(options)),
      http_(thread, options_.http),
      token_http_(thread, options_.http) {
  for (FcmAccount& account : accounts) {
    projects_.emplace_back(std::move(account), options_.base_url, token_http_, clock);
  }
}

FcmSender::Project* FcmSender::find(const std::string& id) {
  if (id.empty()) return &projects_.front();
  const auto same = [&](const Project& project) { return project.account.project_id == id; };
  const auto found = std::ranges::find_if(projects_, same);
  return found == projects_.end() ? nullptr : &*found;
}

Task<PushVerdict> FcmSender::send(Notification notification) {
  Project* const project = find(notification.token.project);
  if (project == nullptr) {
    co_return verdict_of(PushOutcome::rejected, "no service account for the token's project");
  }
  const std::string body = fcm_body(notification, options_.text);
  PushVerdict verdict;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const AccessToken::Answer access = co_await project->access_token.get();
    if (access.token.empty()) co_return access.failure;
    HttpRequest request;
    request.url = project->url;
    request.headers = {"authorization: Bearer " + access.token, "content-type: application/json"};
    request.body = body;
    const HttpAnswer answer = co_await http_.post(std::move(request));
    verdict = judge_fcm(answer);
    if (answer.status != 401) break;
    project->access_token.refused(access.token);
  }
  co_return verdict;
}

void FcmSender::stop() {
  http_.stop();
  token_http_.stop();
}

}  // namespace mpr
