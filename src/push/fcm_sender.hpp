// Firebase Cloud Messaging, HTTP v1. One or several projects, each with a service account; a token
// names its project, or belongs to the first.
//
// For its io thread only, which outlives it, as does the clock. Construct and destroy it while the
// thread does not run.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/ports.hpp"
#include "push/access_token.hpp"
#include "push/fcm_account.hpp"
#include "push/http_client.hpp"
#include "push/notification_sender.hpp"
#include "push/notification_text.hpp"

namespace mpr {

class FcmSender final : public NotificationSender {
 public:
  struct Options {
    std::string base_url = "https://fcm.googleapis.com";
    NotificationText text;
    HttpClient::Options http;
  };

  // At least one account.
  FcmSender(std::vector<FcmAccount> accounts, Options options, IoThread& thread, Clock& clock);

  Task<PushVerdict> send(Notification notification) override;
  void stop() override;

 private:
  struct Project {
    Project(FcmAccount a, const std::string& base_url, HttpClient& http, Clock& clock);
    const FcmAccount account;
    const std::string url;
    AccessToken access_token;
  };
  Project* find(const std::string& id);

  const Options options_;
  HttpClient http_;        // messages
  HttpClient token_http_;  // access tokens: they never wait behind messages
  std::deque<Project> projects_;
};

// The request's body.
std::string fcm_body(const Notification& notification, const NotificationText& text);

PushVerdict judge_fcm(const HttpAnswer& answer);

}  // namespace mpr
