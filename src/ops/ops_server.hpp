// Serves the operators' pages over HTTP, on a thread of its own, so that they answer when the
// gateway is busy.
//
// For the owner's thread: start(), stop(). The pages outlive the server.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "net/http_server.hpp"
#include "net/io_thread.hpp"
#include "ops/pages.hpp"

namespace mpr {

class OpsServer {
 public:
  explicit OpsServer(Pages& pages);
  ~OpsServer();
  OpsServer(const OpsServer&) = delete;
  OpsServer& operator=(const OpsServer&) = delete;

  // Yields the actual port. Fails with `unavailable`, naming the address.
  Result<std::uint16_t> start(const std::string& address, std::uint16_t port);

  // Closes all connections and ends the thread; idempotent.
  void stop();

 private:
  IoThread thread_;
  HttpServer server_;
  bool running_ = false;
};

}  // namespace mpr
