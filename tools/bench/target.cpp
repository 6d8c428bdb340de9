#include "tools/bench/target.hpp"

#include <cstdlib>

namespace mpr::bench {

namespace {

Result<client::Url> loadable(const std::string& address, const Options& options) {
  auto url = client::parse_url(address);
  if (url && !options.allow_remote && !client::is_loopback(url->host)) {
    return fail(Errc::invalid_argument,
                address + " is not loopback; --allow-remote loads it all the same");
  }
  return url;
}

}  // namespace

Result<Target> Target::open(const Options& options) {
  Target target;
  if (const char* token = std::getenv("MPR_AUTH_TOKEN")) target.token_ = token;
  std::string address = options.url;
  if (options.start) {
    auto server = ServerProcess::start(options.backend, target.token_);
    if (!server) return std::unexpected(server.error());
    target.own_ = std::move(*server);
    target.pid_ = target.own_->pid();
    address = target.own_->url();
  } else if (options.server_pid) {
    target.pid_ = static_cast<pid_t>(*options.server_pid);
    const auto usage = usage_of(*target.pid_);
    if (!usage) return std::unexpected(usage.error());
  }
  const auto url = loadable(address, options);
  if (!url) return std::unexpected(url.error());
  const auto receiver_url =
      options.receiver_url.empty() ? url : loadable(options.receiver_url, options);
  if (!receiver_url) return std::unexpected(receiver_url.error());
  target.receiver_address_ = options.receiver_url.empty() ? address : options.receiver_url;
  target.address_ = std::move(address);
  target.url_ = *url;
  target.receiver_url_ = *receiver_url;
  return target;
}

std::optional<ProcessUsage> Target::usage() const {
  if (!pid_) return std::nullopt;
  const auto usage = usage_of(*pid_);
  return usage ? std::optional(*usage) : std::nullopt;
}

void Target::describe_start(Report& report) const {
  if (!own_) return;
  report.add("server_start_to_ready_ms", static_cast<double>(own_->start_to_ready().count()) / 1e6);
  report.add("server_resident_at_start_mb",
             static_cast<double>(own_->resident_bytes_at_start()) / 1e6);
}

Result<void> Target::close() { return own_ ? own_->stop() : Result<void>{}; }

void Stopwatch::start(const Target& target) {
  server_ = target.usage();
  own_ = own_usage();
  started_ = std::chrono::steady_clock::now();
}

void Stopwatch::stop(const Target& target) {
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  own_cpu_seconds_ = own_usage().cpu_seconds - own_.cpu_seconds;
  const auto server = target.usage();
  if (server && server_) server_cpu_seconds_ = server->cpu_seconds - server_->cpu_seconds;
}

std::optional<double> Stopwatch::server_cpu_percent() const noexcept {
  if (!server_cpu_seconds_ || seconds_ <= 0) return std::nullopt;
  return *server_cpu_seconds_ / seconds_ * 100;
}

void Stopwatch::add_rates(Report& report, std::string_view name, std::uint64_t operations) const {
  const auto count = static_cast<double>(operations);
  report.add(std::string(name) + "_per_second", seconds_ > 0 ? count / seconds_ : 0);
  if (operations == 0) return;
  if (server_cpu_seconds_) report.add("server_cpu_us_each", *server_cpu_seconds_ / count * 1e6);
  report.add("client_cpu_us_each", own_cpu_seconds_ / count * 1e6);
}

}  // namespace mpr::bench
