#include "app/push_senders.hpp"

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "push/apns_sender.hpp"
#include "push/fcm_sender.hpp"
#include "push/webhook_sender.hpp"

namespace mpr {

namespace {

namespace fs = std::filesystem;

// A credential file's text; nothing if it does not exist.
Result<std::optional<std::string>> read_if_there(const fs::path& path, std::string_view option) {
  std::error_code error;
  if (!fs::exists(path, error) && !error) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (error || !in || fs::is_directory(path, error)) {
    return fail(Errc::invalid_argument,
                std::string(option) + ": " + path.string() + " cannot be read");
  }
  return std::move(text).str();
}

NotificationText text_of(const Settings& settings) {
  return {.kind = settings.notification_data_only ? NotificationKind::data_only
                                                  : NotificationKind::alert,
          .title = settings.push_title,
          .body = settings.push_body};
}

HttpClient::Options http_of(const Settings& settings) {
  HttpClient::Options options;
  options.ca_file = settings.push_ca_file.string();
  options.in_flight = settings.push_in_flight;
  options.connections = settings.push_connections;
  options.timeout = settings.push_timeout;
  options.connect_timeout = std::min(options.connect_timeout, settings.push_timeout);
  return options;
}

std::vector<fs::path> paths_of(std::string_view list) {
  std::vector<fs::path> paths;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view path = list.substr(0, comma);
    while (path.starts_with(' ')) path.remove_prefix(1);
    while (path.ends_with(' ')) path.remove_suffix(1);
    if (!path.empty()) paths.emplace_back(path);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return paths;
}

class Opening {
 public:
  Opening(const Settings& settings, IoThread& thread, Clock& clock)
      : settings_(settings), thread_(thread), clock_(clock) {}

  Result<OpenedPushSenders> run() {
    for (const auto step : {&Opening::open_fcm, &Opening::open_apns, &Opening::open_webhook}) {
      if (const auto opened = (this->*step)(); !opened) return std::unexpected(opened.error());
    }
    return std::move(outcome_);
  }

 private:
  Result<void> open_fcm();
  Result<void> open_apns();
  Result<void> open_webhook();
  void note(std::string text) { outcome_.notes.push_back(std::move(text)); }
  void warn(std::string text) { outcome_.warnings.push_back(std::move(text)); }

  const Settings& settings_;
  IoThread& thread_;
  Clock& clock_;
  OpenedPushSenders outcome_;
};

Result<void> Opening::open_fcm() {
  std::vector<FcmAccount> accounts;
  std::string projects;
  for (const fs::path& path : paths_of(settings_.firebase_cfg_file)) {
    const auto text = read_if_there(path, "FIREBASE_CFG_FILE");
    if (!text) return std::unexpected(text.error());
    if (!*text) {
      warn("push by fcm: FIREBASE_CFG_FILE names " + path.string() + ", which does not exist");
      continue;
    }
    auto account = FcmAccount::parse(**text);
    if (!account) {
      return fail(Errc::invalid_argument,
                  "FIREBASE_CFG_FILE: " + path.string() + " " + account.error().context);
    }
    projects += (projects.empty() ? "" : ", ") + account->project_id;
    accounts.push_back(std::move(*account));
  }
  if (accounts.empty()) {
    if (settings_.firebase_cfg_file.empty())
      note("push by fcm is off: FIREBASE_CFG_FILE is not set");
    return {};
  }
  note("push by fcm is on, for " + projects);
  outcome_.senders.fcm = std::make_unique<FcmSender>(
      std::move(accounts),
      FcmSender::Options{
          .base_url = settings_.fcm_url, .text = text_of(settings_), .http = http_of(settings_)},
      thread_, clock_);
  return {};
}

Result<void> Opening::open_apns() {
  if (settings_.apns_cfg_file.empty() && settings_.apns_path_key.empty()) {
    note("push by apns is off: APNS_CFG_FILE is not set");
    return {};
  }
  if (settings_.apns_cfg_file.empty() || settings_.apns_path_key.empty() ||
      settings_.apns_topic.empty()) {
    warn("push by apns is off: it needs APNS_CFG_FILE, APNS_PATH_KEY and APNS_TOPIC");
    return {};
  }
  auto json = read_if_there(settings_.apns_cfg_file, "APNS_CFG_FILE");
  if (!json) return std::unexpected(json.error());
  auto key = read_if_there(settings_.apns_path_key, "APNS_PATH_KEY");
  if (!key) return std::unexpected(key.error());
  if (!*json || !*key) {
    warn("push by apns is off: " +
         (!*json ? "APNS_CFG_FILE names " + settings_.apns_cfg_file.string()
                 : "APNS_PATH_KEY names " + settings_.apns_path_key.string()) +
         ", which does not exist");
    return {};
  }
  auto identity = ApnsIdentity::parse(**json, std::move(**key), settings_.apns_topic);
  if (!identity) return std::unexpected(identity.error());
  note("push by apns is on, for " + settings_.apns_topic +
       (identity->production ? " (production)" : " (sandbox)"));
  outcome_.senders.apns = std::make_unique<ApnsSender>(
      std::move(*identity),
      ApnsSender::Options{
          .base_url = settings_.apns_url, .text = text_of(settings_), .http = http_of(settings_)},
      thread_, clock_);
  return {};
}

Result<void> Opening::open_webhook() {
  if (settings_.webhook_url.empty()) {
    note("push by webhook is off: MPR_WEBHOOK_URL is not set");
    return {};
  }
  if (settings_.webhook_secret.empty()) {
    warn("push by webhook is not signed: MPR_WEBHOOK_SECRET is not set");
  }
  note("push by webhook is on");
  outcome_.senders.webhook = std::make_unique<WebhookSender>(
      WebhookSender::Options{.url = settings_.webhook_url.reveal(),
                             .secret = settings_.webhook_secret.reveal(),
                             .http = http_of(settings_)},
      thread_, clock_);
  return {};
}

}  // namespace

NotificationSender* PushSenders::of(PushProvider provider) const {
  NotificationSender* own = nullptr;
  if (provider == PushProvider::fcm) own = fcm.get();
  if (provider == PushProvider::apns) own = apns.get();
  return own != nullptr ? own : webhook.get();
}

Result<OpenedPushSenders> open_push_senders(const Settings& settings, IoThread& thread,
                                            Clock& clock) {
  return Opening(settings, thread, clock).run();
}

}  // namespace mpr
