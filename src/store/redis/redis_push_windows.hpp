// The push windows of all gateways, in Redis: one key for each token that was pushed lately, which
// expires with its window. Tokens appear only as their key, a digest.
//
// Thread-safe. The client outlives it. If the gateway that planned a push at the end of a window
// dies before, that push is not sent: the first one of the window was, and the next message after
// it pushes again.
#pragma once

#include <chrono>
#include <string>

#include "core/push_windows.hpp"
#include "store/redis/client.hpp"
#include "store/redis/keys.hpp"

namespace mpr {

class RedisPushWindows final : public PushWindows {
 public:
  RedisPushWindows(redis::Client& client, redis::Keys keys, std::chrono::milliseconds window);

  Task<Result<WindowAnswer>> on_message(std::string token_key, Deadline deadline) override;
  Task<Result<WindowAnswer>> on_window_end(std::string token_key, Deadline deadline) override;

 private:
  std::string key_of(std::string token_key) const;

  redis::Client& client_;
  const redis::Keys keys_;
  const std::chrono::milliseconds window_;
};

}  // namespace mpr
