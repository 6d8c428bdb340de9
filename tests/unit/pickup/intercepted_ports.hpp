// A store and a directory that pass everything on until a test interferes: holds answers back,
// refuses, loses what a directory would report, or acts in the middle of a call.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "core/ports.hpp"
#include "store/memory/memory_directory.hpp"

namespace mpr::test {

class InterceptedStore final : public MessageStore {
 public:
  explicit InterceptedStore(MessageStore& inner) : inner_(inner) {}

  // Answers of take() that were read from the store wait until release_takes().
  void hold_takes(bool yes) { hold_takes_ = yes; }
  void release_takes() {
    hold_takes_ = false;
    for (Completion<bool>* held : std::exchange(held_, {})) held->complete(true);
  }
  // Runs once, after the next take() was read and before its caller hears of it.
  void after_take(std::function<void()> action) { after_take_ = std::move(action); }
  void refuse(bool yes) { refuse_ = yes; }
  std::size_t takes() const { return takes_; }

  Task<Result<AddOutcome>> add(NewMessage message, Deadline deadline) override {
    return inner_.add(std::move(message), deadline);
  }
  Task<Result<std::vector<StoredMessage>>> take(TakeQuery query, Deadline deadline) override {
    ++takes_;
    if (refuse_) co_return fail(Errc::unavailable, "refused");
    auto taken = co_await inner_.take(std::move(query), deadline);
    if (hold_takes_) {
      co_await answer_of<bool>([this](Completion<bool>& held) { held_.push_back(&held); });
    }
    if (const auto action = std::exchange(after_take_, nullptr)) action();
    co_return taken;
  }
  Task<Result<std::uint64_t>> count(QueueQuery query, Deadline deadline) override {
    return inner_.count(std::move(query), deadline);
  }
  Task<Result<QueueStatus>> status(QueueQuery query, Deadline deadline) override {
    return inner_.status(std::move(query), deadline);
  }
  Task<Result<Position>> tail(Connection connection, Deadline deadline) override {
    return inner_.tail(std::move(connection), deadline);
  }
  Task<Result<std::optional<PushToken>>> newest_push_token(Connection connection,
                                                           Deadline deadline) override {
    if (refuse_) co_return fail(Errc::unavailable, "refused");
    co_return co_await inner_.newest_push_token(std::move(connection), deadline);
  }
  Task<Result<RemoveOutcome>> remove(Connection connection, std::vector<MessageId> ids,
                                     Deadline deadline) override {
    return inner_.remove(std::move(connection), std::move(ids), deadline);
  }
  Task<Result<RemoveOutcome>> remove_all(Connection connection,
                                         std::optional<RecipientDid> recipient_did,
                                         Deadline deadline) override {
    return inner_.remove_all(std::move(connection), std::move(recipient_did), deadline);
  }
  Result<void> ready() const override { return inner_.ready(); }
  StoreTotals totals() const override { return inner_.totals(); }

 private:
  MessageStore& inner_;
  bool hold_takes_ = false;
  bool refuse_ = false;
  std::atomic<std::size_t> takes_ = 0;
  std::function<void()> after_take_;
  std::vector<Completion<bool>*> held_;
};

class InterceptedDirectory final : public LiveDirectory, private LiveDirectoryListener {
 public:
  InterceptedDirectory(std::shared_ptr<MemoryHub> hub, GatewayId self)
      : inner_(std::move(hub), std::move(self)) {}

  // Runs once, after the next open() took effect and before its caller hears of it.
  void after_open(std::function<void()> action) { after_open_ = std::move(action); }
  void refuse_close(bool yes) { refuse_close_ = yes; }
  void refuse_find(bool yes) { refuse_find_ = yes; }
  // What other gateways report gets lost.
  void deafen(bool yes) { deaf_ = yes; }
  // Sessions at that gateway are found, but it died a moment ago.
  void lose(std::string_view gateway) { lost_ = GatewayId(gateway); }
  std::size_t renewals() const { return renewals_; }
  void recovered(std::vector<RecoveredSession> sessions) { recovered_ = std::move(sessions); }

  Task<Result<Epoch>> open(Connection connection, SessionId session_id, Position opened_at,
                           Deadline deadline) override {
    auto epoch =
        co_await inner_.open(std::move(connection), std::move(session_id), opened_at, deadline);
    if (const auto action = std::exchange(after_open_, nullptr)) action();
    co_return epoch;
  }
  Task<Result<bool>> close(Connection connection, Epoch epoch, Deadline deadline) override {
    if (refuse_close_) co_return fail(Errc::unavailable, "refused");
    co_return co_await inner_.close(std::move(connection), epoch, deadline);
  }
  Task<Result<std::optional<SessionPlace>>> find(Connection connection,
                                                 Deadline deadline) override {
    if (refuse_find_) co_return fail(Errc::unavailable, "refused");
    co_return co_await inner_.find(std::move(connection), deadline);
  }
  Task<Result<bool>> moved_on(Connection connection, SessionId session_id,
                              Deadline deadline) override {
    return inner_.moved_on(std::move(connection), std::move(session_id), deadline);
  }
  Task<Result<SessionPlace>> renew(Connection connection, SessionId session_id, Epoch epoch,
                                   Position opened_at, Deadline deadline) override {
    ++renewals_;
    return inner_.renew(std::move(connection), std::move(session_id), epoch, opened_at, deadline);
  }
  Presence presence(const SessionPlace& place) const override {
    return lost_ == place.gateway ? Presence::lost : inner_.presence(place);
  }
  Task<Result<void>> announce(Connection connection, SessionPlace place, Position position,
                              Deadline deadline) override {
    if (lost_ == place.gateway) co_return fail(Errc::unavailable, "nobody listens");
    co_return co_await inner_.announce(std::move(connection), std::move(place), position, deadline);
  }
  Task<Result<void>> broadcast(Connection connection, Epoch orphan, StoredMessage message,
                               Deadline deadline) override {
    return inner_.broadcast(std::move(connection), orphan, std::move(message), deadline);
  }
  Task<Result<void>> listener_came(TenantId tenant, Deadline deadline) override {
    return inner_.listener_came(std::move(tenant), deadline);
  }
  Task<Result<std::vector<RecoveredSession>>> recover() override { co_return recovered_; }
  void listen(LiveDirectoryListener& listener) override {
    listener_ = &listener;
    inner_.listen(*this);
  }
  const GatewayId& self() const override { return inner_.self(); }
  Result<void> ready() const override { return inner_.ready(); }

 private:
  void on_announced(Connection connection, Position position) override {
    if (!deaf_) listener_->on_announced(std::move(connection), position);
  }
  void on_orphan_message(Connection connection, Epoch orphan, StoredMessage message) override {
    if (!deaf_) listener_->on_orphan_message(std::move(connection), orphan, std::move(message));
  }
  void on_listener_elsewhere(TenantId tenant) override {
    if (!deaf_) listener_->on_listener_elsewhere(std::move(tenant));
  }
  void on_superseded(Connection connection, Epoch newer) override {
    if (!deaf_) listener_->on_superseded(std::move(connection), newer);
  }
  void on_gap() override { listener_->on_gap(); }

  MemoryDirectory inner_;
  LiveDirectoryListener* listener_ = nullptr;
  std::function<void()> after_open_;
  std::atomic<bool> refuse_close_ = false;
  std::atomic<bool> refuse_find_ = false;
  std::atomic<bool> deaf_ = false;
  std::atomic<std::size_t> renewals_ = 0;
  GatewayId lost_;
  std::vector<RecoveredSession> recovered_;
};

}  // namespace mpr::test
