#include "base/metrics.hpp"

#include <charconv>
#include <string_view>

#include "base/text.hpp"

namespace mpr {

namespace {

void append_head(std::string& out, std::string_view name, std::string_view type,
                 std::string_view help) {
  out += "# HELP ";
  out += name;
  out += ' ';
  out += help;
  out += "\n# TYPE ";
  out += name;
  out += ' ';
  out += type;
  out += '\n';
}

void append_double(std::string& out, double value) {
  std::array<char, 64> digits;  // without exponents: people read these too
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed)
          .ptr;
  out.append(digits.data(), end);
}

void append(std::string& out, std::string_view name, const Counter& counter,
            std::string_view help) {
  append_head(out, name, "counter", help);
  out += name;
  out += ' ';
  append_number(out, counter.value());
  out += '\n';
}

void append(std::string& out, std::string_view name, const Gauge& gauge, std::string_view help) {
  append_head(out, name, "gauge", help);
  out += name;
  out += ' ';
  out += std::to_string(gauge.value());
  out += '\n';
}

constexpr std::array<std::string_view, kPushProviders> kProviderNames = {"fcm", "apns", "webhook"};
constexpr std::array<std::string_view, kPushResults> kPushResultNames = {
    "accepted",      "token_dead", "known_dead", "doubted",  "rejected",
    "misconfigured", "no_sender",  "unneeded",   "given_up", "dropped"};

void append_pushes(std::string& out, const decltype(Metrics::pushes)& pushes) {
  append_head(out, "mpr_pushes_total", "counter",
              "Push notifications by provider and by how they ended.");
  for (std::size_t provider = 0; provider < kPushProviders; ++provider) {
    for (std::size_t result = 0; result < kPushResults; ++result) {
      out += "mpr_pushes_total{provider=\"";
      out += kProviderNames[provider];
      out += "\",result=\"";
      out += kPushResultNames[result];
      out += "\"} ";
      append_number(out, pushes[provider][result].value());
      out += '\n';
    }
  }
}

}  // namespace

void Histogram::observe(std::chrono::nanoseconds duration) noexcept {
  const double seconds = std::chrono::duration<double>(duration).count();
  std::size_t i = 0;
  while (i < kBoundsSeconds.size() && seconds > kBoundsSeconds[i]) ++i;
  buckets_[i].fetch_add(1, std::memory_order_relaxed);
  sum_nanoseconds_.fetch_add(static_cast<std::uint64_t>(duration.count()),
                             std::memory_order_relaxed);
}

Histogram::Snapshot Histogram::snapshot() const noexcept {
  Snapshot counts;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = buckets_[i].load(std::memory_order_relaxed);
  }
  return counts;
}

double Histogram::quantile_of(const Snapshot& counts, double share) noexcept {
  std::uint64_t total = 0;
  for (const std::uint64_t count : counts) total += count;
  if (total == 0) return 0;
  const double rank = share * static_cast<double>(total);
  double below = 0;
  for (std::size_t i = 0; i < kBoundsSeconds.size(); ++i) {
    const auto inside = static_cast<double>(counts[i]);
    if (inside > 0 && below + inside >= rank) {
      const double low = i == 0 ? 0 : kBoundsSeconds[i - 1];
      return low + (kBoundsSeconds[i] - low) * (rank - below) / inside;
    }
    below += inside;
  }
  return kBoundsSeconds.back();
}

std::string Metrics::render(Pending pending) const {
  std::string out;
  out.reserve(12 * 1024);
  const auto histogram = [&out](std::string_view name, const Histogram& h, std::string_view help) {
    append_head(out, name, "histogram", help);
    std::uint64_t total = 0;
    for (std::size_t i = 0; i <= Histogram::kBoundsSeconds.size(); ++i) {
      total += h.buckets_[i].load(std::memory_order_relaxed);
      out += name;
      out += "_bucket{le=\"";
      if (i < Histogram::kBoundsSeconds.size()) {
        append_double(out, Histogram::kBoundsSeconds[i]);
      } else {
        out += "+Inf";
      }
      out += "\"} ";
      append_number(out, total);
      out += '\n';
    }
    out += name;
    out += "_sum ";
    append_double(out, static_cast<double>(h.sum_nanoseconds_.load()) / 1e9);
    out += '\n';
    out += name;
    out += "_count ";
    append_number(out, total);
    out += '\n';
  };

  append(out, "mpr_sockets_open", sockets_open, "WebSocket connections open now.");
  append(out, "mpr_sockets_accepted_total", sockets_accepted, "WebSocket handshakes completed.");
  append(out, "mpr_sockets_refused_total", sockets_refused,
         "Connections refused: over the limit, or a bad handshake.");
  append(out, "mpr_sockets_lost_keepalive_total", sockets_lost_keepalive,
         "Connections closed because the peer stopped answering pings.");
  append(out, "mpr_protocol_errors_total", protocol_errors,
         "Connections closed for a WebSocket error (1002, 1007, 1009).");
  append(out, "mpr_received_bytes_total", bytes_received, "Bytes read from WebSocket peers.");
  append(out, "mpr_sent_bytes_total", bytes_sent, "Bytes written to WebSocket peers.");
  append(out, "mpr_outbound_bytes", outbound_bytes, "Bytes waiting in outbound buffers.");
  append(out, "mpr_calls_total", calls, "JSON-RPC calls received, batch members counted singly.");
  append(out, "mpr_calls_failed_total", calls_failed, "Calls answered with an error.");
  append(out, "mpr_calls_rejected_total", calls_rejected,
         "Calls answered with an error because the input was wrong.");
  append(out, "mpr_calls_timed_out_total", calls_timed_out,
         "Calls answered with deadline_exceeded.");
  histogram("mpr_call_seconds", call_seconds, "Time from a call's arrival to its answer.");
  append(out, "mpr_messages_added_total", messages_added, "Messages accepted.");
  append(out, "mpr_messages_deduplicated_total", messages_deduplicated,
         "Adds answered from an earlier add with the same messageId.");
  append(out, "mpr_messages_delivered_total", messages_delivered,
         "Messages sent to a live session.");
  append(out, "mpr_messages_acknowledged_total", messages_acknowledged,
         "Messages removed by their receiver.");
  append(out, "mpr_messages_expired_total", messages_expired,
         "Messages dropped because their time to live ran out.");
  append(out, "mpr_deliveries_postponed_total", deliveries_postponed,
         "Live deliveries that waited because the receiver read too slowly.");
  append(out, "mpr_acknowledgements_overdue_total", acknowledgements_overdue,
         "Messages delivered live but not acknowledged in time.");
  if (pending == Pending::known) {
    append(out, "mpr_messages_pending", messages_pending, "Messages stored and not acknowledged.");
    append(out, "mpr_pending_bytes", bytes_pending, "Payload bytes stored and not acknowledged.");
    append(out, "mpr_queues", queues, "Connections with at least one pending message.");
  }
  append(out, "mpr_live_sessions", live_sessions, "Live sessions held, orphaned ones included.");
  append(out, "mpr_live_sessions_orphaned", live_sessions_orphaned,
         "Live sessions whose socket vanished and whose grace is running.");
  append(out, "mpr_live_sessions_replaced_total", live_sessions_replaced,
         "Live sessions replaced by a newer one.");
  append(out, "mpr_live_sessions_adopted_total", live_sessions_adopted,
         "Orphaned live sessions taken on by another socket.");
  append(out, "mpr_live_sessions_expired_total", live_sessions_expired,
         "Orphaned live sessions whose grace ran out.");
  append(out, "mpr_pushes_due_total", pushes_due, "Push notifications found due.");
  append(out, "mpr_pushes_collapsed_total", pushes_collapsed,
         "Push notifications covered by another one for the same token.");
  append_pushes(out, pushes);
  append(out, "mpr_push_retries_total", push_retries, "Further attempts to send a notification.");
  append(out, "mpr_pushes_waiting", pushes_waiting,
         "Tokens with a notification due, planned or under way.");
  histogram("mpr_push_seconds", push_seconds,
            "Time from a notification's being due to its acceptance by the provider.");
  append(out, "mpr_gateways_alive", gateways_alive,
         "Gateways that share the backend, this one included; 0 without a shared backend.");
  append(out, "mpr_announcements_total", announcements,
         "Messages announced to the gateway that holds their live session.");
  append(out, "mpr_announcements_failed_total", announcements_failed,
         "Announcements that nobody heard.");
  append(out, "mpr_directory_gaps_total", directory_gaps,
         "Times that all live sessions were checked because an announcement may be lost.");
  append(out, "mpr_store_errors_total", store_errors, "Store operations that failed.");
  append(out, "mpr_store_commits_total", store_commits, "Groups of records written and synced.");
  histogram("mpr_store_commit_seconds", store_commit_seconds,
            "Time to write and sync one group of records.");
  append(out, "mpr_store_disk_bytes", store_disk_bytes, "Bytes of log segments on disk.");
  append(out, "mpr_store_live_bytes", store_live_bytes,
         "The part of the log that pending messages occupy.");
  append(out, "mpr_store_relocated_bytes_total", store_relocated_bytes,
         "Bytes of live records moved so that an old segment could be removed.");
  append(out, "mpr_messages_archived_total", messages_archived,
         "Messages moved from the hot tier to the cold tier.");
  append(out, "mpr_archive_bulks_total", archive_bulks, "Bulks copied to the cold tier.");
  append(out, "mpr_archive_failures_total", archive_failures,
         "Archiving steps that a backend refused; they are done again.");
  append(out, "mpr_archive_set_aside_total", archive_set_aside,
         "Times that a queue was set aside because its oldest message cannot be archived.");
  append(out, "mpr_archive_lag_seconds", archive_lag_seconds,
         "By how much the oldest message found due for archiving was overdue in the last pass.");
  return out;
}

}  // namespace mpr
