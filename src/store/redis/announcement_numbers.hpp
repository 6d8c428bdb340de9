// The numbers that make a lost announcement noticeable. A sender counts for each receiver; the
// receiver misses a number that does not come, and the sender's beacon tells it of the last one.
// Announcements of several io threads overtake each other by a little: a number counts as lost when
// it has not come for a while.
//
// Data structures without I/O and without a clock. Not thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/live_sessions.hpp"
#include "store/redis/channel_message.hpp"

namespace mpr::redis {

// What a sender has to know.
class SentNumbers {
 public:
  // The next number for this receiver; the first is 1.
  std::uint64_t next(const GatewayId& receiver) { return ++receivers_[receiver].last; }

  struct Due {
    GatewayId receiver;
    std::uint64_t last = 0;
  };
  // Receivers that were sent something since the last beacon that reached them.
  std::vector<Due> due() const;
  // A beacon with this number went out.
  void beaconed(const GatewayId& receiver, std::uint64_t last);
  // Whether it still listens is not known: it is due for a beacon.
  void doubt(const GatewayId& receiver);
  // Nobody listens there. Numbers begin anew if it subscribes again, and so does its counting.
  void forget(const GatewayId& receiver) { receivers_.erase(receiver); }

 private:
  struct Receiver {
    std::uint64_t last = 0;
    std::uint64_t beaconed = 0;
  };
  std::map<GatewayId, Receiver> receivers_;
};

// What a receiver has to know.
class HeardNumbers {
 public:
  // Of one sender: beyond it, missing numbers count as lost at once.
  static constexpr std::size_t kMostEarly = 10'000;

  explicit HeardNumbers(std::chrono::milliseconds patience) : patience_(patience) {}

  void heard(const Speaker& sender, std::uint64_t number, SteadyPoint now);
  void beacon(const Speaker& sender, std::uint64_t last, SteadyPoint now);

  // True: something was lost. It is reported once.
  bool lost(SteadyPoint now);

  // The subscription stands anew: what was missed in between is known to be missed.
  void resubscribed();
  void forget(const GatewayId& sender);

 private:
  struct Sender {
    std::uint64_t whole = 0;        // everything up to here was heard, or is known to be lost
    std::uint64_t expected = 0;     // the largest number heard, or told by a beacon
    std::set<std::uint64_t> early;  // heard, behind a missing one
    SteadyPoint missing_since{};    // if whole < expected
    bool anew = false;              // the next number is where counting begins

    void give_up();
  };
  Sender& of(const Speaker& speaker, std::uint64_t begin);
  static void expect(Sender& sender, std::uint64_t number, SteadyPoint now);

  const std::chrono::milliseconds patience_;
  std::map<Speaker, Sender> senders_;
};

}  // namespace mpr::redis
