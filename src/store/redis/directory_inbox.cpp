#include "store/redis/directory_inbox.hpp"

#include <utility>
#include <variant>

#include "base/log.hpp"

namespace mpr::redis {

DirectoryInbox::DirectoryInbox(Speaker self, std::chrono::milliseconds patience, Clock& clock,
                               Handlers handlers)
    : self_(std::move(self)), handlers_(std::move(handlers)), clock_(clock), numbers_(patience) {}

void DirectoryInbox::listen(LiveDirectoryListener& listener) {
  std::unique_lock lock(lifetime_mutex_);
  listener_ = &listener;
}

void DirectoryInbox::close() {
  std::unique_lock lock(lifetime_mutex_);
  closed_ = true;
  listener_ = nullptr;
}

void DirectoryInbox::on_message(std::string_view payload) {
  auto message = decode_channel_message(payload);
  std::shared_lock lock(lifetime_mutex_);
  if (closed_) return;
  if (!message) {
    log::debug("a channel message is of no known kind", {{"bytes", payload.size()}});
    return;
  }
  std::visit([&](auto& content) { hear(message->speaker, content); }, message->content);
}

void DirectoryInbox::on_connected(Channel channel) {
  std::lock_guard lock(mutex_);
  (channel == Channel::own ? own_connected_ : common_connected_) = true;
  resubscribed_ = true;
  numbers_.resubscribed();
  connected_.notify_all();
}

bool DirectoryInbox::wait_connected(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  return connected_.wait_until(lock, until, [&] { return own_connected_ && common_connected_; });
}

bool DirectoryInbox::lost() {
  std::lock_guard lock(mutex_);
  const bool missing = numbers_.lost(clock_.steady_now());
  return std::exchange(resubscribed_, false) || missing;
}

void DirectoryInbox::forget(const GatewayId& gateway) {
  std::lock_guard lock(mutex_);
  numbers_.forget(gateway);
}

void DirectoryInbox::count(const Speaker& speaker, std::uint64_t number) {
  std::lock_guard lock(mutex_);
  numbers_.heard(speaker, number, clock_.steady_now());
}

void DirectoryInbox::hear(const Speaker& speaker, Announced& content) {
  count(speaker, content.number);
  if (listener_) listener_->on_announced(std::move(content.connection), content.position);
}

void DirectoryInbox::hear(const Speaker& speaker, Superseded& content) {
  if (speaker == self_) return;
  count(speaker, content.number);
  if (listener_) listener_->on_superseded(std::move(content.connection), content.newer);
}

void DirectoryInbox::hear(const Speaker& speaker, const Overlooked& content) {
  if (speaker == self_) return;
  count(speaker, content.number);
  handlers_.overlooked();
}

void DirectoryInbox::hear(const Speaker& speaker, const Beacon& content) {
  std::lock_guard lock(mutex_);
  numbers_.beacon(speaker, content.last, clock_.steady_now());
}

void DirectoryInbox::hear(const Speaker& speaker, OrphanMessage& content) {
  if (speaker == self_ || !listener_) return;
  listener_->on_orphan_message(std::move(content.connection), content.orphan,
                               std::move(content.message));
}

void DirectoryInbox::hear(const Speaker& speaker, ListenerCame& content) {
  if (speaker == self_ || !listener_) return;
  listener_->on_listener_elsewhere(std::move(content.tenant));
}

void DirectoryInbox::hear(const Speaker& speaker, const Left&) {
  if (speaker != self_) handlers_.left(speaker.gateway);
}

}  // namespace mpr::redis
