#include "ops/ops_server.hpp"

namespace mpr {

OpsServer::OpsServer(Pages& pages)
    : thread_("mpr-ops"),
      server_(thread_, [&pages](const HttpRequest& request) { return pages.answer(request); }) {
  thread_.every(std::chrono::seconds(1), [&pages] { pages.sample(); });
}

OpsServer::~OpsServer() { stop(); }

Result<std::uint16_t> OpsServer::start(const std::string& address, std::uint16_t port) {
  auto listening = server_.listen(address, port);
  if (!listening) return listening;
  thread_.start();
  running_ = true;
  return listening;
}

void OpsServer::stop() {
  if (!running_) return;
  running_ = false;
  thread_.stop();
  thread_.join();
  server_.stop();
}

}  // namespace mpr
