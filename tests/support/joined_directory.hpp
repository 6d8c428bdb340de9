// A gateway's share in a RedisDirectory, as a test needs it: the directory with a client of its
// own, which goes with it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "app/system_clock.hpp"
#include "store/redis/client.hpp"
#include "store/redis/redis_directory.hpp"

namespace mpr::test {

class JoinedDirectory final : public LiveDirectory {
 public:
  // Throws if Redis cannot be reached.
  JoinedDirectory(redis::ClientOptions client, redis::Keys keys, RedisDirectory::Options options)
      : client_(std::make_unique<redis::Client>(std::move(client), metrics_)) {
    auto started = RedisDirectory::start(*client_, std::move(keys), std::move(options), clock_,
                                         metrics_, Deadline::after(std::chrono::seconds(30)));
    if (!started) throw std::runtime_error("could not join: " + started.error().context);
    directory_ = std::move(*started);
  }

  RedisDirectory& directory() { return *directory_; }
  redis::Client& client() { return *client_; }
  const Metrics& metrics() const { return metrics_; }

  Task<Result<Epoch>> open(Connection connection, SessionId session_id, Position opened_at,
                           Deadline deadline) override {
    return directory_->open(std::move(connection), std::move(session_id), opened_at, deadline);
  }
  Task<Result<bool>> close(Connection connection, Epoch epoch, Deadline deadline) override {
    return directory_->close(std::move(connection), epoch, deadline);
  }
  Task<Result<std::optional<SessionPlace>>> find(Connection connection,
                                                 Deadline deadline) override {
    return directory_->find(std::move(connection), deadline);
  }
  Task<Result<bool>> moved_on(Connection connection, SessionId session_id,
                              Deadline deadline) override {
    return directory_->moved_on(std::move(connection), std::move(session_id), deadline);
  }
  Task<Result<SessionPlace>> renew(Connection connection, SessionId session_id, Epoch epoch,
                                   Position opened_at, Deadline deadline) override {
    return directory_->renew(std::move(connection), std::move(session_id), epoch, opened_at,
                             deadline);
  }
  Presence presence(const SessionPlace& place) const override {
    return directory_->presence(place);
  }
  Task<Result<void>> announce(Connection connection, SessionPlace place, Position position,
                              Deadline deadline) override {
    return directory_->announce(std::move(connection), std::move(place), position, deadline);
  }
  Task<Result<void>> broadcast(Connection connection, Epoch orphan, StoredMessage message,
                               Deadline deadline) override {
    return directory_->broadcast(std::move(connection), orphan, std::move(message), deadline);
  }
  Task<Result<void>> listener_came(TenantId tenant, Deadline deadline) override {
    return directory_->listener_came(std::move(tenant), deadline);
  }
  Task<Result<std::vector<RecoveredSession>>> recover() override { return directory_->recover(); }
  void listen(LiveDirectoryListener& listener) override { directory_->listen(listener); }
  const GatewayId& self() const override { return directory_->self(); }
  Result<void> ready() const override { return directory_->ready(); }

 private:
  SystemClock clock_;
  Metrics metrics_;
  std::unique_ptr<redis::Client> client_;
  std::unique_ptr<RedisDirectory> directory_;
};

}  // namespace mpr::test
