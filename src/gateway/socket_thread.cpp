#include "gateway/socket_thread.hpp"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.hpp"
#include "pickup/pickup_service.hpp"

namespace mpr {

namespace {

using std::chrono::milliseconds;

// Timeouts are looked at this often, for a part of the sockets each time, so that no turn is long.
constexpr milliseconds kTick{25};
// Every socket is looked at this often at least; more often when the timeouts are short.
constexpr milliseconds kLongestWalk{1'000};
// What the end of a turn brings about is seen to at once, up to this often.
constexpr int kPassesPerTurn = 3;
// Lines about refused peers, per thread and interval.
constexpr int kRefusalLines = 10;
constexpr std::chrono::seconds kRefusalInterval{10};

std::size_t ticks_per_walk(const Server::Options& options) {
  const milliseconds shortest = std::min({options.ping_interval, options.dead_after,
                                          options.handshake_timeout, options.slow_reader_timeout});
  const milliseconds walk = std::clamp(shortest / 4, kTick, kLongestWalk);
  return static_cast<std::size_t>(walk / kTick);
}

}  // namespace

void OpenSockets::remove() {
  if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  std::lock_guard lock(mutex_);
  none_.notify_all();
}

bool OpenSockets::wait_until_none(std::chrono::steady_clock::time_point limit) {
  std::unique_lock lock(mutex_);
  return none_.wait_until(lock, limit, [this] { return count() == 0; });
}

SocketThread::SocketThread(std::uint8_t index, const Server::Options& options, Metrics& metrics,
                           OpenSockets& open_sockets, PickupService& service, Methods& methods)
    : options_(options),
      metrics_(metrics),
      open_sockets_(open_sockets),
      service_(service),
      decoder_({.max_message_bytes = options.max_message_bytes}),
      io_("mpr-io-" + std::to_string(index)),
      directory_(index, options.outbound_bytes, [this] { io_.run([] {}); }),
      runner_(methods, metrics,
              {.call_timeout = options.call_timeout, .batch_bytes = options.outbound_bytes}),
      ticks_per_walk_(ticks_per_walk(options)) {
  io_.every(kTick, [this] { tick(); });
  io_.at_turn_end([this] { end_turn(); });
}

SocketThread::~SocketThread() = default;

void SocketThread::adopt(int fd, Admission admission) {
  SocketAccount& account = directory_.add(TenantId());
  const std::size_t slot = SocketDirectory::slot_of(account.id);
  if (slot >= sessions_.size()) sessions_.resize(slot + 1);
  try {
    sessions_[slot] = std::make_unique<Session>(*this, fd, account);
  } catch (const std::exception& e) {  // the kernel watches no more descriptors
    log::error("a connection could not be taken in", {{"what", e.what()}});
    ::close(fd);
    directory_.remove(account);
    socket_gone(admission == Admission::refuse);
    return;
  }
  if (draining_) {
    if (admission == Admission::refuse) open_sockets_.remove_refused();
    sessions_[slot]->cut();
  } else if (admission == Admission::refuse) {
    sessions_[slot]->refuse_over_limit();
  }
}

Session* SocketThread::find(SocketId id) const {
  const std::size_t slot = SocketDirectory::slot_of(id);
  if (slot >= sessions_.size() || sessions_[slot] == nullptr) return nullptr;
  Session& session = *sessions_[slot];
  return session.account().id == id && session.is_open() ? &session : nullptr;
}

Delivery SocketThread::deliver(SocketId to, const SharedText& text) {
  if (!io_.is_current()) return directory_.send(to, text);
  // What another thread sent before comes first.
  if (directory_.has_mail()) take_in_mail();
  Session* const session = find(to);
  if (session == nullptr) return Delivery::gone;
  if (!session->has_room()) return Delivery::full;
  session->deliver(text);
  return Delivery::accepted;
}

void SocketThread::take_in_mail() {
  directory_.fetch(parcels_);
  for (const SocketDirectory::Parcel& parcel : parcels_) {
    if (Session* const session = find(parcel.to)) session->deliver_counted(parcel.text);
  }
  parcels_.clear();
}

// --- the end of a turn -----------------------------------------------------------------------

void SocketThread::end_turn() {
  for (int pass = 0; pass < kPassesPerTurn; ++pass) {
    if (directory_.has_mail()) take_in_mail();
    see_to_ended();
    flush_dirty();
    tell_service();
    if (dirty_.empty() && ending_.empty() && drained_.empty()) return;
  }
  io_.run([] {});  // the rest has its turn at once
}

void SocketThread::flush_dirty() {
  for (std::size_t i = 0; i < dirty_.size(); ++i) dirty_[i]->flush();
  dirty_.clear();
}

// After this nobody refers to the sessions: they had left dirty_ in the pass before, or are taken
// out here.
void SocketThread::see_to_ended() {
  for (std::size_t i = 0; i < ending_.size(); ++i) {
    Session& session = *ending_[i];
    if (session.was_open()) service_.socket_closed(session.account().id);
    std::erase(dirty_, &session);
    SocketAccount& account = session.account();
    sessions_[SocketDirectory::slot_of(account.id)].reset();
    directory_.remove(account);
  }
  ending_.clear();
}

bool SocketThread::may_log_refusal() {
  const auto now = io_.now();
  if (now - refusals_since_ >= kRefusalInterval) {
    refusals_since_ = now;
    refusals_logged_ = 0;
  }
  return ++refusals_logged_ <= kRefusalLines;
}

void SocketThread::resume_later(SocketId socket) {
  io_.run([this, socket] {
    if (Session* const session = find(socket)) session->resume_parked();
  });
}

void SocketThread::tell_service() {
  for (const SocketId socket : std::exchange(drained_, {})) service_.socket_drained(socket);
  for (const SocketId socket : std::exchange(subscribed_, {})) {
    if (const Session* const session = find(socket)) {
      service_.socket_subscribed(socket, session->account().tenant);
      session->account().welcomed.store(true);
    }
  }
}

// --- time ------------------------------------------------------------------------------------

void SocketThread::tick() {
  const auto now = io_.now();
  runner_.answer_overdue(now);
  const std::size_t share = sessions_.size() / ticks_per_walk_ + 1;
  for (std::size_t i = 0; i < share && !sessions_.empty(); ++i) {
    next_checked_ = next_checked_ + 1 < sessions_.size() ? next_checked_ + 1 : 0;
    Session* const session = sessions_[next_checked_].get();
    if (session != nullptr && !session->ended()) session->check_time(now);
  }
}

// --- the end of the server -------------------------------------------------------------------

void SocketThread::start_draining(const SharedText& event, EventMask events) {
  draining_ = true;
  for (const auto& session : sessions_) {
    if (session == nullptr || session->ended()) continue;
    if ((session->account().events.load() & events) != 0) session->deliver(event);
    session->start_draining();
  }
}

void SocketThread::close_all() {
  for (const auto& session : sessions_) {
    if (session != nullptr && !session->ended()) {
      session->close(websocket::CloseCode::service_restart, "the server restarts");
    }
  }
}

void SocketThread::cut_all() {
  for (const auto& session : sessions_) {
    if (session != nullptr) session->cut();
  }
}

}  // namespace mpr
