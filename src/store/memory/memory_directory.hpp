// Who is live where, within one process: a MemoryHub is shared by any number of MemoryDirectory
// views, one for each gateway of a test or the only one of a gateway without a data directory.
// A view that is destroyed is a gateway that died: its sessions are not live any more.
//
// Any thread may call anything; no call suspends. The hub lives as long as the last view. Listeners
// are called on the thread of the view that opens or announces; they outlive their view and must
// not call back into a directory. It never keeps the names of connections and sessions, only
// keyed hashes of them, so that a session costs about 60 bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/ports.hpp"

namespace mpr {

class MemoryHub;

std::shared_ptr<MemoryHub> make_memory_hub();

class MemoryDirectory final : public LiveDirectory {
 public:
  MemoryDirectory(std::shared_ptr<MemoryHub> hub, GatewayId self);
  ~MemoryDirectory() override;
  MemoryDirectory(const MemoryDirectory&) = delete;
  MemoryDirectory& operator=(const MemoryDirectory&) = delete;

  Task<Result<Epoch>> open(Connection connection, SessionId session_id, Position opened_at,
                           Deadline deadline) override;
  Task<Result<bool>> close(Connection connection, Epoch epoch, Deadline deadline) override;
  Task<Result<std::optional<SessionPlace>>> find(Connection connection, Deadline deadline) override;
  Task<Result<bool>> moved_on(Connection connection, SessionId session_id,
                              Deadline deadline) override;
  Task<Result<SessionPlace>> renew(Connection connection, SessionId session_id, Epoch epoch,
                                   Position opened_at, Deadline deadline) override;
  Presence presence(const SessionPlace& place) const override;
  Task<Result<void>> announce(Connection connection, SessionPlace place, Position position,
                              Deadline deadline) override;
  Task<Result<void>> broadcast(Connection connection, Epoch orphan, StoredMessage message,
                               Deadline deadline) override;
  Task<Result<void>> listener_came(TenantId tenant, Deadline deadline) override;
  // Nothing survives the process: always empty.
  Task<Result<std::vector<RecoveredSession>>> recover() override;
  void listen(LiveDirectoryListener& listener) override;
  const GatewayId& self() const override { return self_; }
  Result<void> ready() const override { return {}; }

 private:
  const std::shared_ptr<MemoryHub> hub_;
  const GatewayId self_;
  const std::uint32_t view_;
};

}  // namespace mpr
