#include "app/check_servers.hpp"

#include "app/mongo_uri.hpp"
#include "app/redis_storage.hpp"
#include "base/run_loop.hpp"
#include "store/mongo/description.hpp"

namespace mpr {

namespace {

constexpr std::chrono::seconds kPatience{5};
using Report = std::function<void(Verdict, std::string)>;

std::string sentence_of(const redis::ServerReport& redis) {
  std::string text = "Redis: " + redis.mode + ", " + std::to_string(redis.primaries) +
                     (redis.primaries == 1 ? " primary, " : " primaries, ") +
                     std::to_string(redis.replicas) +
                     (redis.replicas == 1 ? " replica" : " replicas");
  for (const std::string& version : redis.versions) text += ", " + version;
  return text;
}

void check_redis(const Settings& settings, const Report& report) {
  auto options = redis_client_options(settings);
  if (!options) return report(Verdict::bad, options.error().context);
  Metrics metrics;
  redis::Client client(std::move(*options), metrics);
  const Deadline deadline = Deadline::after(kPatience);
  RunLoop loop;
  if (const auto connected = loop.run(connect_redis(client, deadline)); !connected) {
    return report(Verdict::bad, connected.error().context);
  }
  const auto found = loop.run(examine_redis(client, settings, deadline));
  if (!found) return report(Verdict::bad, found.error().context);
  report(Verdict::good, sentence_of(*found));
  for (const redis::ServerFinding& finding : found->findings) {
    using enum redis::ServerFinding::Severity;
    report(finding.severity == error     ? Verdict::bad
           : finding.severity == warning ? Verdict::warning
                                         : Verdict::good,
           finding.sentence);
  }
}

void check_mongodb(const Settings& settings, const Report& report) {
  if (settings.mongodb_uri.empty()) {
    return report(Verdict::warning,
                  "MONGODB_URI is not set: messages that stay long stay in the memory of Redis");
  }
  const std::string reads = mongo_uri_option(settings.mongodb_uri.reveal(), "readPreference");
  if (!reads.empty() && reads != "primary") {
    report(Verdict::warning,
           "the readPreference in MONGODB_URI is not used: every read asks the primary");
  }
  // With durable, what is left in Redis is moved before anybody reads.
  const std::string goes_on =
      std::string(": the start goes on without it") +
      (settings.durability == DurabilityMode::durable ? ", unless messages are left in Redis"
                                                      : "") +
      ", and /readyz says 503 until it answers";
  const auto found = describe_mongodb(mongo_options(settings));
  if (!found) {
    const bool may_come =
        found.error().code == Errc::unavailable || found.error().code == Errc::deadline_exceeded;
    return report(may_come ? Verdict::warning : Verdict::bad,
                  "MONGODB_URI: " + found.error().context + (may_come ? goes_on : ""));
  }
  report(Verdict::good, found->sentence());
  if (found->kind == MongoDescription::Kind::replica_set && found->primary.empty()) {
    report(Verdict::warning, "the replica set has no primary at present" + goes_on);
  }
}

}  // namespace

void check_servers(const Settings& settings, const Report& report) {
  check_redis(settings, report);
  check_mongodb(settings, report);
}

}  // namespace mpr
