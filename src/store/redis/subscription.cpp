#include "store/redis/subscription.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "store/redis/redirect.hpp"

namespace mpr::redis {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPingEvery{1000};
// A connection from which not even the answers to pings come is dead.
constexpr milliseconds kSilence{3000};
constexpr milliseconds kFirstDelay{50};
constexpr milliseconds kLongestDelay{2000};

}  // namespace

Subscription::Subscription(Lane& lane, std::string channel, OnMessage on_message,
                           OnConnected on_connected)
    : lane_(lane),
      channel_(std::move(channel)),
      slot_(slot_of(channel_)),
      on_message_(std::move(on_message)),
      on_connected_(std::move(on_connected)),
      link_(lane.thread(), lane.shared().links, *this) {}

std::optional<ServerAddress> Subscription::owner() const {
  const Shared& shared = lane_.shared();
  if (!shared.is_cluster()) return shared.options.servers.front();
  const SlotMap* map = lane_.map();
  if (map == nullptr || map->owner[slot_] == SlotMap::kNobody) return std::nullopt;
  return map->primaries[map->owner[slot_]];
}

void Subscription::look() {
  const TimePoint now = lane_.now();
  link_.check_time(now);
  if (link_.is_closed()) {
    if (now >= retry_at_) connect();
    return;
  }
  if (!link_.is_open()) return;
  if (now - link_.last_heard() >= kSilence) {
    return link_.lose("no answer within " + std::to_string(kSilence.count()) + " ms");
  }
  // A newer map names another node, although this one did not tell.
  if (lane_.shared().is_cluster() && lane_.shared().map_version() != map_version_) {
    map_version_ = lane_.shared().map_version();
    const auto now_at = owner();
    if (now_at && *now_at != connected_to_) return again(milliseconds(0));
  }
  if (now < next_ping_) return;
  next_ping_ = now + kPingEvery;
  link_.out() += "*1\r\n$4\r\nPING\r\n";
  link_.flush();
}

void Subscription::connect() {
  auto target = std::exchange(moved_to_, std::nullopt);
  if (!target) target = owner();
  if (!target) return;
  map_version_ = lane_.shared().map_version();
  connected_to_ = *target;
  link_.open(std::move(*target));
  lane_.tick_soon();
}

void Subscription::on_open() {
  next_ping_ = lane_.now() + kPingEvery;
  Request request("");
  request.add({lane_.shared().is_cluster() ? "SSUBSCRIBE" : "SUBSCRIBE", channel_});
  link_.out() += request.bytes();
  link_.flush();
}

void Subscription::on_value(Value value) {
  lane_.begin_reading();
  if (value.is_error()) return on_error(value.text);
  if (!value.is_array() || value.items.size() < 2) return;
  const std::string& kind = value.items[0].text;
  if (kind == "message" || kind == "smessage") {
    if (value.items.size() == 3 && value.items[1].text == channel_) {
      on_message_(value.items[2].text);
    }
  } else if (kind == "subscribe" || kind == "ssubscribe") {
    if (std::exchange(standing_, true)) return;
    failures_ = 0;
    if (std::exchange(complained_, false)) {
      log::info("Redis channel is heard again", {{"channel", channel_}});
    }
    on_connected_();
  } else if (kind == "unsubscribe" || kind == "sunsubscribe") {
    // The slot has moved; the map may not know yet.
    lane_.shared().want_refresh();
    again(kFirstDelay);
  }
}

void Subscription::on_error(const std::string& text) {
  const Redirect redirect = redirect_of(text);
  if (redirect.kind == Redirect::Kind::moved || redirect.kind == Redirect::Kind::ask) {
    ServerAddress address = redirect.address;
    if (address.host.empty()) address.host = connected_to_.host;
    moved_to_ = reachable(address, lane_.shared().options.nat_map);
    lane_.shared().want_refresh();
    return again(failures_ < 5 ? milliseconds(0) : kLongestDelay);
  }
  if (redirect.kind == Redirect::Kind::none && !std::exchange(complained_, true)) {
    log::error("Redis refuses a subscription",
               {{"channel", channel_}, {"reason", text.substr(0, 200)}});
  }
  lane_.shared().want_refresh();
  again(next_delay());
}

void Subscription::on_read() {
  lane_.begin_reading();
  lane_.end_reading();
}

void Subscription::on_lost(std::string reason, std::uint64_t) {
  if (!std::exchange(complained_, true)) {
    log::warn("Redis channel is not heard", {{"channel", channel_}, {"reason", reason}});
  }
  standing_ = false;
  lane_.shared().want_refresh();
  retry_at_ = lane_.now() + next_delay();
  lane_.tick_at(retry_at_);
}

void Subscription::again(milliseconds delay) {
  link_.close();
  standing_ = false;
  if (delay == milliseconds(0)) ++failures_;
  retry_at_ = lane_.now() + delay;
  lane_.tick_at(retry_at_);
}

milliseconds Subscription::next_delay() {
  const milliseconds delay = std::min(kFirstDelay * (1 << std::min(failures_, 6U)), kLongestDelay);
  ++failures_;
  return delay;
}

}  // namespace mpr::redis
