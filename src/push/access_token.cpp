#include "push/access_token.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "push/json_members.hpp"
#include "push/verdicts.hpp"

namespace mpr {

namespace {

using std::chrono::seconds;

constexpr std::string_view kScope = "https://www.googleapis.com/auth/firebase.messaging";
// The grant type and the assertion's name, in the form's encoding.
constexpr std::string_view kForm =
    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
constexpr seconds kAssertionLife{3'600};
constexpr seconds kMargin{60};       // renewed this long before it expires
constexpr seconds kAfterFailure{1};  // a failure is the answer to everybody for so long

}  // namespace

AccessToken::AccessToken(const FcmAccount& account, HttpClient& http, Clock& clock)
    : account_(account), http_(http), clock_(clock) {}

Task<AccessToken::Answer> AccessToken::get() {
  if (clock_.steady_now() < good_until_) co_return present_;
  if (fetching_) {
    const auto wait = [&](Completion<Answer>& completion) { waiting_.push_back(&completion); };
    co_return co_await answer_of<Answer>(wait);
  }
  fetching_ = true;
  Answer answer = co_await fetch();
  fetching_ = false;
  present_ = answer;
  Resumptions resumptions;
  for (Completion<Answer>* completion : std::exchange(waiting_, {})) {
    completion->set(answer, resumptions);
  }
  resumptions.flush();
  co_return answer;
}

void AccessToken::refused(std::string_view token) {
  if (!fetching_ && token == present_.token) good_until_ = {};
}

Task<AccessToken::Answer> AccessToken::fetch() {
  ++fetches_;
  const auto now = std::chrono::floor<seconds>(clock_.now()).time_since_epoch().count();
  SigningKey::Claims claims;
  claims.texts = {
      {"iss", account_.client_email}, {"scope", std::string(kScope)}, {"aud", account_.token_uri}};
  claims.numbers = {{"iat", now}, {"exp", now + kAssertionLife.count()}};
  const Result<std::string> assertion = account_.key.sign(claims);
  if (!assertion) {
    Answer failed;
    failed.failure = verdict_of(PushOutcome::misconfigured, assertion.error().context);
    co_return failed;
  }
  HttpRequest request;
  request.url = account_.token_uri;
  request.headers = {"content-type: application/x-www-form-urlencoded"};
  request.body = std::string(kForm) + *assertion;
  const HttpAnswer answer = co_await http_.post(std::move(request));
  co_return read(answer);
}

AccessToken::Answer AccessToken::read(const HttpAnswer& answer) {
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  const bool is_json = parser.parse(answer.body).get(json) == simdjson::SUCCESS && json.is_object();
  Answer outcome;
  good_until_ = clock_.steady_now() + kAfterFailure;
  if (answer.status == 200 && is_json) {
    outcome.token = std::string(text_or_empty(json["access_token"]));
    std::int64_t life = 0;
    if (json["expires_in"].get(life) != simdjson::SUCCESS) life = 300;
    if (!outcome.token.empty()) {
      good_until_ = clock_.steady_now() + std::max(seconds(life) - kMargin, kAfterFailure);
      return outcome;
    }
  }
  const std::string_view word = is_json ? text_or_empty(json["error"]) : std::string_view();
  outcome.failure = common_verdict(answer, word);
  outcome.failure.reason = "access token: " + outcome.failure.reason;
  // What the token server refuses for good, it refuses because of the account, its key or our time.
  if (outcome.failure.outcome != PushOutcome::retry) {
    outcome.failure.outcome = PushOutcome::misconfigured;
  }
  return outcome;
}

}  // namespace mpr
