#include "app/pushing.hpp"

#include <optional>
#include <utility>

#include "base/log.hpp"
#include "pickup/pickup_service.hpp"

namespace mpr {

// Asks the pickup service, which knows what is in flight and who is live.
class Pushing::Need final : public PushNeed {
 public:
  void bind(PickupService& service) { service_ = &service; }

  Task<Result<bool>> is_waiting(Connection connection, PushUnless unless,
                                Deadline deadline) override {
    const Caller caller{SocketId(), connection.tenant};
    if (unless == PushUnless::phone_is_live) {
      const auto live = co_await service_->has_session(caller, connection.id, deadline);
      if (!live) co_return std::unexpected(live.error());
      if (*live) co_return false;
    }
    QueueRequest request;
    request.connection_id = std::move(connection.id);
    const auto visible = co_await service_->count(caller, std::move(request), deadline);
    if (!visible) co_return std::unexpected(visible.error());
    co_return *visible > 0;
  }

 private:
  PickupService* service_ = nullptr;  // constant once the dispatcher runs
};

namespace {

PushDispatcher::Options dispatcher_options(const Settings& settings) {
  PushDispatcher::Options options;
  options.policy.window = settings.push_window;
  options.queue = settings.push_queue;
  options.max_age = settings.push_max_age;
  options.drain = settings.drain_timeout;
  return options;
}

}  // namespace

Pushing::Pushing(const Settings& settings, Ports ports)
    : own_windows_({.window = settings.push_window}, ports.clock),
      need_(std::make_unique<Need>()),
      dispatcher_(thread_,
                  {ports.windows != nullptr ? *ports.windows : own_windows_, *need_, ports.feedback,
                   ports.clock, ports.metrics},
                  dispatcher_options(settings)) {}

Pushing::~Pushing() { drain(); }

Result<std::unique_ptr<Pushing>> Pushing::open(const Settings& settings, Ports ports) {
  std::unique_ptr<Pushing> pushing(new Pushing(settings, ports));
  auto opened = open_push_senders(settings, pushing->thread_, ports.clock);
  if (!opened) return std::unexpected(opened.error());
  for (const std::string& note : opened->notes) log::info(note);
  for (const std::string& warning : opened->warnings) log::warn(warning);
  pushing->senders_ = std::move(opened->senders);
  for (const auto provider : {PushProvider::fcm, PushProvider::apns, PushProvider::webhook}) {
    if (auto* const sender = pushing->senders_.of(provider)) {
      pushing->dispatcher_.add_sender(provider, *sender);
    }
  }
  return pushing;
}

void Pushing::start(PickupService& service) {
  need_->bind(service);
  dispatcher_.start();
}

void Pushing::drain() { dispatcher_.drain(); }

}  // namespace mpr
