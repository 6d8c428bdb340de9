// What operators and their tools are shown: health, readiness, metrics, status. Shows counts and
// configuration, never the content of a message, a connection id or a token.
//
// For one thread: the ops server's; what it looks at (store, directory, metrics, clock) is
// thread-safe and outlives it. begin_draining() is for any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/metrics.hpp"
#include "core/ports.hpp"
#include "net/http_server.hpp"
#include "ops/activity.hpp"

namespace mpr {

// What does not change while the process lives.
struct NodeFacts {
  std::string version;
  std::string backend;
  std::string data_directory;         // empty: the backend has none
  std::vector<std::string> warnings;  // of the start
  std::string gateway = {};           // this process as others name it in their logs
  std::string host = {};              // the machine's name
};

class Pages {
 public:
  struct Sources {
    const MessageStore& store;
    const LiveDirectory& directory;
    const Clock& clock;
    const Metrics& metrics;
    // How long the most silent io thread has not finished a turn.
    std::function<std::chrono::milliseconds()> longest_silence;
  };

  Pages(Sources sources, NodeFacts facts);

  // Answers GET and HEAD of /, /status.json, /metrics, /healthz and /readyz; the rest is 404.
  HttpResponse answer(const HttpRequest& request);

  // Notes what rates are made from; call about once a second.
  void sample();

  // From here on the process is not ready: a load balancer sends nobody any more.
  void begin_draining() noexcept { draining_ = true; }

 private:
  HttpResponse health() const;
  HttpResponse readiness() const;
  HttpResponse metrics() const;
  HttpResponse status() const;
  std::vector<std::string> reasons_not_ready() const;
  std::vector<std::string> warnings() const;

  const Sources sources_;
  const NodeFacts facts_;
  const TimePoint started_;
  const std::chrono::steady_clock::time_point started_steady_;
  Activity activity_;
  std::atomic<bool> draining_ = false;
};

}  // namespace mpr
