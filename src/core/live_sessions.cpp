#include "core/live_sessions.hpp"

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstring>
#include <map>
#include <new>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace mpr {

namespace {

struct InFlight {
  MessageId id;
  SteadyPoint deadline;
  bool taken = false;  // by the holder's own take: never delivered again by itself
  std::unique_ptr<PushToken> push_token;
};

}  // namespace

// What only a busy session needs; it is there only while one of its members says something.
struct Traffic {
  std::map<Position, InFlight> in_flight;
  std::set<Position> settled;  // removed before they were offered
  bool behind = false;
  bool pumping = false;
  bool accepted_meanwhile = false;  // a message came while a pump was reading
  std::multimap<SteadyPoint, LiveSessions::Session*>::iterator
      deadline;  // if in_flight is not empty

  bool idle() const { return in_flight.empty() && settled.empty() && !behind && !pumping; }
};

// One allocation per session, texts included: a million of them is an ordinary number.
struct LiveSessions::Session {
  Session* previous = nullptr;  // of the same holder, or of the orphans (oldest first)
  Session* next = nullptr;
  SocketId holder;
  Epoch epoch;
  Position cursor;
  std::unique_ptr<Traffic> traffic;
  SteadyPoint orphaned_at;
  std::uint8_t tenant_bytes = 0;
  std::uint8_t connection_bytes = 0;
  std::uint8_t session_bytes = 0;

  // Tenant, connection id and session id stand behind the object, in the same allocation.
  const char* text() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view tenant() const { return {text(), tenant_bytes}; }
  std::string_view connection_id() const { return {text() + tenant_bytes, connection_bytes}; }
  std::string_view session_id() const {
    return {text() + tenant_bytes + connection_bytes, session_bytes};
  }
  Connection connection() const { return {TenantId(tenant()), ConnectionId(connection_id())}; }
  bool orphaned() const { return holder == SocketId{}; }
};

namespace {

using Session = LiveSessions::Session;

struct Key {
  std::string_view tenant;
  std::string_view connection_id;
};
Key key_of(const Connection& c) { return {c.tenant.value, c.id.value}; }

struct SessionHash {
  using is_transparent = void;
  std::size_t operator()(const Session* s) const {
    return hash_of(s->tenant(), s->connection_id());
  }
  std::size_t operator()(const Key& k) const { return hash_of(k.tenant, k.connection_id); }
};

struct SessionEqual {
  using is_transparent = void;
  static bool same(const Session* s, const Key& k) {
    return s->connection_id() == k.connection_id && s->tenant() == k.tenant;
  }
  bool operator()(const Session* a, const Session* b) const { return a == b; }
  bool operator()(const Key& k, const Session* s) const { return same(s, k); }
  bool operator()(const Session* s, const Key& k) const { return same(s, k); }
};

struct List {
  Session* first = nullptr;
  Session* last = nullptr;
  std::size_t size = 0;

  void append(Session* s) {
    s->previous = last;
    s->next = nullptr;
    (last ? last->next : first) = s;
    last = s;
    ++size;
  }
  void remove(Session* s) {
    (s->previous ? s->previous->next : first) = s->next;
    (s->next ? s->next->previous : last) = s->previous;
    --size;
  }
};

Session* make_session(const Connection& c, const SessionId& id) {
  const std::size_t bytes = c.tenant.value.size() + c.id.value.size() + id.value.size();
  void* memory = ::operator new(sizeof(Session) + bytes);
  auto* s = new (memory) Session();
  s->tenant_bytes = static_cast<std::uint8_t>(c.tenant.value.size());
  s->connection_bytes = static_cast<std::uint8_t>(c.id.value.size());
  s->session_bytes = static_cast<std::uint8_t>(id.value.size());
  char* text = static_cast<char*>(memory) + sizeof(Session);
  for (const std::string* part : {&c.tenant.value, &c.id.value, &id.value}) {
    std::memcpy(text, part->data(), part->size());
    text += part->size();
  }
  return s;
}

void free_session(Session* s) {
  s->~Session();
  ::operator delete(s);
}

}  // namespace

struct LiveSessions::Table {
  boost::unordered_flat_set<Session*, SessionHash, SessionEqual> sessions;
  std::unordered_map<std::uint64_t, List> held;  // by holder
  List orphans;                                  // the longest orphaned first
  std::unordered_set<Session*> behind;
  std::multimap<SteadyPoint, Session*> deadlines;  // when to look at a session's in-flight messages

  ~Table() {
    for (Session* s : sessions) free_session(s);
  }

  Session* find(const Connection& c) const {
    const auto it = sessions.find(key_of(c));
    return it == sessions.end() ? nullptr : *it;
  }
  Session* find(const Connection& c, Epoch epoch) const {
    Session* s = find(c);
    return s && s->epoch == epoch ? s : nullptr;
  }

  Traffic& traffic(Session* s) {
    if (!s->traffic) s->traffic = std::make_unique<Traffic>();
    return *s->traffic;
  }
  void tidy(Session* s) {
    if (s->traffic && s->traffic->idle()) s->traffic.reset();
  }

  void set_behind(Session* s, bool value) {
    if (!value && !s->traffic) return;
    Traffic& t = traffic(s);
    if (t.behind == value) return;
    t.behind = value;
    if (value) {
      behind.insert(s);
    } else {
      behind.erase(s);
    }
  }

  void put_in_flight(Session* s, const MessageRef& message, InFlight entry) {
    Traffic& t = traffic(s);
    if (t.in_flight.empty()) t.deadline = deadlines.emplace(entry.deadline, s);
    t.in_flight.insert_or_assign(message.position, std::move(entry));
  }
  void land(Session* s, Position position) {
    Traffic& t = *s->traffic;
    if (t.in_flight.erase(position) > 0 && t.in_flight.empty()) deadlines.erase(t.deadline);
  }
  void land_all(Session* s) {
    if (!s->traffic || s->traffic->in_flight.empty()) return;
    deadlines.erase(s->traffic->deadline);
    s->traffic->in_flight.clear();
  }

  void advance(Session* s, Position to) {
    s->cursor = std::max(s->cursor, to);
    if (!s->traffic) return;
    auto& settled = s->traffic->settled;
    settled.erase(settled.begin(), settled.upper_bound(s->cursor));
  }

  void unlist(Session* s) {
    if (s->orphaned()) {
      orphans.remove(s);
      return;
    }
    const auto it = held.find(s->holder.value);
    it->second.remove(s);
    if (it->second.size == 0) held.erase(it);
  }
  void list_under(Session* s, SocketId holder) {
    s->holder = holder;
    (s->orphaned() ? orphans : held[holder.value]).append(s);
  }

  // The socket is gone: what was delivered through it and not acknowledged has to flow again.
  void rewind(Session* s) {
    if (!s->traffic) return;
    Traffic& t = *s->traffic;
    for (const auto& [position, entry] : t.in_flight) {
      if (entry.taken) continue;
      s->cursor = std::min(s->cursor, Position{position.value - 1});
      break;
    }
    if (std::any_of(t.in_flight.begin(), t.in_flight.end(),
                    [](const auto& e) { return !e.second.taken; }) ||
        t.pumping) {
      set_behind(s, true);
    }
    t.pumping = false;
    land_all(s);
    tidy(s);
  }

  void erase(Session* s) {
    land_all(s);
    set_behind(s, false);
    unlist(s);
    sessions.erase(s);
    free_session(s);
  }
};

LiveSessions::LiveSessions(Limits limits) : limits_(limits), table_(std::make_unique<Table>()) {}
LiveSessions::~LiveSessions() = default;

// --- opening and ending -----------------------------------------------------------------------

LiveSessions::Opened LiveSessions::open(const Connection& connection, const SessionId& session_id,
                                        SocketId holder, Epoch epoch, Position tail) {
  Opened opened;
  Position cursor = tail;
  bool behind = false;
  if (Session* old = table_->find(connection)) {
    if (epoch < old->epoch) {
      opened.outdated = true;
      return opened;
    }
    opened.replaced = true;
    opened.resumed = old->session_id() == session_id.value;
    opened.replaced_session = SessionId(old->session_id());
    if (old->holder != holder) opened.replaced_holder = old->holder;
    if (opened.resumed) {
      if (old->holder == holder) {
        old->epoch = epoch;
        if (old->traffic && old->traffic->pumping) {
          old->traffic->pumping = false;
          table_->set_behind(old, true);
        }
        return opened;
      }
      table_->rewind(old);
      cursor = old->cursor;
      behind = true;
    }
    table_->erase(old);
  }
  Session* s = make_session(connection, session_id);
  s->epoch = epoch;
  s->cursor = cursor;
  table_->sessions.insert(s);
  table_->list_under(s, holder);
  if (behind) table_->set_behind(s, true);
  return opened;
}

void LiveSessions::restore(const Connection& connection, const SessionId& session_id, Epoch epoch,
                           Position opened_at, SteadyPoint now) {
  if (table_->find(connection)) return;
  Session* s = make_session(connection, session_id);
  s->epoch = epoch;
  s->cursor = opened_at;
  s->orphaned_at = now;
  table_->sessions.insert(s);
  table_->list_under(s, SocketId{});
  table_->set_behind(s, true);
}

std::optional<Epoch> LiveSessions::close(const Connection& connection, SocketId caller,
                                         const std::optional<SessionId>& session_id) {
  Session* s = table_->find(connection);
  if (!s || (!s->orphaned() && s->holder != caller)) return std::nullopt;
  if (session_id && s->session_id() != session_id->value) return std::nullopt;
  const Epoch epoch = s->epoch;
  table_->erase(s);
  return epoch;
}

std::optional<LiveSessions::Superseded> LiveSessions::supersede(const Connection& connection,
                                                                Epoch newer) {
  Session* s = table_->find(connection);
  if (!s || s->epoch >= newer) return std::nullopt;
  Superseded lost{s->holder, SessionId(s->session_id())};
  table_->erase(s);
  return lost;
}

std::size_t LiveSessions::orphan(SocketId holder, SteadyPoint now) {
  const auto it = table_->held.find(holder.value);
  if (it == table_->held.end()) return 0;
  const std::size_t count = it->second.size;
  for (Session* s = it->second.first; s;) {
    Session* next = s->next;
    table_->rewind(s);
    s->orphaned_at = now;
    table_->list_under(s, SocketId{});
    s = next;
  }
  table_->held.erase(holder.value);
  return count;
}

bool LiveSessions::adopt(const Connection& connection, SocketId holder) {
  Session* s = table_->find(connection);
  if (!s || !s->orphaned()) return false;
  table_->unlist(s);
  table_->list_under(s, holder);
  return true;
}

// --- asking -----------------------------------------------------------------------------------

std::optional<LiveSessions::View> LiveSessions::find(const Connection& connection) const {
  const Session* s = table_->find(connection);
  if (!s) return std::nullopt;
  View view;
  view.session_id = SessionId(s->session_id());
  view.holder = s->holder;
  view.epoch = s->epoch;
  view.cursor = s->cursor;
  if (s->traffic) {
    view.in_flight = s->traffic->in_flight.size();
    view.behind = s->traffic->behind;
  }
  return view;
}

bool LiveSessions::contains(const Connection& connection) const {
  return table_->find(connection) != nullptr;
}

std::size_t LiveSessions::size() const noexcept { return table_->sessions.size(); }
std::size_t LiveSessions::orphans() const noexcept { return table_->orphans.size; }

std::vector<MessageRef> LiveSessions::in_flight(const Connection& connection) const {
  std::vector<MessageRef> refs;
  const Session* s = table_->find(connection);
  if (!s || !s->traffic) return refs;
  refs.reserve(s->traffic->in_flight.size());
  for (const auto& [position, entry] : s->traffic->in_flight) refs.push_back({entry.id, position});
  return refs;
}

// --- delivering -------------------------------------------------------------------------------

namespace {

std::unique_ptr<PushToken> copy_of(const std::optional<PushToken>& token) {
  return token ? std::make_unique<PushToken>(*token) : nullptr;
}

}  // namespace

Offer LiveSessions::offer(const Connection& connection, const MessageRef& message,
                          Position previous, const std::optional<PushToken>& push_token,
                          SteadyPoint now) {
  Session* s = table_->find(connection);
  if (!s) return Offer::no_session;
  if (message.position <= s->cursor) return Offer::done;
  if (Traffic* t = s->traffic.get()) {
    const bool known =
        t->settled.contains(message.position) || t->in_flight.contains(message.position);
    if (known && previous <= s->cursor) {
      table_->advance(s, message.position);
      table_->tidy(s);
    }
    if (known) return Offer::done;
    if (t->pumping) t->accepted_meanwhile = true;
  }
  const bool full = s->traffic && (s->traffic->behind || s->traffic->pumping ||
                                   s->traffic->in_flight.size() >= limits_.max_in_flight);
  if (full || previous > s->cursor) {
    table_->set_behind(s, true);
    return Offer::wait;
  }
  table_->advance(s, message.position);
  table_->put_in_flight(
      s, message, {message.id, now + limits_.acknowledgement_deadline, false, copy_of(push_token)});
  return Offer::deliver;
}

void LiveSessions::postpone(const Connection& connection, Epoch epoch, const MessageRef& message) {
  Session* s = table_->find(connection, epoch);
  if (!s || !s->traffic) return;
  table_->land(s, message.position);
  s->cursor = std::min(s->cursor, Position{message.position.value - 1});
  table_->set_behind(s, true);
}

std::optional<LiveSessions::PumpStep> LiveSessions::begin_pump(const Connection& connection) {
  Session* s = table_->find(connection);
  if (!s || !s->traffic || !s->traffic->behind || s->traffic->pumping) return std::nullopt;
  Traffic& t = *s->traffic;
  if (t.in_flight.size() >= limits_.max_in_flight) return std::nullopt;
  t.pumping = true;
  t.accepted_meanwhile = false;
  return PumpStep{s->epoch, s->holder, s->cursor, limits_.max_in_flight - t.in_flight.size()};
}

bool LiveSessions::pump_offer(const Connection& connection, Epoch epoch, const MessageRef& message,
                              const std::optional<PushToken>& push_token, SteadyPoint now) {
  Session* s = table_->find(connection, epoch);
  if (!s || !s->traffic || !s->traffic->pumping || message.position <= s->cursor) return false;
  Traffic& t = *s->traffic;
  const bool known = t.settled.contains(message.position) || t.in_flight.contains(message.position);
  table_->advance(s, message.position);
  if (known) return false;
  table_->put_in_flight(
      s, message, {message.id, now + limits_.acknowledgement_deadline, false, copy_of(push_token)});
  return true;
}

bool LiveSessions::end_pump(const Connection& connection, Epoch epoch, PumpEnd end) {
  Session* s = table_->find(connection, epoch);
  if (!s || !s->traffic || !s->traffic->pumping) return false;
  Traffic& t = *s->traffic;
  t.pumping = false;
  if (end == PumpEnd::drained && !t.accepted_meanwhile) {
    table_->set_behind(s, false);
    table_->tidy(s);
    return false;
  }
  return end != PumpEnd::blocked && t.in_flight.size() < limits_.max_in_flight;
}

void LiveSessions::fall_behind(const Connection& connection, Epoch epoch) {
  Session* s = table_->find(connection, epoch);
  if (!s) return;
  table_->set_behind(s, true);
  s->traffic->accepted_meanwhile = true;
}

void LiveSessions::all_fall_behind() {
  for (Session* s : table_->sessions) {
    table_->set_behind(s, true);
    s->traffic->accepted_meanwhile = true;
  }
}

namespace {

template <class Matches>
std::vector<Connection> behind_where(const std::unordered_set<Session*>& behind, std::size_t most,
                                     const LiveSessions::Limits& limits, Matches matches) {
  std::vector<Connection> found;
  for (const Session* s : behind) {
    if (found.size() >= most) break;
    const Traffic& t = *s->traffic;
    if (!matches(*s) || t.pumping || t.in_flight.size() >= limits.max_in_flight) continue;
    found.push_back(s->connection());
  }
  return found;
}

}  // namespace

std::vector<Connection> LiveSessions::behind(SocketId holder, std::size_t most) const {
  return behind_where(table_->behind, most, limits_,
                      [&](const Session& s) { return s.holder == holder; });
}

std::vector<Connection> LiveSessions::held_behind(std::size_t most) const {
  return behind_where(table_->behind, most, limits_,
                      [](const Session& s) { return !s.orphaned(); });
}

std::vector<Connection> LiveSessions::orphans_behind(const TenantId& tenant,
                                                     std::size_t most) const {
  return behind_where(table_->behind, most, limits_,
                      [&](const Session& s) { return s.orphaned() && s.tenant() == tenant.value; });
}

// --- acknowledging ----------------------------------------------------------------------------

void LiveSessions::mark_taken(const Connection& connection, SocketId caller,
                              std::vector<StoredMessage>& messages, SteadyPoint now) {
  Session* s = table_->find(connection);
  if (!s) return;
  if (s->traffic) {
    std::erase_if(messages, [&](const StoredMessage& m) {
      return s->traffic->in_flight.contains(m.position);
    });
  }
  if (s->orphaned() || s->holder != caller) return;
  for (const StoredMessage& m : messages) {
    if (s->traffic && s->traffic->in_flight.size() >= limits_.max_taken) return;
    table_->put_in_flight(
        s, {m.id, m.position},
        {m.id, now + limits_.acknowledgement_deadline, true, copy_of(m.push_token)});
  }
}

bool LiveSessions::settle(const Connection& connection, const std::vector<Position>& removed) {
  Session* s = table_->find(connection);
  if (!s) return false;
  for (const Position position : removed) {
    if (s->traffic) table_->land(s, position);
    if (position <= s->cursor) continue;
    auto& settled = table_->traffic(s).settled;
    settled.insert(position);
    if (settled.size() > limits_.max_taken) settled.erase(settled.begin());
  }
  if (!s->traffic) return false;
  const bool pump = s->traffic->behind && !s->traffic->pumping &&
                    s->traffic->in_flight.size() < limits_.max_in_flight;
  table_->tidy(s);
  return pump;
}

// --- time -------------------------------------------------------------------------------------

LiveSessions::Expired LiveSessions::expire(SteadyPoint now, std::size_t most) {
  Expired expired;
  auto& deadlines = table_->deadlines;
  while (!deadlines.empty() && deadlines.begin()->first <= now) {
    if (expired.overdue.size() >= most) {
      expired.more = true;
      break;
    }
    Session* s = deadlines.begin()->second;
    Traffic& t = *s->traffic;
    SteadyPoint next = SteadyPoint::max();
    for (auto it = t.in_flight.begin(); it != t.in_flight.end();) {
      if (it->second.deadline > now) {
        next = std::min(next, it->second.deadline);
        ++it;
        continue;
      }
      auto token = std::move(it->second.push_token);
      expired.overdue.push_back({s->connection(),
                                 {std::move(it->second.id), it->first},
                                 token ? std::optional(std::move(*token)) : std::nullopt});
      it = t.in_flight.erase(it);
    }
    deadlines.erase(deadlines.begin());
    if (!t.in_flight.empty()) t.deadline = deadlines.emplace(next, s);
    table_->tidy(s);
  }
  while (Session* s = table_->orphans.first) {
    if (now - s->orphaned_at < limits_.orphan_grace) break;
    if (expired.ended.size() >= most) {
      expired.more = true;
      break;
    }
    expired.ended.push_back({s->connection(), s->epoch});
    table_->erase(s);
  }
  return expired;
}

}  // namespace mpr
