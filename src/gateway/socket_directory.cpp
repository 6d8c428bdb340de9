#include "gateway/socket_directory.hpp"

#include <algorithm>
#include <utility>

namespace mpr {

SocketDirectory::SocketDirectory(std::uint8_t thread, std::size_t outbound_bytes,
                                 std::function<void()> wake)
    : thread_(thread), outbound_bytes_(outbound_bytes), wake_(std::move(wake)) {}

SocketAccount& SocketDirectory::add(TenantId tenant) {
  auto account = std::make_unique<SocketAccount>();
  account->tenant = std::move(tenant);
  std::lock_guard lock(mutex_);
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint64_t slot = free_slots_.back();
  free_slots_.pop_back();
  account->id = SocketId{(++generation_ << 32) | (slot << 8) | thread_};
  slots_[slot] = std::move(account);
  return *slots_[slot];
}

void SocketDirectory::open(SocketAccount& account) {
  std::lock_guard lock(mutex_);
  account.open = true;
}

void SocketDirectory::close(SocketAccount& account) {
  std::lock_guard lock(mutex_);
  account.open = false;
  if (account.events.exchange(0) != 0) std::erase(listeners_, &account);
}

void SocketDirectory::remove(SocketAccount& account) {
  std::lock_guard lock(mutex_);
  const std::size_t slot = slot_of(account.id);
  slots_[slot].reset();
  free_slots_.push_back(static_cast<std::uint32_t>(slot));
}

void SocketDirectory::set_events(SocketAccount& account, EventMask events) {
  std::lock_guard lock(mutex_);
  const EventMask before = account.events.exchange(events);
  if (before == 0 && events != 0) listeners_.push_back(&account);
  if (before != 0 && events == 0) std::erase(listeners_, &account);
}

void SocketDirectory::fetch(std::vector<Parcel>& parcels) {
  std::lock_guard lock(mutex_);
  parcels.swap(mailbox_);
  has_mail_.store(false, std::memory_order_release);
}

SocketAccount* SocketDirectory::find(SocketId id) const {
  const std::size_t slot = slot_of(id);
  if (slot >= slots_.size() || slots_[slot] == nullptr) return nullptr;
  SocketAccount& account = *slots_[slot];
  return account.open && account.id == id ? &account : nullptr;
}

bool SocketDirectory::is_open(SocketId id) const {
  std::lock_guard lock(mutex_);
  return find(id) != nullptr;
}

bool SocketDirectory::listens(SocketId id, EventMask events) const {
  std::lock_guard lock(mutex_);
  const SocketAccount* const account = find(id);
  return account != nullptr && (account->events.load() & events) != 0 && account->welcomed.load();
}

bool SocketDirectory::has_room(SocketAccount& account) const {
  if (account.outbound_bytes.load() < outbound_bytes_) return true;
  // The flag first, then a second look: the io thread lowers the count first and then looks at the
  // flag, so one of the two sees the other.
  account.wants_drained.store(true);
  return account.outbound_bytes.load() < outbound_bytes_;
}

// True: the mailbox was empty, the io thread has to be woken.
bool SocketDirectory::put(SocketAccount& account, const SharedText& text) {
  account.outbound_bytes.fetch_add(text->size());
  mailbox_.push_back({account.id, text});
  return !has_mail_.exchange(true);
}

Delivery SocketDirectory::send(SocketId to, const SharedText& text) {
  bool must_wake = false;
  {
    std::lock_guard lock(mutex_);
    SocketAccount* const account = find(to);
    if (account == nullptr) return Delivery::gone;
    if (!has_room(*account)) return Delivery::full;
    must_wake = put(*account, text);
  }
  if (must_wake) wake_();
  return Delivery::accepted;
}

Delivery SocketDirectory::send_if_listening(SocketId to, EventMask events, const SharedText& text) {
  {
    std::lock_guard lock(mutex_);
    SocketAccount* const account = find(to);
    if (account == nullptr || (account->events.load() & events) == 0) return Delivery::gone;
  }
  return send(to, text);
}

std::size_t SocketDirectory::send_to_listeners(const TenantId& tenant, EventMask events,
                                               const SharedText& text) {
  std::size_t took = 0;
  bool must_wake = false;
  {
    std::lock_guard lock(mutex_);
    for (SocketAccount* account : listeners_) {
      if ((account->events.load() & events) == 0 || account->tenant != tenant) continue;
      if (!has_room(*account)) continue;
      must_wake |= put(*account, text);
      ++took;
    }
  }
  if (must_wake) wake_();
  return took;
}

}  // namespace mpr
