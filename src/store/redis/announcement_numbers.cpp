#include "store/redis/announcement_numbers.hpp"

#include <algorithm>

namespace mpr::redis {

std::vector<SentNumbers::Due> SentNumbers::due() const {
  std::vector<Due> due;
  for (const auto& [gateway, receiver] : receivers_) {
    if (receiver.beaconed < receiver.last) due.push_back({gateway, receiver.last});
  }
  return due;
}

void SentNumbers::beaconed(const GatewayId& receiver, std::uint64_t last) {
  const auto found = receivers_.find(receiver);
  if (found == receivers_.end()) return;
  found->second.beaconed = std::max(found->second.beaconed, last);
}

void SentNumbers::doubt(const GatewayId& receiver) {
  const auto found = receivers_.find(receiver);
  if (found != receivers_.end()) found->second.beaconed = 0;
}

// `begin`: where counting begins if it has to begin.
HeardNumbers::Sender& HeardNumbers::of(const Speaker& speaker, std::uint64_t begin) {
  Sender& sender = senders_[speaker];
  if (sender.anew) {
    sender = Sender();
    sender.whole = begin;
    sender.expected = begin;
  }
  return sender;
}

void HeardNumbers::expect(Sender& sender, std::uint64_t number, SteadyPoint now) {
  if (sender.whole >= sender.expected) sender.missing_since = now;
  sender.expected = std::max(sender.expected, number);
}

void HeardNumbers::heard(const Speaker& speaker, std::uint64_t number, SteadyPoint now) {
  if (number == 0) return;
  Sender& sender = of(speaker, number - 1);
  if (number <= sender.whole) return;
  if (number != sender.whole + 1) {
    expect(sender, number, now);
    sender.early.insert(number);
    return;
  }
  sender.whole = number;
  while (!sender.early.empty() && *sender.early.begin() == sender.whole + 1) {
    ++sender.whole;
    sender.early.erase(sender.early.begin());
  }
  sender.expected = std::max(sender.expected, sender.whole);
  sender.missing_since = now;  // another one may be missing now
}

void HeardNumbers::beacon(const Speaker& speaker, std::uint64_t last, SteadyPoint now) {
  Sender& sender = of(speaker, last);
  if (last > sender.whole) expect(sender, last, now);
}

void HeardNumbers::Sender::give_up() {
  whole = expected;
  early.clear();
}

bool HeardNumbers::lost(SteadyPoint now) {
  bool any = false;
  for (auto& [speaker, sender] : senders_) {
    if (sender.whole >= sender.expected) continue;
    if (now - sender.missing_since < patience_ && sender.early.size() < kMostEarly) continue;
    sender.give_up();
    any = true;
  }
  return any;
}

void HeardNumbers::resubscribed() {
  for (auto& [speaker, sender] : senders_) sender.anew = true;
}

void HeardNumbers::forget(const GatewayId& gateway) {
  std::erase_if(senders_, [&](const auto& entry) { return entry.first.gateway == gateway; });
}

}  // namespace mpr::redis
