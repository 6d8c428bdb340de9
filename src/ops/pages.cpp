#include "ops/pages.hpp"

#include <array>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "ops/process_usage.hpp"
#include "ops/status_page.hpp"

namespace mpr {

namespace {

// An io thread turns every 100 ms; one that has not for so long is stuck, not busy.
constexpr std::chrono::milliseconds kStuckAfter{5000};
// Of the file system that holds the data directory.
constexpr double kLowFreeShare = 0.10;

void append_decimal(std::string& out, double value) {
  std::array<char, 64> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed)
          .ptr;
  out.append(digits.data(), end);
}

// A JSON object under construction; nested ones are filled by a function.
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  ~JsonObject() { out_ += '}'; }
  JsonObject(const JsonObject&) = delete;
  JsonObject& operator=(const JsonObject&) = delete;

  void text(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(out_, value);
  }
  void number(std::string_view name, std::uint64_t value) {
    key(name);
    append_number(out_, value);
  }
  void number(std::string_view name, std::int64_t value) {
    key(name);
    out_ += std::to_string(value);
  }
  void decimal(std::string_view name, double value) {
    key(name);
    append_decimal(out_, value);
  }
  void boolean(std::string_view name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
  }
  void texts(std::string_view name, const std::vector<std::string>& values) {
    key(name);
    out_ += '[';
    for (const std::string& value : values) {
      if (&value != &values.front()) out_ += ',';
      append_json_string(out_, value);
    }
    out_ += ']';
  }
  template <class Fill>
  void object(std::string_view name, Fill fill) {
    key(name);
    JsonObject nested(out_);
    fill(nested);
  }

 private:
  void key(std::string_view name) {
    if (!std::exchange(first_, false)) out_ += ',';
    append_json_string(out_, name);
    out_ += ':';
  }

  std::string& out_;
  bool first_ = true;
};

HttpResponse json_response(int status, std::string body) {
  return {status, "application/json", std::move(body)};
}

void append_metric(std::string& out, std::string_view name, std::string_view type,
                   std::string_view help, std::string_view labels, double value) {
  out.append("# HELP ").append(name).append(" ").append(help);
  out.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
  out.append(name).append(labels).append(" ");
  append_decimal(out, value);
  out += '\n';
}

std::optional<std::filesystem::space_info> space_of(const std::string& directory) {
  if (directory.empty()) return std::nullopt;
  std::error_code error;
  const auto space = std::filesystem::space(directory, error);
  if (error || space.capacity == 0) return std::nullopt;
  return space;
}

double epoch_seconds(TimePoint time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

void fill_rates(JsonObject& rates, const Activity::Recent& recent) {
  rates.decimal("addedPerSecond", recent.added);
  rates.decimal("deliveredPerSecond", recent.delivered);
  rates.decimal("acknowledgedPerSecond", recent.acknowledged);
  rates.decimal("callsPerSecond", recent.calls);
  rates.decimal("failedPerSecond", recent.failed);
}

void fill_latency(JsonObject& latency, const Activity::Recent& recent) {
  latency.decimal("callP50Milliseconds", recent.call_p50 * 1e3);
  latency.decimal("callP99Milliseconds", recent.call_p99 * 1e3);
  latency.decimal("commitP50Milliseconds", recent.commit_p50 * 1e3);
  latency.decimal("commitP99Milliseconds", recent.commit_p99 * 1e3);
}

void fill_process(JsonObject& process, const ProcessUsage& usage) {
  process.number("residentBytes", usage.resident_bytes);
  process.decimal("cpuSeconds", usage.cpu_seconds);
  process.number("openFiles", usage.open_files);
  process.number("openFilesLimit", usage.open_files_limit);
}

}  // namespace

Pages::Pages(Sources sources, NodeFacts facts)
    : sources_(std::move(sources)),
      facts_(std::move(facts)),
      started_(sources_.clock.now()),
      started_steady_(sources_.clock.steady_now()),
      activity_(sources_.metrics) {
  sample();
}

void Pages::sample() { activity_.sample(sources_.clock.steady_now()); }

HttpResponse Pages::answer(const HttpRequest& request) {
  const std::string_view path =
      std::string_view(request.target).substr(0, request.target.find('?'));
  if (path == "/") return {200, "text/html; charset=utf-8", std::string(status_page())};
  if (path == "/status.json") return status();
  if (path == "/metrics") return metrics();
  if (path == "/healthz") return health();
  if (path == "/readyz") return readiness();
  return {404, "text/plain; charset=utf-8",
          "not found; there are /, /status.json, /metrics, /healthz and /readyz\n"};
}

HttpResponse Pages::health() const {
  const auto silence = sources_.longest_silence();
  if (silence < kStuckAfter) return {.body = "ok\n"};
  return {503, "text/plain; charset=utf-8",
          "an io thread has not answered for " + std::to_string(silence.count()) + " ms\n"};
}

std::vector<std::string> Pages::reasons_not_ready() const {
  std::vector<std::string> reasons;
  if (draining_) reasons.emplace_back("draining: the process is about to end");
  if (const auto store = sources_.store.ready(); !store) {
    reasons.push_back("store: " + store.error().context);
  }
  if (const auto directory = sources_.directory.ready(); !directory) {
    reasons.push_back("live sessions: " + directory.error().context);
  }
  return reasons;
}

HttpResponse Pages::readiness() const {
  const auto reasons = reasons_not_ready();
  std::string body;
  {
    JsonObject answer(body);
    answer.boolean("ready", reasons.empty());
    answer.texts("reasons", reasons);
  }
  return json_response(reasons.empty() ? 200 : 503, body + "\n");
}

HttpResponse Pages::metrics() const {
  const bool known = sources_.store.totals().known == StoreTotals::Known::all;
  std::string out =
      sources_.metrics.render(known ? Metrics::Pending::known : Metrics::Pending::unknown);
  const ProcessUsage usage = process_usage();
  std::string labels = "{version=";
  append_json_string(labels, facts_.version);  // a label's text escapes like a JSON string's
  labels += ",backend=";
  append_json_string(labels, facts_.backend);
  labels += '}';
  append_metric(out, "mpr_build_info", "gauge", "Always 1; the labels say what runs.", labels, 1);
  append_metric(out, "mpr_ready", "gauge", "1 when /readyz answers 200, else 0.", "",
                reasons_not_ready().empty() ? 1 : 0);
  if (const auto space = space_of(facts_.data_directory)) {
    append_metric(out, "mpr_disk_free_bytes", "gauge",
                  "Bytes left for this process on the data directory's file system.", "",
                  static_cast<double>(space->available));
  }
  append_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.", "",
                static_cast<double>(usage.resident_bytes));
  append_metric(out, "process_cpu_seconds_total", "counter", "CPU time taken, in seconds.", "",
                usage.cpu_seconds);
  append_metric(out, "process_open_fds", "gauge", "Open file descriptors.", "",
                static_cast<double>(usage.open_files));
  append_metric(out, "process_max_fds", "gauge", "Most file descriptors the process may open.", "",
                static_cast<double>(usage.open_files_limit));
  append_metric(out, "process_start_time_seconds", "gauge",
                "Start of the process, in seconds since 1970.", "", epoch_seconds(started_));
  return {200, "text/plain; version=0.0.4; charset=utf-8", std::move(out)};
}

std::vector<std::string> Pages::warnings() const {
  std::vector<std::string> all = facts_.warnings;
  const auto silence = sources_.longest_silence();
  if (silence >= kStuckAfter) {
    all.push_back("an io thread has not answered for " + std::to_string(silence.count()) + " ms");
  }
  const auto space = space_of(facts_.data_directory);
  if (space && static_cast<double>(space->available) <
                   kLowFreeShare * static_cast<double>(space->capacity)) {
    all.push_back("the file system of " + facts_.data_directory +
                  " is nearly full: " + std::to_string(space->available >> 20) + " MiB left");
  }
  return all;
}

HttpResponse Pages::status() const {
  const Metrics& m = sources_.metrics;
  const Activity::Recent recent = activity_.recent();
  const StoreTotals totals = sources_.store.totals();
  const auto reasons = reasons_not_ready();
  const auto uptime = sources_.clock.steady_now() - started_steady_;
  std::string body;
  {
    JsonObject page(body);
    page.text("version", facts_.version);
    page.text("backend", facts_.backend);
    page.text("dataDirectory", facts_.data_directory);
    page.text("gateway", facts_.gateway);
    page.text("host", facts_.host);
    page.text("startedAt", to_iso8601(started_));
    page.decimal("uptimeSeconds", std::chrono::duration<double>(uptime).count());
    page.boolean("ready", reasons.empty());
    page.texts("reasons", reasons);
    page.texts("warnings", warnings());
    page.number("sockets", m.sockets_open.value());
    page.number("liveSessions", m.live_sessions.value());
    page.number("orphanedSessions", m.live_sessions_orphaned.value());
    page.number("queues", totals.queues);
    if (totals.known == StoreTotals::Known::all) {
      page.number("pendingMessages", totals.messages);
      page.number("pendingBytes", totals.bytes);
    }
    page.object("rates", [&](JsonObject& rates) { fill_rates(rates, recent); });
    page.object("latency", [&](JsonObject& latency) { fill_latency(latency, recent); });
    page.object("disk", [&](JsonObject& disk) {
      disk.number("logBytes", m.store_disk_bytes.value());
      disk.number("liveBytes", m.store_live_bytes.value());
      if (const auto space = space_of(facts_.data_directory)) {
        disk.number("freeBytes", std::uint64_t{space->available});
      }
    });
    page.object("process", [](JsonObject& process) { fill_process(process, process_usage()); });
  }
  return json_response(200, body + "\n");
}

}  // namespace mpr
