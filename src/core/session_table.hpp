// The records behind LiveSessions: sessions by connection, by holder, behind, and by deadline. It
// keeps these lists in step with each other; what a session may do is decided in live_sessions.cpp,
// the only one to include this.
//
// Owns the sessions. No thread-safety of its own, no clock.
#pragma once

#include <boost/unordered/unordered_flat_set.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "core/ids.hpp"
#include "core/message.hpp"

namespace mpr {

struct LiveSession;

struct InFlight {
  MessageId id;
  std::chrono::steady_clock::time_point deadline;
  bool taken = false;  // by the holder's own take: never delivered again by itself
  std::unique_ptr<PushToken> push_token;
};

using Deadlines = std::multimap<std::chrono::steady_clock::time_point, LiveSession*>;

// What only a busy session needs; it is there only while one of its members says something.
struct Traffic {
  std::map<Position, InFlight> in_flight;
  std::set<Position> settled;       // removed before they were offered
  std::uint64_t pump = 0;           // the number of the step that runs; 0: none
  bool accepted_meanwhile = false;  // a message came while a pump was reading
  std::uint64_t look = 0;           // the number of its last look
  Position looked_at;               // up to here, by the looks so far
  Deadlines::iterator deadline;     // if in_flight is not empty

  bool idle() const { return in_flight.empty() && settled.empty() && pump == 0; }
};

// One allocation per session, texts included: a million of them is an ordinary number.
struct LiveSession {
  struct Links {
    LiveSession* previous = nullptr;
    LiveSession* next = nullptr;
  };
  Links siblings;      // of the same holder, or the orphans (oldest first)
  Links behind_links;  // those of the siblings that are behind
  SocketId holder;
  Epoch epoch;
  Position cursor;
  std::unique_ptr<Traffic> traffic;
  std::chrono::steady_clock::time_point orphaned_at;
  std::uint8_t tenant_bytes = 0;
  std::uint8_t connection_bytes = 0;
  std::uint8_t session_bytes = 0;
  bool behind = false;      // messages wait for a pump
  bool blocked = false;     // behind, and the last delivery was refused
  bool unverified = false;  // a newer session elsewhere may have gone unheard

  // Tenant, connection id and session id stand behind the object, in the same allocation.
  static LiveSession* make(const Connection& connection, const SessionId& session_id);
  static void free(LiveSession* session);

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

// A list whose links stand in the sessions themselves.
template <LiveSession::Links LiveSession::* kLinks>
struct SessionList {
  LiveSession* first = nullptr;
  LiveSession* last = nullptr;
  std::size_t size = 0;

  void append(LiveSession* s) {
    s->*kLinks = {last, nullptr};
    (last ? (last->*kLinks).next : first) = s;
    last = s;
    ++size;
  }
  void remove(LiveSession* s) {
    const LiveSession::Links links = s->*kLinks;
    (links.previous ? (links.previous->*kLinks).next : first) = links.next;
    (links.next ? (links.next->*kLinks).previous : last) = links.previous;
    --size;
  }
  void rotate() {
    LiveSession* s = first;
    remove(s);
    append(s);
  }
};
using SiblingList = SessionList<&LiveSession::siblings>;
using BehindList = SessionList<&LiveSession::behind_links>;

class SessionTable {
  struct Key {
    std::string_view tenant;
    std::string_view connection_id;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const LiveSession* s) const {
      return hash_of(s->tenant(), s->connection_id());
    }
    std::size_t operator()(const Key& k) const { return hash_of(k.tenant, k.connection_id); }
  };
  struct Equal {
    using is_transparent = void;
    static bool same(const LiveSession* s, const Key& k) {
      return s->connection_id() == k.connection_id && s->tenant() == k.tenant;
    }
    bool operator()(const LiveSession* a, const LiveSession* b) const { return a == b; }
    bool operator()(const Key& k, const LiveSession* s) const { return same(s, k); }
    bool operator()(const LiveSession* s, const Key& k) const { return same(s, k); }
  };

 public:
  SessionTable() = default;
  ~SessionTable();
  SessionTable(const SessionTable&) = delete;
  SessionTable& operator=(const SessionTable&) = delete;

  // Read by all; changed only by the functions below, except swept, the numbers, the
  // order within `behind` (by sweeps) and `deadlines` (by expire()).
  boost::unordered_flat_set<LiveSession*, Hash, Equal> sessions;
  std::unordered_map<std::uint64_t, SiblingList> held;  // by holder
  SiblingList orphans;                                  // the longest orphaned first
  std::map<std::uint64_t, BehindList> behind;           // by holder; 0: orphans
  std::uint64_t swept = 0;                              // the holder at which the last sweep ended
  std::uint64_t last_pump = 0;
  std::uint64_t last_look = 0;
  Deadlines deadlines;  // when to look at a session's in-flight messages

  LiveSession* find(const Connection& c) const {
    const auto it = sessions.find(Key{c.tenant.value, c.id.value});
    return it == sessions.end() ? nullptr : *it;
  }
  LiveSession* find(const Connection& c, Epoch epoch) const {
    LiveSession* s = find(c);
    return s && s->epoch == epoch ? s : nullptr;
  }
  // Only while the pump of this number runs.
  LiveSession* find(const Connection& c, Epoch epoch, std::uint64_t pump) const {
    LiveSession* s = find(c, epoch);
    return s && s->traffic && s->traffic->pump == pump ? s : nullptr;
  }

  void insert(LiveSession* s, SocketId holder);
  void erase(LiveSession* s);
  // Lists the session under another holder; 0: among the orphans.
  void move(LiveSession* s, SocketId holder);
  void set_behind(LiveSession* s, bool value);

  Traffic& traffic(LiveSession* s) {
    if (!s->traffic) {
      s->traffic = std::make_unique<Traffic>();
      s->traffic->look = last_look;
    }
    return *s->traffic;
  }
  static void tidy(LiveSession* s) {
    if (s->traffic && s->traffic->idle()) s->traffic.reset();
  }
  void put_in_flight(LiveSession* s, const MessageRef& message, InFlight entry);
  void land(LiveSession* s, Position position);
  // Moves the cursor on, never back.
  static void advance(LiveSession* s, Position to);
  // What was delivered and not acknowledged has to flow again, to another socket. A pump that reads
  // for the old one is void: its messages would overtake these.
  void rewind(LiveSession* s);
  void stop_pump(LiveSession* s);

 private:
  void list(LiveSession* s, SocketId holder);
  void unlist(LiveSession* s);
  void list_behind(LiveSession* s) { behind[s->holder.value].append(s); }
  void unlist_behind(LiveSession* s);
  void land_all(LiveSession* s);
};

}  // namespace mpr
