// The OAuth2 access token of one service account: fetched when it is first needed, kept until
// shortly before it expires, fetched by one request however many wait for it.
//
// For the HTTP client's io thread only. The client and the clock outlive it; nobody may wait any
// more when it is destroyed.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.hpp"
#include "core/ports.hpp"
#include "push/fcm_account.hpp"
#include "push/http_client.hpp"
#include "push/notification_sender.hpp"

namespace mpr {

class AccessToken {
 public:
  struct Answer {
    std::string token;    // empty: there is none,
    PushVerdict failure;  // for this reason
  };

  AccessToken(const FcmAccount& account, HttpClient& http, Clock& clock);

  Task<Answer> get();

  // The service refused this token: the next get() fetches another, unless it did so already.
  void refused(std::string_view token);

  std::size_t fetches() const noexcept { return fetches_; }

 private:
  Task<Answer> fetch();
  Answer read(const HttpAnswer& answer);

  const FcmAccount& account_;
  HttpClient& http_;
  Clock& clock_;
  Answer present_;
  std::chrono::steady_clock::time_point good_until_{};
  bool fetching_ = false;
  std::vector<Completion<Answer>*> waiting_;
  std::size_t fetches_ = 0;
};

}  // namespace mpr
