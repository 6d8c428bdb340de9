// Apple Push Notification service, HTTP/2 with token authentication, for one app.
//
// For its io thread only, which outlives it, as does the clock. Construct and destroy it while the
// thread does not run.
#pragma once

#include <string>

#include "core/ports.hpp"
#include "push/apns_identity.hpp"
#include "push/http_client.hpp"
#include "push/notification_sender.hpp"
#include "push/notification_text.hpp"
#include "push/provider_token.hpp"

namespace mpr {

class ApnsSender final : public NotificationSender {
 public:
  struct Options {
    std::string base_url = {};  // empty: Apple's, production or sandbox as the identity says
    NotificationText text;
    HttpClient::Options http;
  };

  ApnsSender(ApnsIdentity identity, Options options, IoThread& thread, Clock& clock);

  Task<PushVerdict> send(Notification notification) override;
  void stop() override;

 private:
  HttpRequest request_of(const Notification& notification, const std::string& token) const;

  const ApnsIdentity identity_;
  const Options options_;
  const std::string base_url_;
  Clock& clock_;
  ProviderToken provider_token_;
  HttpClient http_;
};

// The request's body, 4,096 bytes at most whatever the ids and texts are.
std::string apns_body(const Notification& notification, const NotificationText& text);

PushVerdict judge_apns(const HttpAnswer& answer);

}  // namespace mpr
