#include "core/session_table.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace mpr {

LiveSession* LiveSession::make(const Connection& connection, const SessionId& session_id) {
  const std::string* const texts[] = {&connection.tenant.value, &connection.id.value,
                                      &session_id.value};
  std::size_t bytes = 0;
  for (const std::string* text : texts) bytes += text->size();
  void* memory = ::operator new(sizeof(LiveSession) + bytes);
  auto* s = new (memory) LiveSession();
  s->tenant_bytes = static_cast<std::uint8_t>(texts[0]->size());
  s->connection_bytes = static_cast<std::uint8_t>(texts[1]->size());
  s->session_bytes = static_cast<std::uint8_t>(texts[2]->size());
  char* end = static_cast<char*>(memory) + sizeof(LiveSession);
  for (const std::string* text : texts) {
    std::memcpy(end, text->data(), text->size());
    end += text->size();
  }
  return s;
}

void LiveSession::free(LiveSession* session) {
  session->~LiveSession();
  ::operator delete(session);
}

SessionTable::~SessionTable() {
  for (LiveSession* s : sessions) LiveSession::free(s);
}

// --- the lists --------------------------------------------------------------------------------

void SessionTable::insert(LiveSession* s, SocketId holder) {
  sessions.insert(s);
  list(s, holder);
}

void SessionTable::erase(LiveSession* s) {
  land_all(s);
  set_behind(s, false);
  unlist(s);
  sessions.erase(s);
  LiveSession::free(s);
}

void SessionTable::move(LiveSession* s, SocketId holder) {
  unlist(s);
  list(s, holder);
}

void SessionTable::list(LiveSession* s, SocketId holder) {
  s->holder = holder;
  s->blocked = false;
  (s->orphaned() ? orphans : held[holder.value]).append(s);
  if (s->behind) list_behind(s);
}

void SessionTable::unlist(LiveSession* s) {
  if (s->behind) unlist_behind(s);
  if (s->orphaned()) {
    orphans.remove(s);
    return;
  }
  const auto it = held.find(s->holder.value);
  it->second.remove(s);
  if (it->second.size == 0) held.erase(it);
}

void SessionTable::set_behind(LiveSession* s, bool value) {
  if (!value) s->blocked = false;
  if (s->behind == value) return;
  s->behind = value;
  if (value) {
    list_behind(s);
  } else {
    unlist_behind(s);
  }
}

void SessionTable::unlist_behind(LiveSession* s) {
  const auto it = behind.find(s->holder.value);
  it->second.remove(s);
  if (it->second.size == 0) behind.erase(it);
}

// --- traffic ----------------------------------------------------------------------------------

void SessionTable::put_in_flight(LiveSession* s, const MessageRef& message, InFlight entry) {
  Traffic& t = traffic(s);
  if (t.in_flight.empty()) t.deadline = deadlines.emplace(entry.deadline, s);
  t.in_flight.insert_or_assign(message.position, std::move(entry));
}

void SessionTable::land(LiveSession* s, Position position) {
  Traffic& t = *s->traffic;
  if (t.in_flight.erase(position) > 0 && t.in_flight.empty()) deadlines.erase(t.deadline);
}

void SessionTable::land_all(LiveSession* s) {
  if (!s->traffic || s->traffic->in_flight.empty()) return;
  deadlines.erase(s->traffic->deadline);
  s->traffic->in_flight.clear();
}

void SessionTable::advance(LiveSession* s, Position to) {
  s->cursor = std::max(s->cursor, to);
  if (!s->traffic) return;
  auto& settled = s->traffic->settled;
  settled.erase(settled.begin(), settled.upper_bound(s->cursor));
}

void SessionTable::rewind(LiveSession* s) {
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

void SessionTable::stop_pump(LiveSession* s) {
  if (!s->pumping()) return;
  s->traffic->pump = 0;
  set_behind(s, true);
}

}  // namespace mpr
