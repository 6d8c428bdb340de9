#include "store/memory/memory_directory.hpp"

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <mutex>
#include <shared_mutex>

#include "base/keyed_hash.hpp"

namespace mpr {

// Shards of connections, and the list of views. A shard's mutex is never held while a listener
// runs; the view's is, so that no listener is called after its view is gone.
class MemoryHub {
 public:
  struct Session {
    std::uint64_t epoch : 44;
    std::uint64_t view : 20;
    std::uint64_t id = 0;  // hash of the session's id; 0: it is not known
  };

  std::uint32_t enter(const GatewayId& gateway) {
    std::lock_guard lock(views_mutex_);
    views_.push_back(std::make_shared<View>(gateway));
    return static_cast<std::uint32_t>(views_.size() - 1);
  }

  void leave(std::uint32_t number) {
    {
      const auto view = view_of(number);
      std::lock_guard lock(view->mutex);
      view->listener = nullptr;
      view->alive = false;
    }
    for (Shard& shard : shards_) {
      std::lock_guard lock(shard.mutex);
      boost::unordered::erase_if(shard.sessions,
                                 [number](const auto& s) { return s.second.view == number; });
    }
  }

  void listen(std::uint32_t number, LiveDirectoryListener& listener) {
    const auto view = view_of(number);
    std::lock_guard lock(view->mutex);
    view->listener = &listener;
  }

  Epoch open(const Connection& connection, const SessionId& session_id, std::uint32_t number) {
    const Hash128 key = key_of(connection);
    Shard& shard = shard_of(key);
    std::uint32_t loser = number;
    Epoch epoch;
    {
      std::lock_guard lock(shard.mutex);
      epoch.value = ++shard.last_epoch;
      const auto [place, fresh] = shard.sessions.try_emplace(key);
      if (!fresh) loser = static_cast<std::uint32_t>(place->second.view);
      place->second.epoch = epoch.value & ((1ULL << 44) - 1);
      place->second.view = number & ((1U << 20) - 1);
      place->second.id = hash_of(session_id);
    }
    if (loser != number) {
      call(loser, [&](LiveDirectoryListener& l) { l.on_superseded(connection, epoch); });
    }
    return epoch;
  }

  bool close(const Connection& connection, Epoch epoch) {
    const Hash128 key = key_of(connection);
    Shard& shard = shard_of(key);
    std::lock_guard lock(shard.mutex);
    const auto found = shard.sessions.find(key);
    if (found == shard.sessions.end() || found->second.epoch != epoch.value) return false;
    shard.sessions.erase(found);
    return true;
  }

  std::optional<SessionPlace> find(const Connection& connection) {
    const auto session = session_of(connection);
    if (!session) return std::nullopt;
    const auto view = view_of(static_cast<std::uint32_t>(session->view));
    std::shared_lock lock(view->mutex);
    if (!view->alive) return std::nullopt;
    return SessionPlace{view->gateway, Epoch{session->epoch}};
  }

  bool moved_on(const Connection& connection, const SessionId& session_id, std::uint32_t number) {
    const auto session = session_of(connection);
    return session && session->view != number && session->id != 0 &&
           session->id != hash_of(session_id);
  }

  // Calls the listener of a living gateway of that name; false: there is none.
  template <class Call>
  bool call(const GatewayId& gateway, const Call& what) {
    std::optional<std::uint32_t> number;
    {
      std::shared_lock lock(views_mutex_);
      for (std::size_t i = views_.size(); i-- > 0 && !number;) {
        if (views_[i]->gateway == gateway) number = static_cast<std::uint32_t>(i);
      }
    }
    return number && call(*number, what);
  }

  // Calls the listeners of all living gateways but this one.
  template <class Call>
  void call_others(std::uint32_t self, const Call& what) {
    std::uint32_t count = 0;
    {
      std::shared_lock lock(views_mutex_);
      count = static_cast<std::uint32_t>(views_.size());
    }
    for (std::uint32_t number = 0; number < count; ++number) {
      if (number != self) call(number, what);
    }
  }

 private:
  struct View {
    explicit View(GatewayId id) : gateway(std::move(id)) {}
    const GatewayId gateway;
    std::shared_mutex mutex;
    LiveDirectoryListener* listener = nullptr;  // guarded by mutex
    bool alive = true;                          // guarded by mutex
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    boost::unordered_flat_map<Hash128, Session, Hash128Hash> sessions;  // guarded by mutex
    std::uint64_t last_epoch = 0;                                       // guarded by mutex
  };

  std::optional<Session> session_of(const Connection& connection) {
    const Hash128 key = key_of(connection);
    Shard& shard = shard_of(key);
    std::lock_guard lock(shard.mutex);
    const auto found = shard.sessions.find(key);
    return found == shard.sessions.end() ? std::nullopt : std::optional(found->second);
  }

  std::uint64_t hash_of(const SessionId& id) const {
    return id.value.empty() ? 0 : hash_({id.value}).low | 1;
  }
  Hash128 key_of(const Connection& c) const { return hash_({c.tenant.value, c.id.value}); }
  Shard& shard_of(const Hash128& key) { return shards_[key.high % shards_.size()]; }
  std::shared_ptr<View> view_of(std::uint32_t number) {
    std::shared_lock lock(views_mutex_);
    return views_[number];
  }

  template <class Call>
  bool call(std::uint32_t number, const Call& what) {
    const auto view = view_of(number);
    std::shared_lock lock(view->mutex);
    if (view->listener) what(*view->listener);
    return view->alive;
  }

  const KeyedHash hash_ = KeyedHash::random();
  std::array<Shard, 64> shards_;
  std::shared_mutex views_mutex_;
  std::vector<std::shared_ptr<View>> views_;  // guarded by views_mutex_
};

std::shared_ptr<MemoryHub> make_memory_hub() { return std::make_shared<MemoryHub>(); }

MemoryDirectory::MemoryDirectory(std::shared_ptr<MemoryHub> hub, GatewayId self)
    : hub_(std::move(hub)), self_(std::move(self)), view_(hub_->enter(self_)) {}

MemoryDirectory::~MemoryDirectory() { hub_->leave(view_); }

Task<Result<Epoch>> MemoryDirectory::open(Connection connection, SessionId session_id, Position,
                                          Deadline) {
  co_return hub_->open(connection, session_id, view_);
}

Task<Result<bool>> MemoryDirectory::close(Connection connection, Epoch epoch, Deadline) {
  co_return hub_->close(connection, epoch);
}

Task<Result<std::optional<SessionPlace>>> MemoryDirectory::find(Connection connection, Deadline) {
  co_return hub_->find(connection);
}

Task<Result<bool>> MemoryDirectory::moved_on(Connection connection, SessionId session_id,
                                             Deadline) {
  co_return hub_->moved_on(connection, session_id, view_);
}

// Nothing is ever lost here: without a record the session was closed meanwhile.
Task<Result<SessionPlace>> MemoryDirectory::renew(Connection connection, SessionId, Epoch epoch,
                                                  Position, Deadline) {
  const auto place = hub_->find(connection);
  co_return place.value_or(SessionPlace{self_, epoch});
}

Presence MemoryDirectory::presence(const SessionPlace& place) const {
  const auto nothing = [](LiveDirectoryListener&) {};
  return hub_->call(place.gateway, nothing) ? Presence::live : Presence::gone;
}

Task<Result<void>> MemoryDirectory::announce(Connection connection, SessionPlace place,
                                             Position position, Deadline) {
  const bool reached = hub_->call(place.gateway, [&](LiveDirectoryListener& listener) {
    listener.on_announced(connection, position);
  });
  if (!reached) co_return fail(Errc::unavailable, "gateway " + place.gateway.value + " is gone");
  co_return Result<void>();
}

Task<Result<void>> MemoryDirectory::broadcast(Connection connection, Epoch orphan,
                                              StoredMessage message, Deadline) {
  hub_->call_others(view_, [&](LiveDirectoryListener& listener) {
    listener.on_orphan_message(connection, orphan, message);
  });
  co_return Result<void>();
}

Task<Result<void>> MemoryDirectory::listener_came(TenantId tenant, Deadline) {
  hub_->call_others(
      view_, [&](LiveDirectoryListener& listener) { listener.on_listener_elsewhere(tenant); });
  co_return Result<void>();
}

Task<Result<std::vector<RecoveredSession>>> MemoryDirectory::recover() {
  co_return std::vector<RecoveredSession>();
}

void MemoryDirectory::listen(LiveDirectoryListener& listener) { hub_->listen(view_, listener); }

}  // namespace mpr
