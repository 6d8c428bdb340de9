#include "core/live_sessions.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "core/session_table.hpp"

namespace mpr {

LiveSessions::LiveSessions(Limits limits)
    : limits_(limits), table_(std::make_unique<SessionTable>()) {}
LiveSessions::~LiveSessions() = default;

// --- opening and ending -----------------------------------------------------------------------

LiveSessions::Opened LiveSessions::open(const Connection& connection, const SessionId& session_id,
                                        SocketId holder, Epoch epoch, Position tail) {
  Opened opened;
  Position cursor = tail;
  bool behind = false;
  if (LiveSession* old = table_->find(connection)) {
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
  LiveSession* s = LiveSession::make(connection, session_id);
  s->epoch = epoch;
  s->cursor = cursor;
  table_->insert(s, holder);
  if (behind) table_->set_behind(s, true);
  return opened;
}

void LiveSessions::restore(const Connection& connection, const SessionId& session_id, Epoch epoch,
                           Position opened_at, SteadyPoint now) {
  if (table_->find(connection)) return;
  LiveSession* s = LiveSession::make(connection, session_id);
  s->epoch = epoch;
  s->cursor = opened_at;
  s->orphaned_at = now;
  table_->insert(s, SocketId{});
  table_->set_behind(s, true);
  s->blocked = true;  // until a socket subscribes
}

std::optional<Epoch> LiveSessions::close(const Connection& connection, SocketId caller,
                                         const std::optional<SessionId>& session_id) {
  LiveSession* s = table_->find(connection);
  if (!s || (!s->orphaned() && s->holder != caller)) return std::nullopt;
  const bool other = session_id && !s->session_id().empty() && s->session_id() != session_id->value;
  if (other) return std::nullopt;
  const Epoch epoch = s->epoch;
  table_->erase(s);
  return epoch;
}

std::optional<LiveSessions::Superseded> LiveSessions::supersede(const Connection& connection,
                                                                Epoch newer) {
  LiveSession* s = table_->find(connection);
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
    LiveSession* s = it->second.first;  // the last one takes the list with it
    table_->rewind(s);
    s->orphaned_at = now;
    table_->move(s, SocketId{});
  }
  return count;
}

bool LiveSessions::adopt(const Connection& connection, SocketId holder, Heard heard) {
  LiveSession* s = table_->find(connection);
  if (!s || !s->orphaned()) return false;
  if (heard == Heard::nothing) table_->rewind(s);
  table_->move(s, holder);
  return true;
}

// --- asking -----------------------------------------------------------------------------------

std::optional<LiveSessions::View> LiveSessions::find(const Connection& connection) const {
  const LiveSession* s = table_->find(connection);
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
  const LiveSession* s = table_->find(connection);
  if (!s || !s->traffic) return refs;
  refs.reserve(s->traffic->in_flight.size());
  for (const auto& [position, entry] : s->traffic->in_flight) refs.push_back({entry.id, position});
  return refs;
}

std::vector<MessageRef> LiveSessions::hidden(const Connection& connection) const {
  const LiveSession* s = table_->find(connection);
  return s && !s->orphaned() ? in_flight(connection) : std::vector<MessageRef>();
}

// --- delivering -------------------------------------------------------------------------------

namespace {

std::unique_ptr<PushToken> copy_of(const std::optional<PushToken>& token) {
  return token ? std::make_unique<PushToken>(*token) : nullptr;
}

bool may_pump(const LiveSession& s, const LiveSessions::Limits& limits) {
  return s.behind && !s.pumping() && s.in_flight() < limits.max_in_flight;
}

bool full(const LiveSession& s, const LiveSessions::Limits& limits) {
  return s.behind && !s.pumping() && s.in_flight() >= limits.max_in_flight;
}

}  // namespace

Offer LiveSessions::offer(const Connection& connection, const MessageRef& message,
                          Position previous, const std::optional<PushToken>& push_token,
                          SteadyPoint now) {
  LiveSession* s = table_->find(connection);
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
  LiveSession* s = table_->find(connection);
  if (!s) return Offer::no_session;
  if (position <= s->cursor) return Offer::done;
  if (s->traffic) s->traffic->accepted_meanwhile = true;
  table_->set_behind(s, true);
  return s->blocked ? Offer::blocked : Offer::wait;
}

void LiveSessions::postpone(const Connection& connection, Epoch epoch, const MessageRef& message) {
  LiveSession* s = table_->find(connection, epoch);
  if (!s || !s->traffic) return;
  table_->land(s, message.position);
  s->cursor = std::min(s->cursor, Position{message.position.value - 1});
  table_->set_behind(s, true);
  s->blocked = true;
  table_->tidy(s);
}

std::optional<LiveSessions::PumpStep> LiveSessions::begin_pump(const Connection& connection) {
  LiveSession* s = table_->find(connection);
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
  LiveSession* s = table_->find(connection, step.epoch, step.number);
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
  LiveSession* s = table_->find(connection, step.epoch, step.number);
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
  LiveSession* s = table_->find(connection, epoch);
  if (!s) return;
  table_->set_behind(s, true);
  if (s->traffic) s->traffic->accepted_meanwhile = true;
}

void LiveSessions::all_fall_behind() {
  for (LiveSession* s : table_->sessions) {
    table_->stop_pump(s);  // it may have read, or verified, before the gap
    table_->set_behind(s, true);
    s->unverified = true;
  }
}

namespace {

struct Found {
  std::vector<Connection> to_pump;
  const LiveSession* full = nullptr;  // the one whose last look is the longest ago
};

// Looks at the first `most` sessions of the list and puts them behind the others.
void collect(BehindList& list, std::size_t most, bool blocked_too,
             const LiveSessions::Limits& limits, Found& found) {
  for (std::size_t left = std::min(list.size, most); left > 0; --left) {
    const LiveSession& s = *list.first;
    list.rotate();
    if (may_pump(s, limits)) {
      if (blocked_too || !s.blocked) found.to_pump.push_back(s.connection());
    } else if (full(s, limits)) {
      if (!found.full || s.traffic->look < found.full->traffic->look) found.full = &s;
    }
  }
}

}  // namespace

LiveSessions::Swept LiveSessions::sweep(std::size_t most, Blocked blocked) {
  Found found;
  auto& behind = table_->behind;
  auto it = behind.upper_bound(table_->swept);
  for (std::size_t holders = behind.size(); holders > 0 && most > 0; --holders, ++it) {
    if (it == behind.end()) it = behind.begin();
    const std::size_t looked_at = std::min(it->second.size, most);
    collect(it->second, looked_at, blocked == Blocked::retry, limits_, found);
    table_->swept = it->first;
    most -= looked_at;
  }
  Swept swept{std::move(found.to_pump), std::nullopt};
  if (found.full) swept.full = found.full->connection();
  return swept;
}

std::vector<Connection> LiveSessions::behind(SocketId holder, std::size_t most) {
  Found found;
  const auto it = table_->behind.find(holder.value);
  if (it != table_->behind.end()) collect(it->second, most, true, limits_, found);
  return std::move(found.to_pump);
}

std::vector<Connection> LiveSessions::welcome(const TenantId& tenant, std::size_t most) {
  std::vector<LiveSession*> heard;  // by others, who did not acknowledge yet
  for (const auto& [deadline, s] : table_->deadlines) {
    if (s->orphaned() && s->tenant() == tenant.value) heard.push_back(s);
  }
  for (LiveSession* s : heard) table_->rewind(s);

  std::vector<Connection> found;
  const auto it = table_->behind.find(0);
  if (it == table_->behind.end()) return found;
  for (LiveSession* s = it->second.first; s; s = s->behind_links.next) {
    if (s->tenant() != tenant.value) continue;
    s->blocked = false;
    if (found.size() < most && may_pump(*s, limits_)) found.push_back(s->connection());
  }
  return found;
}

// --- acknowledging ----------------------------------------------------------------------------

void LiveSessions::mark_taken(const Connection& connection, SocketId caller,
                              std::vector<StoredMessage>& messages, SteadyPoint now) {
  LiveSession* s = table_->find(connection);
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
  LiveSession* s = table_->find(connection);
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

std::optional<LiveSessions::Look> LiveSessions::begin_look(const Connection& connection) {
  LiveSession* s = table_->find(connection);
  if (!s || !full(*s, limits_)) return std::nullopt;
  Traffic& t = *s->traffic;
  t.look = ++table_->last_look;
  auto first = t.in_flight.upper_bound(t.looked_at);
  if (first == t.in_flight.end()) first = t.in_flight.begin();
  Look look{s->epoch, Position{first->first.value - 1}, {}};
  for (; first != t.in_flight.end(); ++first) {
    look.in_flight.push_back({first->second.id, first->first});
  }
  return look;
}

bool LiveSessions::end_look(const Connection& connection, const Look& look,
                            const std::vector<StoredMessage>& stored) {
  LiveSession* s = table_->find(connection, look.epoch);
  if (!s) return false;
  const Position end = stored.empty() ? look.in_flight.back().position : stored.back().position;
  if (s->traffic) s->traffic->looked_at = end;
  std::set<std::string_view> there;
  for (const StoredMessage& message : stored) there.insert(message.id.value);
  std::vector<Position> missing;
  for (const MessageRef& message : look.in_flight) {
    if (message.position <= end && !there.contains(message.id.value)) {
      missing.push_back(message.position);
    }
  }
  return settle(connection, missing);
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
    LiveSession* s = deadlines.begin()->second;
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
  while (LiveSession* s = table_->orphans.first) {
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
