// How many push notifications a second the dispatcher gets through to a peer, and what memory does
// meanwhile: push_throughput URL CA_FILE TOKENS. Each push is for another token, goes through
// windows, dispatcher, the webhook sender and libcurl, and is answered before it counts.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>

#include "push/memory_push_windows.hpp"
#include "push/push_dispatcher.hpp"
#include "push/webhook_sender.hpp"

namespace {

using namespace mpr;
using namespace std::chrono_literals;

class MachineClock final : public Clock {
 public:
  TimePoint now() const override {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now());
  }
  std::chrono::steady_clock::time_point steady_now() const override {
    return std::chrono::steady_clock::now();
  }
};

class NobodyWaits final : public PushNeed {
 public:
  Task<Result<bool>> is_waiting(Connection, PushUnless, Deadline) override { co_return false; }
};

class NobodyListens final : public PushFeedback {
 public:
  void push_token_invalid(const InvalidPushToken&) override {}
};

std::uint64_t accepted(const Metrics& metrics) {
  return metrics
      .pushes[static_cast<std::size_t>(PushProvider::webhook)]
             [static_cast<std::size_t>(PushResult::accepted)]
      .value();
}

double resident_mib() {
  std::ifstream in("/proc/self/statm");
  long size = 0;
  long resident = 0;
  in >> size >> resident;
  return static_cast<double>(resident) * 4096 / (1 << 20);
}

PushRequest request_to(std::uint64_t number) {
  PushRequest request;
  request.connection.id = ConnectionId("connection-" + std::to_string(number));
  request.message_id = MessageId("message-" + std::to_string(number));
  request.token = {PushProvider::webhook, "token-" + std::string(140, 'x') + std::to_string(number),
                   ""};
  return request;
}

// Keeps `ahead` pushes in the dispatcher until all are through; prints a line every second.
void run(PushDispatcher& dispatcher, const Metrics& metrics, std::uint64_t tokens) {
  constexpr std::uint64_t kAhead = 4'000;
  std::uint64_t sent = 0;
  std::uint64_t before = 0;
  auto next = std::chrono::steady_clock::now() + 1s;
  while (accepted(metrics) < tokens) {
    while (sent < tokens && sent < accepted(metrics) + kAhead)
      dispatcher.enqueue(request_to(sent++));
    std::this_thread::sleep_for(1ms);
    if (std::chrono::steady_clock::now() < next) continue;
    next += 1s;
    const std::uint64_t done = accepted(metrics);
    std::printf("%9lu pushes, %6lu/s, %6.1f MiB resident\n", done, done - before, resident_mib());
    std::fflush(stdout);
    before = done;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: push_throughput URL CA_FILE TOKENS\n";
    return 2;
  }
  MachineClock clock;
  NobodyWaits need;
  NobodyListens feedback;
  Metrics metrics;
  IoThread thread("mpr-push");
  WebhookSender::Options options{.url = argv[1], .secret = "secret", .http = {}};
  options.http.ca_file = argv[2];
  WebhookSender sender(std::move(options), thread, clock);
  MemoryPushWindows windows(PushPolicy{5s}, clock);
  PushDispatcher dispatcher(thread, {windows, need, feedback, clock, metrics}, {});
  dispatcher.add_sender(PushProvider::webhook, sender);
  dispatcher.start();

  const std::uint64_t tokens = std::strtoull(argv[3], nullptr, 10);
  const auto begun = std::chrono::steady_clock::now();
  run(dispatcher, metrics, tokens);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::printf("%lu pushes in %.1f s: %.0f/s, %.1f MiB resident, %lu retries\n", tokens,
              took.count(), static_cast<double>(tokens) / took.count(), resident_mib(),
              metrics.push_retries.value());
  dispatcher.drain();
  return 0;
}
