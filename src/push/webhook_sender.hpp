// Tells a service of the operator's own that a phone is to be woken: a signed POST. For push
// services that have no sender here.
//
// For its io thread only, which outlives it, as does the clock. Construct and destroy it while the
// thread does not run.
#pragma once

#include <string>

#include "core/ports.hpp"
#include "push/http_client.hpp"
#include "push/notification_sender.hpp"

namespace mpr {

class WebhookSender final : public NotificationSender {
 public:
  struct Options {
    std::string url;
    std::string secret;  // of the signature; empty: nothing is signed
    HttpClient::Options http;
  };

  WebhookSender(Options options, IoThread& thread, Clock& clock);

  Task<PushVerdict> send(Notification notification) override;
  void stop() override;

 private:
  const Options options_;
  Clock& clock_;
  HttpClient http_;
};

std::string webhook_body(const Notification& notification);

// "t=1750000000,v1=<hexadecimal HMAC-SHA-256 over "1750000000.<body>">": the time is signed too, so
// that a receiver can refuse what is old.
std::string webhook_signature(std::string_view secret, TimePoint now, std::string_view body);

PushVerdict judge_webhook(const HttpAnswer& answer);

}  // namespace mpr
