#include "app/wiring.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "app/build_info.hpp"
#include "app/host_name.hpp"
#include "app/pushing.hpp"
#include "app/random_ids.hpp"
#include "app/storage.hpp"
#include "app/system_clock.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"
#include "base/run_loop.hpp"
#include "gateway/methods.hpp"
#include "gateway/server.hpp"
#include "ops/ops_server.hpp"
#include "ops/pages.hpp"
#include "pickup/pickup_service.hpp"

namespace mpr {

namespace {

// What the background has at the end, also if the sockets have nothing.
constexpr std::chrono::milliseconds kLeastForBackground{500};

Server::Options server_options(const Settings& settings) {
  return {.bind = settings.bind,
          .port = settings.ws_port,
          .io_threads = static_cast<unsigned>(settings.io_threads),
          .max_connections = settings.max_connections,
          .max_frame_bytes = settings.max_frame_bytes,
          .max_message_bytes = settings.max_message_bytes,
          .outbound_bytes = settings.outbound_bytes,
          .calls_in_flight = settings.max_calls_in_flight,
          .call_timeout = settings.call_timeout,
          .ping_interval = settings.ping_interval,
          .dead_after = settings.dead_after,
          .handshake_timeout = settings.handshake_timeout,
          .slow_reader_timeout = settings.slow_reader_timeout,
          .drain_timeout = settings.drain_timeout,
          .auth_token = settings.auth_token.reveal()};
}

PickupService::Options pickup_options(const Settings& settings) {
  return {.sessions = {.max_in_flight = settings.max_in_flight,
                       .acknowledgement_deadline = settings.ack_deadline,
                       .orphan_grace = settings.orphan_grace},
          .response_bytes = settings.max_response_bytes,
          .max_message_bytes = settings.max_message_bytes};
}

NodeFacts facts_of(const Settings& settings, const GatewayId& self,
                   std::vector<std::string> warnings) {
  const bool on_disk = settings.backend == Backend::embedded;
  return {.version = std::string(version()),
          .backend = std::string(to_string(settings.backend)),
          .data_directory = on_disk ? settings.data_dir.string() : std::string(),
          .warnings = std::move(warnings),
          .gateway = self.value,
          .host = host_name()};
}

// To the log; what should not stay as it is also to the status page.
void report(const Storage::Finding& finding, std::vector<std::string>& warnings) {
  if (finding.kind == Storage::Finding::Kind::good) {
    log::info(finding.text);
    return;
  }
  log::warn(finding.text);
  warnings.push_back(finding.text);
}

}  // namespace

// The members stand in the order of who outlives whom: each uses only those above it.
class Node::Parts {
 public:
  explicit Parts(const Settings& settings)
      : server(server_options(settings), metrics), drain_timeout(settings.drain_timeout) {}
  ~Parts() { stop(); }

  Result<void> start(const Settings& settings, std::vector<std::string> warnings);
  // False: background work still waits for Redis or the database.
  bool stop();

  SystemClock clock;
  RandomIds ids{clock};
  Metrics metrics;
  Server server;
  std::unique_ptr<Storage> storage;
  std::unique_ptr<Pushing> pushing;
  std::unique_ptr<PickupService> service;
  std::unique_ptr<Methods> methods;
  std::unique_ptr<Pages> pages;
  std::unique_ptr<OpsServer> ops;

  const std::chrono::milliseconds drain_timeout;
  GatewayId gateway;  // this process among others
  std::uint16_t ws_port = 0;
  std::uint16_t app_port = 0;
  std::size_t restored = 0;
  bool serving = false;
  std::atomic<bool> threads_run = false;  // the io threads; read by the operators' thread

 private:
  std::chrono::milliseconds longest_silence() const {
    return threads_run ? server.longest_silence() : std::chrono::milliseconds(0);
  }
};

Result<void> Node::Parts::start(const Settings& settings, std::vector<std::string> warnings) {
  gateway = ids.next_gateway_id();
  auto opened = Storage::open(settings, gateway, {clock, metrics});
  if (!opened) return std::unexpected(opened.error());
  storage = std::move(*opened);
  for (const Storage::Finding& finding : storage->findings()) report(finding, warnings);

  auto opened_pushing = Pushing::open(
      settings,
      {.windows = storage->push_windows(), .feedback = server, .clock = clock, .metrics = metrics});
  if (!opened_pushing) return std::unexpected(opened_pushing.error());
  pushing = std::move(*opened_pushing);

  service = std::make_unique<PickupService>(
      PickupService::Ports{storage->store(), storage->directory(), pushing->sender(), clock, ids,
                           server, metrics},
      pickup_options(settings));
  pushing->start(*service);
  methods = std::make_unique<Methods>(*service);
  server.bind_service(*service, *methods);
  storage->directory().listen(*service);
  const auto sessions = RunLoop().run(service->restore_sessions());
  if (!sessions) return std::unexpected(sessions.error());
  restored = *sessions;

  pages = std::make_unique<Pages>(Pages::Sources{storage->store(), storage->directory(), clock,
                                                 metrics, [this] { return longest_silence(); }},
                                  facts_of(settings, gateway, std::move(warnings)));
  ops = std::make_unique<OpsServer>(*pages);
  // The operators' port first: whoever probes it finds it as soon as mediators can connect.
  const auto app = ops->start(settings.bind, settings.app_port);
  if (!app) return fail(app.error().code, app.error().context + " (APP_PORT)");
  app_port = *app;
  const auto ws = server.start();
  if (!ws) return fail(ws.error().code, ws.error().context + " (WS_PORT)");
  ws_port = *ws;
  threads_run = true;
  serving = true;
  storage->begin_background();
  return {};
}

bool Node::Parts::stop() {
  const Deadline deadline = Deadline::after(std::max(drain_timeout, kLeastForBackground));
  const bool served = std::exchange(serving, false);
  if (served) {
    pages->begin_draining();
    storage->stop_background();
    server.drain();
  }
  // From here on the directory calls the service no more; what it started is waited for below.
  const bool ended = !storage || storage->end_background(deadline);
  if (served) server.join();
  if (pushing) pushing->drain();
  if (ops) ops->stop();
  return ended && (!service || !service->busy());
}

Node::Node(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Node::~Node() = default;

Result<std::unique_ptr<Node>> Node::start(const Settings& settings,
                                          std::vector<std::string> warnings) {
  auto parts = std::make_unique<Parts>(settings);
  if (const auto started = parts->start(settings, std::move(warnings)); !started) {
    return std::unexpected(started.error());
  }
  return std::unique_ptr<Node>(new Node(std::move(parts)));
}

std::uint16_t Node::ws_port() const noexcept { return parts_->ws_port; }
std::uint16_t Node::app_port() const noexcept { return parts_->app_port; }
const GatewayId& Node::gateway() const noexcept { return parts_->gateway; }
std::size_t Node::restored_sessions() const noexcept { return parts_->restored; }
bool Node::drain() { return parts_->stop(); }

}  // namespace mpr
