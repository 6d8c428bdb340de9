#include "core/live_sessions.hpp"

#include <algorithm>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstring>
#include <map>
#include <new>
#include <set>
#include <unordered_map>

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
  std::set<Position> settled;       // removed before they were offered
  std::uint64_t pump = 0;           // the number of the step that runs; 0: none
  bool accepted_meanwhile = false;  // a message came while a pump was reading
  std::multimap<SteadyPoint, LiveSessions::Session*>::iterator
      deadline;  // if in_flight is not empty

  bool idle() const { return in_flight.empty() && settled.empty() && pump == 0; }
};

// One allocation per session, texts included: a million of them is an ordinary number.
struct LiveSessions::Session {
  struct Links {
    Session* previous = nullptr;
    Session* next = nullptr;
  };
  Links siblings;      // of the same holder, or the orphans (oldest first)
  Links behind_links;  // those of the siblings that are behind
  SocketId holder;
  Epoch epoch;
  Position cursor;
  std::unique_ptr<Traffic> traffic;
  SteadyPoint orphaned_at;
  std::uint8_t tenant_bytes = 0;
  std::uint8_t connection_bytes = 0;
  std::uint8_t session_bytes = 0;
  bool behind = false;      // messages wait for a pump
  bool blocked = false;     // behind, and the last delivery was refused
  bool unverified = false;  // a newer session elsewhere may have gone unheard

  // Tenant, connection id and session id stand behind the object, in the same allocation.
  const char* text() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view tenant() const { return {text(), tenant_bytes}; }
  std::string_view connection_id() const { return {text() + tenant_bytes, connection_bytes}; }
  std::string_view session_id() const {
    return {text() + tenant_bytes + connection_bytes, session_bytes};
  }
  Connection connection() const { return {TenantId(tenant()), ConnectionId(connection_id())}; }
  bool orphaned() const { return holder == SocketId{}; }
  bool pumping() const { return traffic && traffic->pump != 0; }
  std::size_t in_flight() const { return traffic ? traffic->in_flight.size() : 0; }
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

template <Session::Links Session::* kLinks>
struct List {
  Session* first = nullptr;
  Session* last = nullptr;
  std::size_t size = 0;

  void append(Session* s) {
    s->*kLinks = {last, nullptr};
    (last ? (last->*kLinks).next : first) = s;
    last = s;
    ++size;
  }
  void remove(Session* s) {
    const Session::Links links = s->*kLinks;
    (links.previous ? (links.previous->*kLinks).next : first) = links.next;
    (links.next ? (links.next->*kLinks).previous : last) = links.previous;
    --size;
  }
  void rotate() {
    Session* s = first;
    remove(s);
    append(s);
  }
};
using Siblings = List<&Session::siblings>;
using Behind = List<&Session::behind_links>;

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
  std::unordered_map<std::uint64_t, Siblings> held;  // by holder
  Siblings orphans;                                  // the longest orphaned first
  std::map<std::uint64_t, Behind> behind;            // by holder; 0: orphans
  std::uint64_t swept = 0;                           // the holder at which the last sweep ended
  std::uint64_t last_pump = 0;
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
  Session* find(const Connection& c, const PumpStep& step) const {
    Session* s = find(c, step.epoch);
    return s && s->traffic && s->traffic->pump == step.number ? s : nullptr;
  }

  Traffic& traffic(Session* s) {
    if (!s->traffic) s->traffic = std::make_unique<Traffic>();
    return *s->traffic;
  }
  void tidy(Session* s) {
    if (s->traffic && s->traffic->idle()) s->traffic.reset();
  }

  void set_behind(Session* s, bool value) {
    if (!value) s->blocked = false;
    if (s->behind == value) return;
    s->behind = value;
    if (value) {
      list_behind(s);
    } else {
      unlist_behind(s);
    }
  }
  void list_behind(Session* s) { behind[s->holder.value].append(s); }
  void unlist_behind(Session* s) {
    const auto it = behind.find(s->holder.value);
    it->second.remove(s);
    if (it->second.size == 0) behind.erase(it);
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
    if (s->behind) unlist_behind(s);
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
    s->blocked = false;
    (s->orphaned() ? orphans : held[holder.value]).append(s);
    if (s->behind) list_behind(s);
  }

  // What was delivered and not acknowledged has to flow again, to another socket. A pump that reads
  // for the old one is void: its messages would overtake these.
  void rewind(Session* s) {
    if (!s->traffic) return;
    Traffic& t = *s->traffic;
    const auto first = std::find_if(t.in_flight.begin(), t.in_flight.end(),
                                    [](const auto& entry) { return !entry.second.taken; });
    if (first != t.in_flight.end()) {
      s->cursor = std::min(s->cursor, Position{first->first.value - 1});
      set_behind(s, true);
    }
    stop_pump(s);
    land_all(s);
    tidy(s);
  }
  void stop_pump(Session* s) {
    if (!s->pumping()) return;
    s->traffic->pump = 0;
    set_behind(s, true);
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
        old->unverified = false;
        table_->stop_pump(old);
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
  s->blocked = true;  // until a socket subscribes
}

std::optional<Epoch> LiveSessions::close(const Connection& connection, SocketId caller,
                                         const std::optional<SessionId>& session_id) {
  Session* s = table_->find(connection);
  if (!s || (!s->orphaned() && s->holder != caller)) return std::nullopt;
  const bool other = session_id && !s->session_id().empty() && s->session_id() != session_id->value;
  if (other) return std::nullopt;
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
  for (std::size_t left = count; left > 0; --left) {
    Session* s = it->second.first;  // the last one takes the list with it
    table_->rewind(s);
    table_->unlist(s);
    s->orphaned_at = now;
    table_->list_under(s, SocketId{});
  }
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
  view.in_flight = s->in_flight();
  view.behind = s->behind;
  view.blocked = s->blocked;
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

std::vector<MessageRef> LiveSessions::hidden(const Connection& connection) const {
  const Session* s = table_->find(connection);
  return s && !s->orphaned() ? in_flight(connection) : std::vector<MessageRef>();
}

// --- delivering -------------------------------------------------------------------------------

namespace {

std::unique_ptr<PushToken> copy_of(const std::optional<PushToken>& token) {
  return token ? std::make_unique<PushToken>(*token) : nullptr;
}

bool may_pump(const Session& s, const LiveSessions::Limits& limits) {
  return s.behind && !s.pumping() && s.in_flight() < limits.max_in_flight;
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
    t->accepted_meanwhile = true;
  }
  if (s->behind || s->in_flight() >= limits_.max_in_flight || previous > s->cursor) {
    table_->set_behind(s, true);
    return s->blocked ? Offer::blocked : Offer::wait;
  }
  table_->advance(s, message.position);
  table_->put_in_flight(
      s, message, {message.id, now + limits_.acknowledgement_deadline, false, copy_of(push_token)});
  return Offer::deliver;
}

Offer LiveSessions::announce(const Connection& connection, Position position) {
  Session* s = table_->find(connection);
  if (!s) return Offer::no_session;
  if (position <= s->cursor) return Offer::done;
  if (s->traffic) s->traffic->accepted_meanwhile = true;
  table_->set_behind(s, true);
  return s->blocked ? Offer::blocked : Offer::wait;
}

void LiveSessions::postpone(const Connection& connection, Epoch epoch, const MessageRef& message) {
  Session* s = table_->find(connection, epoch);
  if (!s || !s->traffic) return;
  table_->land(s, message.position);
  s->cursor = std::min(s->cursor, Position{message.position.value - 1});
  table_->set_behind(s, true);
  s->blocked = true;
  table_->tidy(s);
}

std::optional<LiveSessions::PumpStep> LiveSessions::begin_pump(const Connection& connection) {
  Session* s = table_->find(connection);
  if (!s || !may_pump(*s, limits_)) return std::nullopt;
  Traffic& t = table_->traffic(s);
  t.pump = ++table_->last_pump;
  t.accepted_meanwhile = false;
  const std::size_t room = limits_.max_in_flight - t.in_flight.size();
  return PumpStep{t.pump, s->epoch, s->holder, s->cursor, room, s->unverified};
}

bool LiveSessions::pump_offer(const Connection& connection, const PumpStep& step,
                              const MessageRef& message, const std::optional<PushToken>& push_token,
                              SteadyPoint now) {
  Session* s = table_->find(connection, step);
  if (!s || message.position <= s->cursor) return false;
  Traffic& t = *s->traffic;
  const bool known = t.settled.contains(message.position) || t.in_flight.contains(message.position);
  table_->advance(s, message.position);
  if (known) return false;
  table_->put_in_flight(
      s, message, {message.id, now + limits_.acknowledgement_deadline, false, copy_of(push_token)});
  return true;
}

bool LiveSessions::end_pump(const Connection& connection, const PumpStep& step, PumpEnd end) {
  Session* s = table_->find(connection, step);
  if (!s) return false;
  const bool drained = end == PumpEnd::drained && !s->traffic->accepted_meanwhile;
  s->traffic->pump = 0;
  s->blocked = end == PumpEnd::blocked;
  if (!s->blocked) s->unverified = false;
  if (drained) table_->set_behind(s, false);
  table_->tidy(s);
  return !drained && !s->blocked && s->in_flight() < limits_.max_in_flight;
}

void LiveSessions::fall_behind(const Connection& connection, Epoch epoch) {
  Session* s = table_->find(connection, epoch);
  if (!s) return;
  table_->set_behind(s, true);
  if (s->traffic) s->traffic->accepted_meanwhile = true;
}

void LiveSessions::all_fall_behind() {
  for (Session* s : table_->sessions) {
    table_->stop_pump(s);  // it may have read, or verified, before the gap
    table_->set_behind(s, true);
    s->unverified = true;
  }
}

namespace {

// Looks at the first `most` sessions of the list and puts them behind the others.
void collect(Behind& list, std::size_t most, bool blocked_too, const LiveSessions::Limits& limits,
             std::vector<Connection>& found) {
  for (std::size_t left = std::min(list.size, most); left > 0; --left) {
    const Session& s = *list.first;
    list.rotate();
    if (may_pump(s, limits) && (blocked_too || !s.blocked)) found.push_back(s.connection());
  }
}

}  // namespace

std::vector<Connection> LiveSessions::sweep(std::size_t most, Blocked blocked) {
  std::vector<Connection> found;
  auto& behind = table_->behind;
  auto it = behind.upper_bound(table_->swept);
  for (std::size_t holders = behind.size(); holders > 0 && most > 0; --holders, ++it) {
    if (it == behind.end()) it = behind.begin();
    const std::size_t looked_at = std::min(it->second.size, most);
    collect(it->second, looked_at, blocked == Blocked::retry, limits_, found);
    table_->swept = it->first;
    most -= looked_at;
  }
  return found;
}

std::vector<Connection> LiveSessions::behind(SocketId holder, std::size_t most) {
  std::vector<Connection> found;
  const auto it = table_->behind.find(holder.value);
  if (it != table_->behind.end()) collect(it->second, most, true, limits_, found);
  return found;
}

std::vector<Connection> LiveSessions::welcome(const TenantId& tenant, std::size_t most) {
  std::vector<Session*> heard;  // by others, who did not acknowledge yet
  for (const auto& [deadline, s] : table_->deadlines) {
    if (s->orphaned() && s->tenant() == tenant.value) heard.push_back(s);
  }
  for (Session* s : heard) table_->rewind(s);

  std::vector<Connection> found;
  const auto it = table_->behind.find(0);
  if (it == table_->behind.end()) return found;
  for (Session* s = it->second.first; s; s = s->behind_links.next) {
    if (s->tenant() != tenant.value) continue;
    s->blocked = false;
    if (found.size() < most && may_pump(*s, limits_)) found.push_back(s->connection());
  }
  return found;
}

// --- acknowledging ----------------------------------------------------------------------------

void LiveSessions::mark_taken(const Connection& connection, SocketId caller,
                              std::vector<StoredMessage>& messages, SteadyPoint now) {
  Session* s = table_->find(connection);
  if (!s || s->orphaned()) return;
  if (s->traffic) {
    std::erase_if(messages, [&](const StoredMessage& m) {
      return s->traffic->in_flight.contains(m.position);
    });
  }
  if (s->holder != caller) return;
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
    if (settled.size() <= limits_.max_taken) continue;
    // Too many to remember: whatever a pump has read is void, and the store is asked anew.
    settled.clear();
    table_->stop_pump(s);
    table_->set_behind(s, true);
  }
  table_->tidy(s);
  return may_pump(*s, limits_) && !s->blocked;
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
