#include "app/start_warnings.hpp"

#include "app/file_limit.hpp"
#include "app/mongo_uri.hpp"

namespace mpr {

namespace {

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

}  // namespace

std::vector<std::string> start_warnings(const Settings& settings) {
  std::vector<std::string> warnings;
  if (!is_loopback(settings.bind) && settings.auth_token.empty()) {
    warnings.push_back("everybody who reaches " + settings.bind +
                       " may read and remove messages: set MPR_AUTH_TOKEN_FILE, or MPR_BIND to a "
                       "loopback address");
  }
  if (settings.backend == Backend::memory) {
    warnings.emplace_back(
        "messages are kept in memory only (MPR_BACKEND): they are gone when the process ends");
  }
  if (settings.backend == Backend::redis &&
      mongo_uri_option(settings.mongodb_uri.reveal(), "w") == "1") {
    warnings.emplace_back(
        "MONGODB_URI has w=1: what MongoDB has confirmed is lost when its primary is; without w, a "
        "majority has it");
  }
  const bool archives = settings.backend == Backend::redis && !settings.mongodb_uri.empty() &&
                        settings.durability != DurabilityMode::durable;
  if (archives && settings.threshold_timestamp <= settings.call_timeout) {
    warnings.emplace_back(
        "THRESHOLD_TIMESTAMP is not longer than MPR_CALL_TIMEOUT_MS: a call that began before a "
        "message came may miscount while that message moves to MongoDB");
  }
  if (const auto room = room_for_connections(); room < settings.max_connections) {
    warnings.push_back("MPR_MAX_CONNECTIONS is " + std::to_string(settings.max_connections) +
                       " but the limit of open files leaves room for " + std::to_string(room) +
                       ": raise it (ulimit -n, LimitNOFILE) or lower the option");
  }
  return warnings;
}

}  // namespace mpr
