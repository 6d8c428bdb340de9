#include "store/redis/redis_push_windows.hpp"

#include <utility>
#include <vector>

#include "store/redis/scripts.hpp"

namespace mpr {

namespace {

using std::chrono::milliseconds;

// Two clocks have counted the window, this gateway's and the server's: a window is over for the
// latter, too, when no more than this is left of it.
constexpr milliseconds kClockSlack{100};

Result<WindowAnswer> answer_of_script(redis::Outcome<redis::Value> outcome) {
  if (!outcome) return std::unexpected(std::move(outcome.error().error));
  if (outcome->is_error()) return std::unexpected(redis::error_of(*outcome));
  if (!outcome->is_integer()) {
    return fail(Errc::internal, "a push window's script did not answer with a number");
  }
  WindowAnswer answer;
  if (outcome->integer < 0) {
    answer.decision = PushDecision::now;
  } else if (outcome->integer > 0) {
    answer.decision = PushDecision::at_window_end;
    answer.remaining = milliseconds(outcome->integer);
  }
  return answer;
}

}  // namespace

RedisPushWindows::RedisPushWindows(redis::Client& client, redis::Keys keys, milliseconds window)
    : client_(client), keys_(std::move(keys)), window_(window) {}

// A token is spread over the partitions as a connection is.
std::string RedisPushWindows::key_of(std::string token_key) const {
  return keys_.of_connection("push", {TenantId(), ConnectionId(std::move(token_key))});
}

Task<Result<WindowAnswer>> RedisPushWindows::on_message(std::string token_key, Deadline deadline) {
  std::vector<std::string> keys{key_of(std::move(token_key))};
  std::vector<std::string> arguments{std::to_string(window_.count())};
  // Not repeated: if its answer was lost, the gateway's own windows decide.
  co_return answer_of_script(co_await client_.eval(redis::scripts::push_message(), std::move(keys),
                                                   std::move(arguments), redis::Repeat::never,
                                                   deadline));
}

Task<Result<WindowAnswer>> RedisPushWindows::on_window_end(std::string token_key,
                                                           Deadline deadline) {
  std::vector<std::string> keys{key_of(std::move(token_key))};
  std::vector<std::string> arguments{std::to_string(window_.count()),
                                     std::to_string(kClockSlack.count())};
  co_return answer_of_script(co_await client_.eval(redis::scripts::push_window_end(),
                                                   std::move(keys), std::move(arguments),
                                                   redis::Repeat::never, deadline));
}

}  // namespace mpr
