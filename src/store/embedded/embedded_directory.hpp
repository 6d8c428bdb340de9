// Who is live, for the one gateway of an embedded store. Kept in RAM under keyed hashes, at about
// 50 bytes a session, and in a journal on disk, so that a restarted gateway knows which sessions
// its predecessor held.
//
// Any thread may call anything; no call suspends. The metrics, the file system and the listener
// outlive the directory. Live sessions are soft state: when the journal cannot be written they are
// opened and closed all the same, and only a restart forgets them.
#pragma once

#include <atomic>
#include <memory>

#include "base/metrics.hpp"
#include "core/ports.hpp"
#include "store/embedded/file_system.hpp"

namespace mpr {

class EmbeddedDirectory final : public LiveDirectory {
 public:
  struct Options {
    std::filesystem::path directory;  // its own: not the store's
    GatewayId self;
    // Below this size the journal is left alone, however little of it counts.
    std::uint64_t compact_above_bytes = 4ULL << 20;
  };

  // Creates the directory if need be and reads the journal. Fails, naming the directory, when
  // another process holds it or it cannot be written.
  static Result<std::unique_ptr<EmbeddedDirectory>> open(Options options, Metrics& metrics,
                                                         FileSystem& files = system_files());
  ~EmbeddedDirectory() override;
  EmbeddedDirectory(const EmbeddedDirectory&) = delete;
  EmbeddedDirectory& operator=(const EmbeddedDirectory&) = delete;

  Task<Result<Epoch>> open(Connection connection, SessionId session_id, Position opened_at,
                           Deadline deadline) override;
  Task<Result<bool>> close(Connection connection, Epoch epoch, Deadline deadline) override;
  Task<Result<std::optional<SessionPlace>>> find(Connection connection, Deadline deadline) override;
  // There is no other gateway: never.
  Task<Result<bool>> moved_on(Connection connection, SessionId session_id,
                              Deadline deadline) override;
  Task<Result<SessionPlace>> renew(Connection connection, SessionId session_id, Epoch epoch,
                                   Position opened_at, Deadline deadline) override;
  Presence presence(const SessionPlace& place) const override;
  Task<Result<void>> announce(Connection connection, SessionPlace place, Position position,
                              Deadline deadline) override;
  // There is no other gateway on a data directory.
  Task<Result<void>> broadcast(Connection connection, Epoch orphan, StoredMessage message,
                               Deadline deadline) override;
  Task<Result<void>> listener_came(TenantId tenant, Deadline deadline) override;
  Task<Result<std::vector<RecoveredSession>>> recover() override;
  void listen(LiveDirectoryListener& listener) override;
  const GatewayId& self() const override;
  Result<void> ready() const override { return {}; }

 private:
  class Sessions;
  explicit EmbeddedDirectory(std::unique_ptr<Sessions> sessions);

  std::unique_ptr<Sessions> sessions_;
};

}  // namespace mpr
